"""A suite's records are the core's, and what cannot be accounted for never passes."""

from __future__ import annotations

import json
import logging

import pyarrow as pa
import pytest

from sluicegate.adapters.gx import run_suite
from sluicegate.adapters.gx.catalog import CATALOG, CODE_OF
from sluicegate.adapters.gx.suite import expectation_types
from sluicegate.adapters.gx.yardstick import judging
from sluicegate.errors import ConfigError, InsufficientData
from sluicegate.signals import evaluate as core
from sluicegate.signals.decision.record import Status
from sluicegate.signals.scan import scan_beside

pytestmark = pytest.mark.slow  # Great Expectations takes seconds to import

FLIPS = "expect_labels_to_agree_with_baseline"


def run(table, suite, baseline, **changes):
    settings = {"tolerances": {}, "false_block_budget": 0.01, **changes}
    return run_suite(table, suite_json=suite, baseline=baseline, **settings)


def direct(table, baseline, **changes):
    settings = {"tolerances": {}, "false_block_budget": 0.01, **changes}
    return core.evaluate(baseline, table.to_batches(), **settings).records


def by_code(outcome):
    return {record.code: record for record in outcome.records}


@pytest.mark.parametrize("batch", ["clean", "flipped"])
def test_suite_records_equal_those_of_the_core(batch, suite, baseline, request):
    table = request.getfixturevalue(batch)
    outcome = run(table, suite, baseline)
    assert outcome.records == direct(table, baseline)
    assert outcome.evaluated == expectation_types(suite)
    (scan,) = scan_beside([baseline], table.to_batches())
    (found,) = core.results_of([scan], tolerances={})
    assert outcome.shapes == found.shapes
    assert outcome.shapes


def test_policy_tolerances_and_budget_reach_the_core(flipped, suite, baseline):
    limits = {"tolerances": {"LABEL_FLIPS": 0.9}, "false_block_budget": 0.2}
    outcome = run(flipped, suite, baseline, **limits)
    assert outcome.records == direct(flipped, baseline, **limits)
    assert by_code(outcome)["LABEL_FLIPS"].status is Status.PASSED


def test_flipped_labels_fail_the_expectation_and_name_the_contributor(flipped, suite, baseline):
    record = by_code(run(flipped, suite, baseline))["LABEL_FLIPS"]
    assert record.status is Status.FAILED
    assert "bob" in record.message


def test_batch_in_chunks_with_nested_and_dictionary_columns_equals_the_core(suite, baseline, clean):
    table = pa.concat_tables([clean.slice(0, 700), clean.slice(700)])
    table = table.set_column(
        table.schema.get_field_index("colour"), "colour", table["colour"].dictionary_encode()
    ).append_column("extra", pa.array([[1, None]] * table.num_rows, pa.list_(pa.int64())))
    assert run(table, suite, baseline).records == direct(table, baseline)


def test_core_is_evaluated_once_for_all_expectations(monkeypatch, clean, suite, baseline):
    calls = []
    real = core.evaluate
    monkeypatch.setattr(core, "evaluate", lambda *a, **k: calls.append(1) or real(*a, **k))
    run(clean, suite, baseline)
    assert calls == [1]


def test_partial_suite_returns_only_its_signals(clean, suite, baseline):
    suite["expectations"] = [e for e in suite["expectations"] if e["type"] == FLIPS]
    outcome = run(clean, suite, baseline)
    assert outcome.evaluated == (FLIPS,)
    assert {record.code for record in outcome.records} == {"LABEL_FLIPS"}


def test_suite_digest_depends_on_the_demands_and_not_on_key_order(clean, suite, baseline):
    backwards = dict(reversed(suite.items()))
    assert run(clean, suite, baseline).suite_digest == run(clean, backwards, baseline).suite_digest
    fewer = {**suite, "expectations": suite["expectations"][1:]}
    assert run(clean, suite, baseline).suite_digest != run(clean, fewer, baseline).suite_digest


