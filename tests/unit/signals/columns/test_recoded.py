"""A finding about a column that changed says which unit or spelling may be why."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.columns.recoded import FAR, SPELLINGS, UNITS
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.scan import Scan

KINDS = ("oak", "ash", "elm")


def trees(n: int, seed: int, spell=str, factor: float = 1.0, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    size = rng.lognormal(3.0, 0.5, n) * factor + shift
    kind = [spell(k) for k in rng.choice(KINDS, n).tolist()]
    return pa.table({"size": size, "kind": kind, "few": rng.integers(0, 2, n)})


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(trees(3000, 1).to_batches(), BatchSchema(), created=CREATED, seed=1)


def record(baseline, table, column):
    found = evaluate(baseline, table.to_batches(max_chunksize=500), tolerances={}, rows=False)
    return next(r for r in found.records if r.column == column and r.code.startswith("DRIFT"))


@pytest.mark.parametrize(("factor", "shift", "words"), UNITS)
@pytest.mark.parametrize("undone", [False, True])
def test_change_of_unit_is_named(baseline, factor, shift, words, undone):
    if undone:
        factor, shift = 1.0 / factor, -shift / factor
    found = record(baseline, trees(1500, 2, factor=factor, shift=shift), "size")
    assert found.status is Status.WARNED
    way = "division" if undone else "multiplication"
    assert f"Another unit may be why: {way} by {words}" in found.message


@pytest.mark.parametrize("change", [lambda v: v + 9.0, lambda v: v**1.3, lambda v: v * 0 + 20.0])
def test_drift_that_no_unit_explains_names_none(baseline, change):
    table = trees(1500, 2)
    moved = table.set_column(0, "size", pa.array(change(np.array(table["size"].to_pylist()))))
    found = record(baseline, moved, "size")
    assert found.status is Status.WARNED
    assert "unit" not in found.message


def test_clean_column_names_no_unit(baseline):
    assert record(baseline, trees(1500, 2), "size").status is Status.PASSED


@pytest.mark.parametrize(
    ("spell", "words"),
    [
        (str.upper, "by case alone"),
        (lambda k: f"{k} ", "by outer blanks alone"),
        (lambda k: f" {k.title()}\t", "by case and outer blanks alone"),
    ],
)
def test_other_spelling_of_known_categories_is_named_with_the_rows(baseline, spell, words):
    found = record(baseline, trees(600, 2, spell=spell), "kind")
    assert found.status is Status.WARNED
    assert f"600 of these 600 rows differ from a known one {words}" in found.message


def test_really_new_categories_are_called_new_and_not_quoted(baseline):
    found = record(baseline, trees(600, 2, spell=lambda k: k[::-1]), "kind")
    assert "never had" in found.message
    assert "differ" not in found.message
    assert "kao" not in found.message


@pytest.mark.parametrize("counting", [FAR, SPELLINGS])
def test_counts_are_those_of_any_partition_and_travel_as_bytes(baseline, counting):
    table = trees(900, 3, spell=str.upper, factor=2.5)

    def counted(part):
        scan = Scan.start(baseline, keep_rows=False)
        for batch in part.to_batches(max_chunksize=200):
            scan.update(batch)
        return scan.counters[counting.name]

    whole, halves = counted(table), counted(table.slice(400)).merge(counted(table.slice(0, 400)))
    assert whole == halves
    assert type(whole).from_bytes(whole.to_bytes()) == whole
    assert whole.columns
