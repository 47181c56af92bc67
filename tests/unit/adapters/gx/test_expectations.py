"""The expectations work in plain Great Expectations, and render for people."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from sluicegate.adapters.gx.catalog import CATALOG, CODE_OF, expectation_type
from sluicegate.adapters.gx.yardstick import judging
from sluicegate.signals.decision.record import Family, SignalRecord, Status

pytestmark = pytest.mark.filterwarnings("ignore:::great_expectations", "ignore:::marshmallow")


@pytest.fixture(scope="module")
def gx():
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations
    from great_expectations.data_context.data_context.context_factory import project_manager

    yield great_expectations
    project_manager.set_project(None)


@pytest.fixture(scope="module")
def classes(gx):
    from sluicegate.adapters.gx import expectations

    return expectations


def batch_of(gx, table):
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})


def test_class_names_give_the_types_used_in_json(classes):
    for code, signal in CATALOG.items():
        assert getattr(classes, signal.expectation).expectation_type == expectation_type(signal)
        assert classes.EXPECTATIONS[code].__doc__ == signal.demand
    with pytest.raises(AttributeError):
        _ = classes.ExpectNothing


def test_families_of_the_catalog_are_those_of_the_core(clean, baseline):
    from sluicegate.signals.evaluate import evaluate

    records = evaluate(baseline, clean.to_batches(), tolerances={}).records
    assert all(CATALOG[record.code].family is record.family for record in records)


def test_suite_runs_in_plain_great_expectations(gx, classes, flipped, suite, baseline):
    loaded = gx.ExpectationSuite(**suite)
    assert len(loaded.expectations) == len(CATALOG)
    with judging(baseline, tolerances={}, false_block_budget=0.01) as judge:
        result = batch_of(gx, flipped).validate(loaded, expectation_parameters=judge.parameters)
    assert not result.success
    failed = {CODE_OF[r.expectation_config.type] for r in result.results if not r.success}
    assert "LABEL_FLIPS" in failed
    assert "SCHEMA" not in failed


def test_suite_written_by_great_expectations_loads_again(gx, classes, suite):
    import json

    from sluicegate.adapters.gx.suite import expectation_types, load_suite

    written = json.dumps(gx.ExpectationSuite(**suite).to_json_dict()).encode()
    assert expectation_types(load_suite(written)) == expectation_types(suite)


def test_suite_runs_in_a_checkpoint(gx, classes, clean, suite, baseline):
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    definition = gx.ValidationDefinition(
        name="v",
        data=asset.add_batch_definition_whole_dataframe("b"),
        suite=context.suites.add(gx.ExpectationSuite(**suite)),
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name="c", validation_definitions=[context.validation_definitions.add(definition)]
        )
    )
    with judging(baseline, tolerances={}, false_block_budget=0.01) as judge:
        result = checkpoint.run(
            batch_parameters={"dataframe": clean.to_pandas(types_mapper=pd.ArrowDtype)},
            expectation_parameters=judge.parameters,
        )
    [run] = result.run_results.values()
    assert len(run.results) == len(CATALOG)
    assert {r.exception_info.get("raised_exception") for r in run.results} == {False}


def test_expectation_outside_its_judge_fails(gx, classes, clean, baseline):
    with judging(baseline, tolerances={}, false_block_budget=0.01) as judge:
        expectation = classes.ExpectLabelPriorWithinTolerance(**judge.parameters)
    assert not batch_of(gx, clean).validate(expectation).success


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"baseline": "sha256:" + "0" * 64},
        {"baseline": "md5:00", "limits": "sha256:" + "0" * 64},
        {"baseline": "sha256:" + "0" * 64, "limits": "sha256:" + "0" * 64, "mostly": 0.5},
    ],
)
def test_foreign_or_missing_kwargs_are_refused(classes, kwargs):
    from great_expectations.compatibility.pydantic import ValidationError

    with pytest.raises(ValidationError):
        classes.ExpectLabelsToAgreeWithBaseline(**kwargs)


def test_prescriptive_renderer_says_the_demand_and_the_digests(classes):
    expectation = classes.ExpectLabelsToAgreeWithBaseline(
        baseline="sha256:" + "ab" * 32, limits="sha256:" + "cd" * 32
    )
    [block] = expectation._prescriptive_renderer(configuration=expectation.configuration)
    text = block.to_json_dict()["string_template"]["template"]
    assert text.startswith(CATALOG["LABEL_FLIPS"].demand)
    assert "baseline abababababab, limits cdcdcdcdcdcd" in text
    expectation.render()
    [atomic] = expectation.rendered_content
    assert atomic.to_json_dict()["value"]["template"] == text


def test_prescriptive_renderer_without_configuration_names_the_run(classes):
    [block] = classes.ExpectLabelsToAgreeWithBaseline._prescriptive_renderer()
    assert "baseline of the run" in block.to_json_dict()["string_template"]["template"]


def test_observed_value_tells_counts_and_findings_as_escaped_text(classes):
    from great_expectations.core import ExpectationValidationResult

    records = [
        SignalRecord(code="X", family=Family.LABEL, status=Status.PASSED, message="fine"),
        SignalRecord(
            code="X", family=Family.LABEL, status=Status.FAILED, message="<script>bob</script>"
        ),
    ]
    result = ExpectationValidationResult(
        success=False, result={"observed_value": classes.observed_text(records)}
    )
    text = classes.SignalExpectation._diagnostic_observed_value_renderer(result=result)
    assert text == "1 PASSED, 1 FAILED; &lt;script&gt;bob&lt;/script&gt;"


def test_observed_value_of_a_result_without_one_is_not_evaluated(classes):
    render = classes.SignalExpectation._diagnostic_observed_value_renderer
    assert render() == "not evaluated"


def test_signal_that_does_not_apply_to_the_baseline_succeeds_without_records(
    gx, classes, clean, baseline
):
    with judging(baseline, tolerances={}, false_block_budget=0.01) as judge:
        assert not judge.demands("DRIFT_TEXT")
        expectation = classes.ExpectTextDriftWithinTolerance(**judge.parameters)
        result = batch_of(gx, clean).validate(expectation)
    assert result.success
    assert result.result["observed_value"] == "does not apply to this baseline"
    assert result.result["details"] == {"positions": [], "records": []}
