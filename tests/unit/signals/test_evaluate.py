"""A check as a whole: complete, deterministic, indifferent to order and partition, explicit."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows, put

from sluicegate.errors import ConfigError
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import OF_BATCHES, expected_codes

BAD = (Status.FAILED, Status.WARNED, Status.NOT_EVALUATED)


def test_clean_batch_passes_every_signal(check, batch, baseline, priced):
    records = check(batch)
    assert {k: r.message for k, r in records.items() if r.status in BAD} == {}
    assert {code for code, _ in records} == set(expected_codes(baseline))
    asked = {*expected_codes(baseline), *expected_codes(priced)}
    assert asked == {signal.code for signal in OF_BATCHES}


def test_one_record_a_code_and_column(baseline, batch):
    found = evaluate(baseline, batch.to_batches(), tolerances={}).records
    assert len({(r.code, r.column) for r in found}) == len(found)


def test_records_are_json_and_hold_no_row_values(baseline, batch):
    text = json.dumps(
        [r.to_dict() for r in evaluate(baseline, batch.to_batches(), tolerances={}).records]
    )
    assert "2-17" not in text
    assert batch["note"][0].as_py() not in text


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1500, 700, 64])
def test_records_unchanged_when_partitioned(baseline, batch, chunk):
    flipped = put(
        batch, "y", [1 - v if i % 9 == 0 else v for i, v in enumerate(batch["y"].to_pylist())]
    )
    whole = evaluate(baseline, flipped.to_batches(), tolerances={})
    parts = evaluate(baseline, flipped.to_batches(max_chunksize=chunk), tolerances={})
    assert parts.records == whole.records
    assert np.array_equal(parts.row_scores, whole.row_scores)


def test_records_unchanged_when_rows_or_columns_reordered(baseline, batch):
    whole = evaluate(baseline, batch.to_batches(), tolerances={})
    order = np.random.default_rng(0).permutation(batch.num_rows)
    mixed = batch.take(order.tolist()).select(batch.column_names[::-1])
    found = evaluate(baseline, mixed.to_batches(), tolerances={})
    assert found.records == whole.records
    assert np.array_equal(found.row_scores, whole.row_scores[order])


@pytest.mark.slow
def test_same_decision_for_one_and_ten_times_the_rows(baseline):
    small = evaluate(baseline, make_rows(1500, 5).to_batches(), tolerances={})
    large = evaluate(baseline, make_rows(15_000, 6).to_batches(), tolerances={})
    assert [r.status for r in small.records] == [r.status for r in large.records]


def test_row_output_has_a_line_a_row_in_order(baseline, batch):
    found = evaluate(baseline, batch.to_batches(), tolerances={})
    assert found.row_ids.to_pylist() == batch["id"].to_pylist()
    assert found.row_scores.shape == (1500,)
    assert len(found.row_reasons) == 1500
    assert ((found.row_scores >= 0) & (found.row_scores <= 1)).all()


def test_rows_can_be_left_out(baseline, batch):
    found = evaluate(baseline, batch.to_batches(), tolerances={}, rows=False)
    assert found.row_scores is None
    assert found.row_ids is None


def test_too_few_rows_are_not_evaluated_not_passed(check, batch):
    records = check(batch.slice(0, 20))
    passed = {code for (code, _), r in records.items() if r.status is Status.PASSED}
    one_row_is_enough = {"LABEL_NEW_CLASS", "CONTRIBUTOR_NEW", "LEAKAGE", "HIDDEN_UNICODE"}
    assert passed == {"SCHEMA", "ROW_COUNT", *one_row_is_enough}
    assert all(r.message for r in records.values())


def test_zero_rows_are_not_evaluated(baseline, batch):
    found = evaluate(baseline, batch.slice(0, 0).to_batches(), tolerances={})
    assert found.n_rows == 0
    assert {r.code for r in found.records} == set(expected_codes(baseline))
    assert not any(r.status is Status.PASSED and r.code != "SCHEMA" for r in found.records)


def test_no_batch_at_all_fails_schema_and_evaluates_nothing(baseline):
    found = evaluate(baseline, [], tolerances={})
    assert next(r for r in found.records if r.code == "SCHEMA").status is Status.FAILED
    assert not any(r.status is Status.PASSED for r in found.records)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["y", "who", "x0", "kind", "note"])
def test_missing_column_fails_schema_and_is_never_passed_over(check, batch, name):
    records = check(batch.drop_columns([name]))
    assert records["SCHEMA", ""].status is Status.FAILED
    assert all(r.status is Status.NOT_EVALUATED for (_, c), r in records.items() if c == name)
    # Without a feature labels are judged by what the others say of them, if that is enough.
    decisive = name in ("y", "note")
    judged = records["LABEL_FLIPS", "y"]
    assert judged.status is (Status.NOT_EVALUATED if decisive else Status.PASSED)


def test_column_that_was_renamed_is_named_twice_in_one_finding(check, batch):
    names = ["z9" if name == "x0" else name for name in batch.column_names]
    message = check(batch.rename_columns(names))["SCHEMA", ""].message
    assert "1 missing column: x0; 1 extra column (not judged): z9" in message


def test_type_change_fails_schema(check, batch):
    changed = batch.set_column(3, "x0", pa.array([str(v) for v in batch["x0"].to_pylist()]))
    records = check(changed)
    assert records["SCHEMA", ""].status is Status.FAILED
    assert "1 column of another type: x0 (now string)" in records["SCHEMA", ""].message
    assert records["DRIFT_NUMERIC", "x0"].status is Status.NOT_EVALUATED


def test_repeated_column_name_fails_schema(baseline, batch):
    twice = pa.Table.from_arrays([*batch.columns, batch["x0"]], names=[*batch.column_names, "x0"])
    found = evaluate(baseline, twice.to_batches(), tolerances={})
    assert next(r for r in found.records if r.code == "SCHEMA").status is Status.FAILED


def test_extra_column_is_named_as_not_judged_and_warns_if_the_policy_says_so(check, batch):
    wide = batch.append_column("partition", pa.array(list(range(1500))))
    record = check(wide)["SCHEMA", ""]
    assert record.status is Status.PASSED
    assert record.evidence["extra"] == ["partition"]
    strict = check(wide, tolerances={"SCHEMA:extra": 0.0})["SCHEMA", ""]
    assert strict.status is Status.WARNED
    assert "not judged" in strict.message


def test_index_column_of_pandas_is_no_column(check, batch):
    indexed = batch.append_column("__index_level_0__", pa.array(list(range(1500))))
    assert check(indexed)["SCHEMA", ""].status is Status.PASSED


@pytest.mark.slow
def test_policy_overrides_a_tolerance_by_code_and_by_column(check, batch):
    shifted = put(batch, "x0", [v + 1.0 for v in batch["x0"].to_pylist()])
    assert check(shifted)["DRIFT_NUMERIC", "x0"].status is Status.WARNED
    for key in ("DRIFT_NUMERIC", "DRIFT_NUMERIC:x0"):
        found = check(shifted, tolerances={key: 0.9})["DRIFT_NUMERIC", "x0"]
        assert found.status is Status.PASSED
        assert found.tolerance == 0.9


@pytest.mark.parametrize("tolerances", [{"NO_SUCH": 0.1}, {"DRIFT_NUMERIC": 2.0}, {"SCHEMA": -1.0}])
def test_unusable_tolerance_is_refused(baseline, batch, tolerances):
    with pytest.raises(ConfigError, match="tolerance"):
        evaluate(baseline, batch.to_batches(), tolerances=tolerances)


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1])
def test_unusable_budget_is_refused(baseline, batch, budget):
    with pytest.raises(ConfigError, match="false_block_budget"):
        evaluate(baseline, batch.to_batches(), tolerances={}, false_block_budget=budget)


@pytest.mark.slow
def test_nested_column_is_not_evaluated():
    rows = make_rows(400, 1).append_column("bag", pa.array([[1, 2]] * 400))
    base = build_baseline(rows.to_batches(), SCHEMA, created=CREATED, seed=1)
    found = evaluate(base, rows.to_batches(), tolerances={}).records
    record = next(r for r in found if r.column == "bag" and r.code.startswith("DRIFT"))
    assert record.status is Status.NOT_EVALUATED
    assert "nested" in record.message


def test_awkward_columns_do_not_break_a_check():
    rows = make_rows(600, 1)
    odd = pa.table(
        {
            "y": rows["y"],
            "constant": pa.array([1.0] * 600),
            "nulls": pa.array([None] * 600, type=pa.float64()),
            "null_type": pa.nulls(600),
            "infinite": pa.array([float("inf") if i % 2 else 1.0 for i in range(600)]),
            "huge": pa.array([2**62 + i for i in range(600)]),
            "binary": pa.array([b"x"] * 600),
            "when": rows["at"],
            "x0": rows["x0"],
        }
    )
    base = build_baseline(odd.to_batches(), BatchSchema(label="y"), created=CREATED, seed=1)
    found = evaluate(base, odd.to_batches(), tolerances={})
    failed = {(r.code, r.column): r.message for r in found.records if r.status is Status.FAILED}
    assert failed == {}
    reasons = {r.column for r in found.records if r.status is Status.NOT_EVALUATED}
    assert reasons == set(), "a column that never had a value is no reason to block for ever"


def test_one_class_has_no_flip_model_and_says_why():
    rows = put(make_rows(600, 1), "y", [1] * 600)
    base = build_baseline(rows.to_batches(), SCHEMA, created=CREATED, seed=1)
    records = {r.code: r for r in evaluate(base, rows.to_batches(), tolerances={}).records}
    assert records["LABEL_FLIPS"].status is Status.NOT_EVALUATED
    assert "two classes" in records["LABEL_FLIPS"].message
    assert "LABEL_FLIPS" in expected_codes(base)


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        ("y", {"TRIGGER_TOKENS", "TRIGGER_VALUES"}),
        ("who", {"CONTRIBUTOR_NEW", "CONTRIBUTOR_FLOOD"}),
    ],
)
def test_signals_that_need_a_wholly_null_column_are_not_evaluated(check, batch, column, codes):
    records = check(put(batch, column, [None] * batch.num_rows))
    judged = [r for (code, _), r in records.items() if code in codes]
    assert {r.code for r in judged} == codes
    assert {r.status for r in judged} == {Status.NOT_EVALUATED}
    assert all(
        "label that the baseline knows" in r.message or "names a contributor" in r.message
        for r in judged
    )