def test_error_of_the_core_leaves_every_signal_not_evaluated(monkeypatch, clean, suite, baseline):
    def refuse(*_, **__):
        raise InsufficientData("too few rows", expected="10", got="3")

    monkeypatch.setattr(core, "evaluate", refuse)
    outcome = run(clean, suite, baseline)
    assert {record.code for record in outcome.records} == set(CATALOG)
    assert {record.status for record in outcome.records} == {Status.NOT_EVALUATED}
    assert all("too few rows" in record.message for record in outcome.records)


def test_foreign_exception_blocks_without_its_text(monkeypatch, caplog, clean, suite, baseline):
    def crash(*_, **__):
        raise KeyError("4111-1111-1111-1111")

    monkeypatch.setattr(core, "evaluate", crash)
    with caplog.at_level(logging.DEBUG):
        outcome = run(clean, suite, baseline)
    assert {record.status for record in outcome.records} == {Status.NOT_EVALUATED}
    assert all("KeyError at test_run.py" in record.message for record in outcome.records)
    assert "4111" not in json.dumps([record.to_dict() for record in outcome.records])
    assert "4111" not in caplog.text


def test_exception_inside_one_expectation_blocks_that_signal_only(
    monkeypatch, clean, suite, baseline
):
    from sluicegate.adapters.gx.expectations import EXPECTATIONS

    def crash(*_, **__):
        raise ValueError("secret row value")

    monkeypatch.setattr(EXPECTATIONS["LABEL_FLIPS"], "_validate", crash)
    outcome = run(clean, suite, baseline)
    record = by_code(outcome)["LABEL_FLIPS"]
    assert record.status is Status.NOT_EVALUATED
    assert "secret" not in record.message
    rest = tuple(r for r in direct(clean, baseline) if r.code != "LABEL_FLIPS")
    assert outcome.records == (*rest, record)


def test_exception_of_great_expectations_itself_blocks(monkeypatch, clean, suite, baseline):
    import great_expectations as gx

    def crash(*_, **__):
        raise RuntimeError("secret row value")

    monkeypatch.setattr(gx.ValidationDefinition, "run", crash)
    outcome = run(clean, suite, baseline)
    assert outcome.evaluated == ()
    assert {record.status for record in outcome.records} == {Status.NOT_EVALUATED}
    assert all("RuntimeError at test_run.py" in r.message for r in outcome.records)
    assert "secret" not in str(outcome.records)


def test_expectation_dropped_by_great_expectations_does_not_pass(
    monkeypatch, caplog, clean, suite, baseline
):
    """As when nobody imported the module: Great Expectations logs it and succeeds."""
    import great_expectations as gx
    from great_expectations.expectations import registry

    import sluicegate.adapters.gx.expectations  # noqa: F401

    monkeypatch.delitem(registry._registered_expectations, FLIPS)
    with caplog.at_level(logging.CRITICAL):
        loaded = gx.ExpectationSuite(name="s", expectations=suite["expectations"])
    assert len(loaded.expectations) == len(suite["expectations"]) - 1
    outcome = run(clean, suite, baseline)
    record = by_code(outcome)["LABEL_FLIPS"]
    assert FLIPS not in outcome.evaluated
    assert record.status is Status.NOT_EVALUATED
    assert "dropped out" in record.message


def test_no_expectation_imported_at_all_evaluates_nothing(
    monkeypatch, caplog, clean, suite, baseline
):
    from great_expectations.expectations import registry

    import sluicegate.adapters.gx.expectations  # noqa: F401

    for name in CODE_OF:
        monkeypatch.delitem(registry._registered_expectations, name)
    with caplog.at_level(logging.CRITICAL, logger="great_expectations"):
        outcome = run(clean, suite, baseline)
    assert outcome.evaluated == ()
    assert {record.code for record in outcome.records} == set(CATALOG)
    assert {record.status for record in outcome.records} == {Status.NOT_EVALUATED}


