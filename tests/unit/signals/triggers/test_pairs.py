"""Tables of pairs of columns, and what is crowded in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.signals.conftest import make_rows, put

from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.triggers.pair_table import N_GROUPS, PairTable, rows_in
from sluicegate.signals.triggers.pairs import crowded

PAIRS = (("a", "b"), ("a", "c"))
GROUPS = st.integers(0, N_GROUPS - 1)
ROWS = st.lists(st.tuples(GROUPS, GROUPS, GROUPS, st.integers(-1, 1)), max_size=40)


def table(rows) -> PairTable:
    values = np.array(rows, dtype=np.int64).reshape(-1, 4)
    found = PairTable.empty(PAIRS, 2)
    groups = {n: values[:, i].astype(np.uint8) for i, n in enumerate("abc")}
    found.add(groups, values[:, 3].astype(np.intp))
    return found


def same(x: PairTable, y: PairTable) -> bool:
    return x.pairs == y.pairs and (x.counts == y.counts).all() and (x.rows == y.rows).all()


@given(ROWS, ROWS)
def test_counts_do_not_depend_on_order_and_parts_add_up(one, two):
    assert same(table(one + two), table(two + one))
    assert same(table(one + two).less(table(two)), table(one))


@given(ROWS)
def test_table_survives_json(rows):
    found = table(rows)
    assert same(PairTable.from_json(found.to_json()), found)


@given(ROWS)
def test_squares_of_two_hold_the_rows_of_their_four_cells(rows):
    found, known = table(rows), [r for r in rows if r[3] >= 0]
    for index, counts in enumerate(found.places(2).counts):
        if counts.sum():
            pair, i, j = found.places(2).place(index)
            inside = [r for r in known if 0 <= r[0] - i < 2 and 0 <= r[pair + 1] - j < 2]
            assert counts.sum() == len(inside)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [-1, 0]},
        {"rows": [0.5, 0]},
        {"pairs": [["a", "b"]] * 300},
        {"cells": "AQAAAAAAAAA="},  # 1 before 0
        {"cells": "/////w=="},
        {"counts": "AAAA"},
        {"cells": "no base64"},
    ],
)
def test_malformed_table_is_refused(change):
    good = table([(1, 2, 3, 0), (4, 5, 6, 1)]).to_json()
    with pytest.raises((KeyError, TypeError, ValueError)):
        PairTable.from_json({**good, **change})


def background(n: int, seed: int) -> list[tuple[int, int, int, int]]:
    rng = np.random.default_rng(seed)
    return [
        (*map(int, g), int(y))
        for g, y in zip(rng.integers(0, 31, (n, 3)), rng.integers(0, 2, n), strict=True)
    ]


def test_crowd_under_one_label_is_found_across_a_border_of_cells():
    base, rng = table(background(3000, 1)), np.random.default_rng(3)
    planted = [
        (7 + int(rng.integers(2)), 19 + int(rng.integers(2)), int(rng.integers(31)), 1)
        for _ in range(45)
    ]
    found = crowded(table(background(1455, 2) + planted), base)[0]
    assert (found.pair, found.place, found.width) == (("a", "b"), (7, 19), 2)
    assert found.association.p_value < 1e-5


def test_column_that_moved_as_a_whole_crowds_nothing():
    """A season moves many rows to few values, and their labels go with other columns."""
    moved = [(30, b, c, int(b > 15)) for _, b, c, _ in background(1500, 2)]
    base = [(a, b, c, int(b > 15)) for a, b, c, _ in background(3000, 1)]
    assert [c for c in crowded(table(moved), table(base)) if c.association.p_value < 0.01] == []


def test_new_rows_with_a_mix_of_labels_are_tied_to_none():
    """A source that begins to deliver has its own share of each label."""
    begun = [(7, 19, 3, int(i % 5 < 2)) for i in range(150)]
    base = [(a, b, c, int(y and a % 2)) for a, b, c, y in background(3000, 1)]  # a quarter are 1
    batch = [(a, b, c, int(y and a % 2)) for a, b, c, y in background(1350, 2)]
    found = crowded(table(batch + begun), table(base))
    assert all(c.association.p_value > 0.01 or c.association.class_index == 0 for c in found)


def test_rows_of_the_place_are_named(baseline):
    batch = make_rows(1500, 2)
    rng, at = np.random.default_rng(3), np.arange(0, 1500, 33)
    labels = batch["y"].to_pylist()
    for name, centre in (("x2", 1.31), ("x3", -1.27)):
        values = batch[name].to_pylist()
        for i in at:
            values[i] = centre + rng.normal() * 0.02
        batch = put(batch, name, values)
    for i in at:
        labels[i] = 1
    found = evaluate(baseline, put(batch, "y", labels).to_batches(), tolerances={})
    record = next(r for r in found.records if r.code == "TRIGGER_PAIRS")
    assert record.status is Status.FAILED
    assert "x2 and x3" in record.message
    named = {i for i, r in enumerate(found.row_reasons) if "TRIGGER_PAIRS" in r}
    assert len(named & set(at.tolist())) > 0.9 * at.size
    assert len(named & set(at.tolist())) > 0.8 * len(named)


def test_rows_in_a_place_are_those_of_both_columns():
    groups = {"a": np.array([7, 8, 9, 7], np.uint8), "b": np.array([2, 3, 2, 5], np.uint8)}
    assert rows_in(groups, ("a", "b"), (7, 2), 2).tolist() == [True, True, False, False]
    assert rows_in(groups, ("a", "b"), (7, 2), 1).tolist() == [True, False, False, False]
