"""Shapes are sums of rows: any split of a batch gives the same, and no row is counted twice."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED, make_prices, make_rows, put

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.accused import shapes_of
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.contributors.names import SHOWN, ContributorNames
from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.signals.decision.shape import MAX_CELLS, MAX_PARTS, Drawn
from sluicegate.signals.scan import Scan


def accusing(*columns, contributors=()):
    evidence = {"contributors": [{"subject": f"contributor {c}"} for c in contributors]}
    return [
        SignalRecord(
            code="ANY", family=Family.DRIFT, status=Status.FAILED, column=c, evidence=evidence
        )
        for c in columns
    ]


def drawn(baseline, table, *columns, values=True, naming=SHOWN, contributors=(), pieces=None):
    scans = []
    for piece in pieces or [table]:
        scan = Scan.start(baseline, keep_rows=False)
        scan.update_all(piece.to_batches())
        scans.append(scan)
    whole = scans[0]
    for scan in scans[1:]:
        whole = whole.merge(scan)
    records = accusing(*columns, contributors=contributors)
    return shapes_of(whole.comparison({}, naming), records, values=values)


ALL = (*(f"x{i}" for i in range(4)), "kind", "note", "at", "serial", "id")


def test_any_split_of_a_batch_gives_the_same_bytes(baseline, batch):
    whole = drawn(baseline, batch, *ALL)
    cuts = sorted(random.Random(7).sample(range(1, batch.num_rows), 5))
    ends = [0, *cuts, batch.num_rows]
    pieces = [batch.slice(a, b - a) for a, b in itertools.pairwise(ends)]
    random.Random(8).shuffle(pieces)
    assert drawn(baseline, batch, *ALL, pieces=pieces) == whole
    small = pa.Table.from_batches(batch.to_batches(max_chunksize=17))
    assert drawn(baseline, small, *ALL) == whole


def test_every_row_is_in_one_cell(baseline, batch):
    batch = put(batch, "x0", [None, float("nan"), 1e9, -1e9, *batch["x0"].to_pylist()[4:]])
    batch = put(batch, "kind", [None, "violet", *batch["kind"].to_pylist()[2:]])
    batch = put(batch, "at", [None, *batch["at"].to_pylist()[1:]])
    batch = put(batch, "y", [None, 7, *batch["y"].to_pylist()[2:]])
    shapes = drawn(baseline, batch, *ALL)
    assert set(shapes) == {*ALL, "y", "who"}
    for name, shape in shapes.items():
        assert sum(shape.rows_now) == batch.num_rows, name
        if shape.kind is not Drawn.TIME:
            assert sum(shape.rows_before) == baseline.n_rows, name
        assert len(shape.cells) <= MAX_CELLS
    x0 = dict(zip(shapes["x0"].cells, shapes["x0"].rows_now, strict=True))
    assert x0["missing"] == x0["not a number or infinite"] == 1
    assert x0["below the baseline's minimum"] == x0["above the baseline's maximum"] == 1
    assert shapes["y"].rows_now[-2:] == (1, 1), "the new class, and the row without one"
    assert shapes["kind"].rows_now[-2:] == (1, 1)
    assert shapes["at"].rows_now[-1] == 1


def test_parts_of_the_label_are_its_contributors_rows(baseline, batch):
    label = drawn(baseline, batch)["y"]
    parts = {part.subject: part for part in label.parts}
    assert set(parts) == {f"contributor c{i}" for i in range(6)}
    for side in ("rows_before", "rows_now"):
        each = [getattr(part, side) for part in label.parts]
        assert tuple(map(sum, zip(*each, strict=True))) == getattr(label, side)
    c1 = np.array(batch["who"].to_pylist()) == "c1"
    assert sum(parts["contributor c1"].rows_now) == c1.sum()


def test_whoever_is_accused_has_a_part_however_small(baseline, batch):
    many = [f"c{i}" for i in range(batch.num_rows)]
    accused = many[-1]
    label = drawn(baseline, put(batch, "who", many), "y", contributors=[accused])["y"]
    assert len(label.parts) == MAX_PARTS
    assert label.parts[0].subject == f"contributor {accused}"
    assert sum(label.parts[0].rows_now) == 1
    assert sum(label.parts[0].rows_before) == 0


def test_no_value_of_a_row_is_told_where_values_are_not_to_be(baseline, batch):
    batch = put(batch, "kind", ["violet", *batch["kind"].to_pylist()[1:]])
    batch = put(batch, "y", [777, *batch["y"].to_pylist()[1:]])
    shapes = drawn(baseline, batch, *ALL, values=False, naming=ContributorNames(hidden=True))
    told = " ".join(
        text
        for shape in shapes.values()
        for text in (*shape.cells, *(part.subject for part in shape.parts), shape.note)
    )
    secret = {"violet", "777", "red", "green", "blue", "word1", *(f"c{i}" for i in range(6))}
    assert not secret & set(told.replace(",", " ").split())
    assert "value 1 of the baseline" in shapes["kind"].cells
    for name in ("x0", "x1"):
        extremes = baseline.layout.columns[[c.name for c in baseline.layout.columns].index(name)]
        assert f"{extremes.edges[0]:g}" not in told.split()
        assert f"{extremes.edges[-1]:g}" not in told.split()


def test_ranks_of_values_are_those_of_the_baseline(baseline, batch):
    only_blue = put(batch, "kind", ["blue"] * batch.num_rows)
    kind = drawn(baseline, only_blue, "kind", values=False)["kind"]
    assert kind.cells[:3] == tuple(f"value {i} of the baseline" for i in (1, 2, 3))
    assert kind.rows_now[:3] == (0, 0, batch.num_rows)
    assert sorted(kind.rows_before[:3], reverse=True) == list(kind.rows_before[:3])


def test_nothing_is_drawn_of_an_accused_column_that_is_not_there(baseline, batch):
    shapes = drawn(baseline, batch.drop_columns(["x0", "who"]), "x0", "no such column")
    assert set(shapes) == {"y"}
    assert shapes["y"].parts == ()


def test_a_finding_that_passed_accuses_nobody(baseline, batch):
    scan = Scan.start(baseline, keep_rows=False)
    scan.update_all(batch.to_batches())
    passed = [SignalRecord(code="ANY", family=Family.DRIFT, status=Status.PASSED, column="x0")]
    assert set(shapes_of(scan.comparison({}, SHOWN), passed, values=False)) == {"y", "who"}


@pytest.mark.parametrize("n_values", [1, 2, 300])
def test_a_column_of_few_or_many_values_fits(n_values):
    table = make_rows(600, 3)
    table = put(table, "x0", [float(i % n_values) for i in range(600)])
    table = put(table, "kind", [f"k{i % n_values}" for i in range(600)])
    found = build_baseline(
        table.to_batches(), BatchSchema(id="id", label="y"), created=CREATED, seed=1
    )
    for shape in drawn(found, table, "x0", "kind").values():
        assert shape.rows_before == shape.rows_now
        assert len(shape.cells) <= MAX_CELLS


def test_a_label_that_is_a_number_is_drawn_by_its_slices(priced):
    table = make_prices(500, 4)
    price = drawn(priced, table)["price"]
    assert price.kind is Drawn.NUMBERS
    assert sum(price.rows_now) == sum(sum(part.rows_now) for part in price.parts) == 500
