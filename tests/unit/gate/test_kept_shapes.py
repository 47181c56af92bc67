"""What a gate keeps is bounded, is about the accused, and is read again or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.digest.canonical import dumps, loads
from sluicegate.gate.kept_shapes import (
    MAX_ACCUSED,
    kept_shapes,
    of_batch_or_pool,
    shapes_from_json,
    shapes_to_json,
)
from sluicegate.gate.promotion import Lane
from sluicegate.gate.verdict import Reason
from sluicegate.signals.decision.record import Status
from sluicegate.signals.decision.shape import MAX_CELLS, MAX_PARTS, Drawn, Part, Shape

FORMAT = Path(__file__).parents[3] / "docs" / "formats" / "verdict.md"


def test_the_example_of_the_format_is_one():
    text = FORMAT.read_text(encoding="utf-8").partition("### Shapes")[2]
    example = text.partition("```json\n")[2].partition("```")[0]
    value = loads(example.encode(), locator="verdict.md")
    assert Shape.from_json(value).to_json() == value
    assert sum(value["batch"]) == 1000


def shape(column, rows=(1, 2)):
    return Shape(column, Drawn.VALUES, ("a", "b"), rows, rows)


def reasons(*columns):
    return [Reason("ANY", column, Status.FAILED, "why") for column in columns]


FOUND = {name: shape(name) for name in ("y", "who", *(f"x{i}" for i in range(30)))}


def test_label_and_contributor_are_kept_and_the_worst_of_the_accused():
    accused = [f"x{i}" for i in reversed(range(30))]
    kept = kept_shapes({Lane.ANCHORED: FOUND}, reasons("", "y", *accused), ("y", "who"))
    assert [s.column for s in kept[Lane.ANCHORED]] == ["y", "who", *accused[:MAX_ACCUSED]]


def test_nobody_is_drawn_who_is_not_accused():
    kept = kept_shapes({Lane.ANCHORED: FOUND, Lane.ROLLING: FOUND}, [], ("y", None))
    assert [s.column for s in kept[Lane.ANCHORED]] == ["y"]
    assert kept[Lane.ROLLING] == ()


def test_a_name_too_long_to_be_read_again_is_left_out():
    long = "x" * 300
    kept = kept_shapes({Lane.ANCHORED: {long: shape(long)}}, reasons(long), (None,))
    assert kept[Lane.ANCHORED] == ()


def test_the_pool_speaks_of_what_it_accuses_and_the_batch_of_the_rest():
    own, pooled = {"y": shape("y"), "x": shape("x")}, {"y": shape("y", (9, 9)), "z": shape("z")}
    found = of_batch_or_pool(own, pooled, ["y", "z", "not drawn"])
    assert found == {"y": pooled["y"], "x": own["x"], "z": pooled["z"]}


def test_all_that_is_kept_is_small():
    name = "\N{CJK UNIFIED IDEOGRAPH-4E00}" * 400
    rows = (2**53,) * MAX_CELLS
    parts = (Part(name, rows, rows),) * MAX_PARTS
    large = {
        f"{i}": Shape(f"{i}", Drawn.VALUES, (name,) * MAX_CELLS, rows, rows) for i in range(30)
    }
    large["y"] = Shape("y", Drawn.VALUES, (name,) * MAX_CELLS, rows, rows, parts)
    kept = kept_shapes({Lane.ANCHORED: large, Lane.ROLLING: large}, reasons(*large), ("y", "who"))
    written = dumps(shapes_to_json(kept))
    assert len(written) < 200_000
    assert shapes_from_json(loads(written, locator="here")) == kept


FAULTS = {
    "a list": [],
    "another lane": {"sideways": []},
    "no list": {"anchored": {}},
    "too many": {"anchored": [shape(f"x{i}").to_json() for i in range(MAX_ACCUSED + 3)]},
    "twice": {"anchored": [shape("x").to_json()] * 2},
    "no shape": {"rolling": [None]},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_anything_else_is_refused(fault):
    with pytest.raises(ValueError, match=r"\w"):
        shapes_from_json(FAULTS[fault])
