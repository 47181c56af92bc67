"""One column that breaks does not switch off what is asked of the others."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from tests.attacks.signals import changes
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows, put

from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.baseline.stored import Baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

pytestmark = pytest.mark.slow  # many baselines, each of its own rows

WHOLE_ROWS = {"DUPLICATES", "LABEL_CONFLICTS", "LEAKAGE", "REDELIVERY"}
"""They compare whole rows, so they need all features, and say so."""


def as_words(table: pa.Table, name: str) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, pa.array([f"v{v}" for v in table[name].to_pylist()]))


def repeated(table: pa.Table, name: str) -> pa.Table:
    return table.append_column(pa.field(name, table.schema.field(name).type), table[name])


BREAKS = {
    "missing": lambda t: t.drop_columns(["x3"]),
    "of another type": lambda t: as_words(t, "x3"),
    "repeated": lambda t: repeated(t, "x3"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_all_other_signals_judge_what_is_left(check, batch, name):
    records = check(BREAKS[name](batch))
    blind = {key for key, r in records.items() if r.status is Status.NOT_EVALUATED}
    assert {code for code, column in blind if column != "x3"} == WHOLE_ROWS
    for code in ("OUTLIERS", "TRIGGER_VALUES", "TRIGGER_PAIRS"):
        assert "Not judged: column x3" in records[code, ""].message
    assert records["COMPLETENESS", "x3"].status is Status.NOT_EVALUATED, "so the batch is blocked"


def test_batch_whose_column_lost_its_values_blames_that_column_alone(check, batch):
    records = check(put(batch, "x3", [None] * batch.num_rows))
    failed = {key for key, r in records.items() if r.status is Status.FAILED}
    assert failed == {("COMPLETENESS", "x3")}


@pytest.mark.parametrize("name", BREAKS)
def test_attack_on_another_column_is_found_beside_a_broken_one(check, batch, name):
    rows = [9.0 + i if i % 40 == 0 else v for i, v in enumerate(batch["x2"].to_pylist())]
    records = check(BREAKS[name](put(batch, "x2", rows)))
    failed = {code for (code, _), r in records.items() if r.status is Status.FAILED}
    assert "OUTLIERS" in failed


def test_nulls_in_the_column_that_tells_most_cannot_drown_what_the_other_rows_say(check, batch):
    """A row without it says next to nothing, so it must count next to nothing."""
    notes = [None if i % 70 == 0 else v for i, v in enumerate(batch["note"].to_pylist())]
    clean = check(put(batch, "note", notes))["LABEL_FLIPS", "y"]
    assert clean.status is Status.PASSED
    assert "rows are judged without column note (missing)" in clean.message
    flipped = changes.flip(0.04, who="c2")(put(batch, "note", notes))
    assert check(flipped)["LABEL_FLIPS", "y"].status is Status.FAILED


def test_batch_without_the_column_that_tells_most_could_not_be_checked_for_flips(check, batch):
    record = check(batch.drop_columns(["note"]))["LABEL_FLIPS", "y"]
    assert record.status is Status.NOT_EVALUATED
    assert "note (the batch has no such column)" in record.message


@pytest.fixture(scope="module")
def with_empty():
    rows = make_rows(600, 1)
    columns = {"later": pa.nulls(600), "never": pa.nulls(600, pa.float64())}
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    return build_baseline(rows.to_batches(), SCHEMA, created=CREATED, seed=1)


@pytest.mark.parametrize(
    "type_", [pa.null(), pa.float64(), pa.string(), pa.timestamp("us"), pa.list_(pa.int8())]
)
def test_column_that_was_and_is_empty_changes_no_type_and_blocks_nothing(with_empty, type_):
    rows = make_rows(300, 2)
    for name in ("later", "never"):
        rows = rows.append_column(name, pa.nulls(300, type_))
    records = evaluate(with_empty, rows.to_batches(), tolerances={}).records
    blocked = {r.code for r in records if r.status in (Status.FAILED, Status.NOT_EVALUATED)}
    assert blocked == set()


@pytest.mark.parametrize("values", [[1.5] * 300, ["word"] * 300, [None] * 299 + [True]])
def test_values_in_a_column_that_was_empty_are_extra_and_not_judged(with_empty, values):
    rows = make_rows(300, 2).append_column("later", pa.array(values))
    rows = rows.append_column("never", pa.nulls(300))
    found = evaluate(with_empty, rows.to_batches(), tolerances={"SCHEMA:extra": 0.0}).records
    record = next(r for r in found if r.code == "SCHEMA")
    assert record.status is Status.WARNED
    assert record.evidence["extra"] == ["later"]
    assert "type-changed" not in record.evidence


def test_baseline_built_before_columns_could_be_spared_is_read_and_its_strange_rows_are_silent(
    baseline, batch
):
    old = replace(baseline, labels=replace(baseline.labels, spared=None))
    assert b'"spared"' not in old.to_bytes()
    read = Baseline.from_bytes(old.to_bytes())
    assert read.labels.spared is None

    def flips(every):
        kinds = [None if i % every == 0 else k for i, k in enumerate(batch["kind"].to_pylist())]
        found = evaluate(read, put(batch, "kind", kinds).to_batches(), tolerances={}).records
        return next(r for r in found if r.code == "LABEL_FLIPS")

    assert flips(100).status is Status.PASSED
    assert 15 <= flips(100).evidence["silent"] < 25, "those out of range too"
    assert flips(10).status is Status.NOT_EVALUATED
