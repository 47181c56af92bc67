"""A shape comes back from its JSON, and nothing that is not one, or is larger, is taken for it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest.canonical import dumps, loads
from sluicegate.signals.decision.shape import (
    MAX_CELLS,
    MAX_COLUMN,
    MAX_PARTS,
    MAX_TEXT,
    Drawn,
    Part,
    Played,
    Shape,
)

COUNT = st.integers(0, 2**53)
NAME = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)


@st.composite
def shapes(draw):
    n = draw(st.integers(1, MAX_CELLS))
    rows = st.tuples(*[COUNT] * n)
    return Shape(
        draw(NAME),
        draw(st.sampled_from(Drawn)),
        draw(st.tuples(*[NAME] * n)),
        draw(rows),
        draw(rows),
        tuple(draw(st.lists(st.builds(Part, NAME, rows, rows), max_size=3))),
        draw(st.sampled_from(["", "of the same time"])),
        draw(st.sampled_from(Played)),
    )


@given(shapes())
def test_what_is_written_is_read_again(shape):
    assert Shape.from_json(loads(dumps(shape.to_json()), locator="here")) == shape


@given(shapes())
def test_shares_add_up_or_are_none(shape):
    for rows, shares in ((shape.rows_before, shape.baseline), (shape.rows_now, shape.batch)):
        assert sum(shares) == pytest.approx(1.0 if sum(rows) else 0.0)


WHOLE = Shape(
    "x", Drawn.NUMBERS, ("up to 1", "from 1"), (3, 4), (5, 6), (Part("c1", (1, 2), (3, 4)),)
).to_json()

FAULTS = {
    "no object": lambda _: [],
    "field missing": lambda v: v.pop("note"),
    "another field": lambda v: v.update(rows=[1, 2]),
    "unknown role": lambda v: v.update(role="id"),
    "unknown kind": lambda v: v.update(kind="pie"),
    "kind is a number": lambda v: v.update(kind=1),
    "column is null": lambda v: v.update(column=None),
    "column too long": lambda v: v.update(column="x" * (MAX_COLUMN + 1)),
    "no cells": lambda v: v.update(cells=[], baseline=[], batch=[], parts=[]),
    "too many cells": lambda v: v.update(
        cells=["c"] * 33, baseline=[1] * 33, batch=[1] * 33, parts=[]
    ),
    "cell is a number": lambda v: v.update(cells=["up to 1", 1]),
    "cell too long": lambda v: v.update(cells=["x" * (MAX_TEXT + 1), "y"]),
    "cell that hides": lambda v: v.update(cells=["\u202eup to 1", "y"]),
    "fewer rows than cells": lambda v: v.update(batch=[1]),
    "rows are shares": lambda v: v.update(batch=[0.5, 0.5]),
    "rows are truths": lambda v: v.update(batch=[True, False]),
    "negative rows": lambda v: v.update(baseline=[-1, 2]),
    "rows are text": lambda v: v.update(baseline="12"),
    "too many parts": lambda v: v.update(parts=v["parts"] * (MAX_PARTS + 1)),
    "parts are an object": lambda v: v.update(parts={}),
    "part is text": lambda v: v.update(parts=["c1"]),
    "part of other cells": lambda v: v["parts"][0].update(batch=[1, 2, 3]),
    "part with another field": lambda v: v["parts"][0].update(note=""),
    "part that hides": lambda v: v["parts"][0].update(subject="c\x1b[1m"),
    "note too long": lambda v: v.update(note="n" * (MAX_TEXT + 1)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_anything_else_is_refused(fault):
    value = copy.deepcopy(WHOLE)
    changed = FAULTS[fault](value)
    with pytest.raises(ValueError, match=r"\w"):
        Shape.from_json(changed if fault == "no object" else value)


def test_the_example_of_the_faults_is_sound():
    assert Shape.from_json(WHOLE).to_json() == WHOLE