@pytest.mark.parametrize("field", ["success", "details", "code"])
def test_result_that_contradicts_its_records_does_not_pass(
    monkeypatch, flipped, suite, baseline, field
):
    from sluicegate.adapters.gx.expectations import EXPECTATIONS

    real = EXPECTATIONS["LABEL_FLIPS"]._validate

    def forged(self, metrics, **kwargs):
        result = real(self, metrics, **kwargs)
        if field == "success":
            result["success"] = True
        elif field == "details":
            result = {"success": True, "result": {}}
        else:
            result["result"]["details"]["records"][0]["code"] = "SCHEMA"
        return result

    monkeypatch.setattr(EXPECTATIONS["LABEL_FLIPS"], "_validate", forged)
    record = by_code(run(flipped, suite, baseline))["LABEL_FLIPS"]
    assert record.status is Status.NOT_EVALUATED


def test_record_missing_from_the_core_does_not_pass(monkeypatch, clean, suite, baseline):
    real = core.evaluate

    def without_flips(*args, **kwargs):
        result = real(*args, **kwargs)
        kept = tuple(record for record in result.records if record.code != "LABEL_FLIPS")
        object.__setattr__(result, "records", kept)
        return result

    monkeypatch.setattr(core, "evaluate", without_flips)
    outcome = run(clean, suite, baseline)
    assert FLIPS in outcome.evaluated
    assert by_code(outcome)["LABEL_FLIPS"].status is Status.NOT_EVALUATED


def test_tolerance_for_unknown_signal_is_called_wrongly(clean, suite, baseline):
    with pytest.raises(ConfigError, match="takes none"):
        run(clean, suite, baseline, tolerances={"NO_SUCH": 0.1})


def test_empty_suite_is_refused(clean, suite, baseline):
    with pytest.raises(ConfigError, match="must hold expectations"):
        run(clean, {**suite, "expectations": []}, baseline)


def test_batch_without_rows_never_passes_as_a_whole(clean, suite, baseline):
    outcome = run(clean.slice(0, 0), suite, baseline)
    assert any(r.status in (Status.NOT_EVALUATED, Status.FAILED) for r in outcome.records)
    assert outcome.records == direct(clean.slice(0, 0), baseline)


def test_batch_of_nulls_equals_the_core_and_fails(clean, suite, baseline):
    nulls = pa.table(
        {f.name: pa.nulls(clean.num_rows, f.type) for f in clean.schema}, schema=clean.schema
    )
    outcome = run(nulls, suite, baseline)
    assert outcome.records == direct(nulls, baseline)
    assert any(record.status is Status.FAILED for record in outcome.records)


def test_repeated_column_names_do_not_pass(clean, suite, baseline):
    twice = pa.table([clean["size"], *clean.columns], names=["size", *clean.column_names])
    outcome = run(twice, suite, baseline)
    assert {record.code for record in outcome.records} >= {"SCHEMA", "LABEL_FLIPS"}
    assert not all(record.status is Status.PASSED for record in outcome.records)


def test_run_is_quiet_and_writes_nothing(monkeypatch, tmp_path, capfd, request):
    clean, suite, baseline = map(request.getfixturevalue, ("clean", "suite", "baseline"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run(clean, suite, baseline)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_run_puts_the_callers_own_context_back(clean, suite, baseline):
    import great_expectations as gx
    from great_expectations.data_context.data_context.context_factory import project_manager

    own = gx.get_context(mode="ephemeral")
    try:
        run(clean, suite, baseline)
        assert project_manager.get_current_project() is own
    finally:
        project_manager.set_project(None)


def test_judges_end_with_their_context(baseline):
    from sluicegate.adapters.gx.yardstick import find_yardstick

    with judging(baseline, tolerances={"SCHEMA": 0}, false_block_budget=0.01) as outer:
        with judging(baseline, tolerances={}, false_block_budget=0.01) as inner:
            assert inner.parameters["baseline"] == outer.parameters["baseline"]
            assert inner.parameters["limits"] != outer.parameters["limits"]
            assert find_yardstick(**outer.parameters) is outer
        assert find_yardstick(**outer.parameters) is outer
        with pytest.raises(ConfigError, match="no such baseline"):
            find_yardstick(**inner.parameters)
