"""A policy says what is kept of rows; less is the default, and nobody above may show more."""

from __future__ import annotations

import copy

import pytest
import yaml

from sluicegate.errors import ConfigError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import parse_policy
from sluicegate.gate.worst_rows import MAX_TEXT, MOST, KeptRows, RowRules, Shown, WorstRow

BASE = yaml.safe_load(DEFAULT_POLICY)


def parsed(**change):
    return parse_policy({**BASE, **change}, b"raw", locator="policy.yaml")


def test_nothing_is_kept_of_rows_unless_a_policy_asks():
    assert parsed().worst_rows is None
    assert parsed(worst_rows={"most": 5}).worst_rows == RowRules(5, frozenset())
    asked = parsed(worst_rows={"most": 5, "values": ["id", "contributor"]}).worst_rows
    assert asked == RowRules(5, frozenset({Shown.ID, Shown.CONTRIBUTOR}))


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"values": ["id"]},
        {"most": 0},
        {"most": MOST + 1},
        {"most": 1.5},
        {"most": True},
        {"most": "5"},
        {"most": 5, "values": []},
        {"most": 5, "values": "id"},
        {"most": 5, "values": ["price"]},
        {"most": 5, "columns": ["price"]},
        [],
        None,
    ],
)
def test_what_makes_no_sense_is_refused(section):
    with pytest.raises(ConfigError, match="worst_rows"):
        parsed(worst_rows=section)


@pytest.mark.parametrize(
    ("below", "above"),
    [
        (None, {"most": 1}),
        ({"most": 5}, {"most": 6}),
        ({"most": 5}, {"values": ["id"]}),
        ({"most": 5, "values": ["id"]}, {"values": ["id", "label"]}),
    ],
)
def test_a_source_may_not_show_more_than_the_file(below, above):
    change = {} if below is None else {"worst_rows": below}
    with pytest.raises(ConfigError, match=r"sources\.flights: .*worst_rows shows more"):
        parsed(**change, sources={"flights": {"worst_rows": above}})


def test_a_source_may_show_less():
    policy = parsed(
        worst_rows={"most": 5, "values": ["id", "label"]},
        sources={"flights": {"worst_rows": {"most": 2, "values": ["id"]}}},
    )
    assert policy.for_source("flights").worst_rows == RowRules(2, frozenset({Shown.ID}))


ROWS = KeptRows(7, (WorstRow(3, 0.75, ("LABEL_FLIPS",), {Shown.ID: "a-3"}),)).to_json()

FAULTS = {
    "another field": lambda v: v.update(rows=[]),
    "field missing": lambda v: v.pop("lack"),
    "fewer named than kept": lambda v: v.update(named=0),
    "named is a truth": lambda v: v.update(named=True),
    "too many": lambda v: v.update(named=999, worst=v["worst"] * (MOST + 1)),
    "no list": lambda v: v.update(worst={}),
    "lack is null": lambda v: v.update(lack=None),
    "row is null": lambda v: v.update(worst=[None]),
    "place below 0": lambda v: v["worst"][0].update(row=-1),
    "place is text": lambda v: v["worst"][0].update(row="3"),
    "score above 1": lambda v: v["worst"][0].update(score=1.5),
    "score is a truth": lambda v: v["worst"][0].update(score=True),
    "no code": lambda v: v["worst"][0].update(codes=[]),
    "code is a number": lambda v: v["worst"][0].update(codes=[1]),
    "another role": lambda v: v["worst"][0].update(values={"price": "7"}),
    "value is a number": lambda v: v["worst"][0].update(values={"id": 7}),
    "value too long": lambda v: v["worst"][0].update(values={"id": "x" * (MAX_TEXT + 1)}),
    "value that hides": lambda v: v["worst"][0].update(values={"id": "\u202ea"}),
    "values are a list": lambda v: v["worst"][0].update(values=["a"]),
    "row with another field": lambda v: v["worst"][0].update(file="x"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_that_no_gate_writes_are_refused(fault):
    assert KeptRows.from_json(ROWS).to_json() == ROWS
    value = copy.deepcopy(ROWS)
    FAULTS[fault](value)
    with pytest.raises(ValueError, match=r"\w"):
        KeptRows.from_json(value)
