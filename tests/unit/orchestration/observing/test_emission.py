"""Values reach Airflow in its form, and nothing that fails there is felt here."""

from __future__ import annotations

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.orchestration.observing import emission, metrics

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


@pytest.fixture
def told(monkeypatch):
    """What Airflow's module of metrics is called with."""
    from airflow.sdk.observability import stats

    calls = []
    for name in ("incr", "gauge", "timing"):

        def keep(*arguments, name=name, **options):
            calls.append((name, *arguments, options["tags"]))

        monkeypatch.setattr(stats, name, keep)
    return calls


def test_each_kind_is_told_by_its_own_function(told):
    emission.emit(metrics.VERDICTS, source="a b", result="PASSED")
    emission.emit(metrics.FINDINGS, 2)
    emission.emit(metrics.GUARD_SECONDS, 0.25)
    assert told[:2] == [
        ("incr", "sluicegate.verdicts", 1, {"source": "a_b", "result": "PASSED"}),
        ("gauge", "sluicegate.audit_findings", 2, {}),
    ]
    assert told[2][2].total_seconds() == 0.25


@pytest.mark.parametrize("error", [OSError("down"), ValueError("x"), ImportError("statsd")])
def test_a_metric_that_fails_is_one_warning_without_its_text(error, monkeypatch, caplog):
    from airflow.sdk.observability import stats

    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(stats, "incr", fail)
    with caplog.at_level(logging.WARNING, logger="sluicegate.metrics"):
        emission.emit(metrics.ADMITTED)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"sluicegate.guard_admitted was not emitted: {type(error).__name__}"]


def test_a_tag_that_is_not_given_is_no_error_of_the_task(told):
    emission.emit(metrics.VERDICTS, source="src")
    assert told == []


def test_an_interruption_passes(monkeypatch):
    from airflow.sdk.observability import stats

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(stats, "incr", interrupt)
    with pytest.raises(KeyboardInterrupt):
        emission.emit(metrics.ADMITTED)


def test_a_broken_tracer_leaves_a_span_that_takes_everything(monkeypatch):
    from opentelemetry import trace

    def fail(*_arguments, **_options):
        raise RuntimeError

    monkeypatch.setattr(trace, "get_tracer", fail)
    span = emission.Span("sluicegate.gate")
    span.say(digest="sha256:00")
    span.end("GATE_BLOCKED")


@given(st.text(max_size=300))
def test_value_of_a_tag_has_only_characters_that_airflow_allows(text):
    value = emission.tag_value(text)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", value)
    assert len(value) <= emission.MAX_TAG


def test_two_long_names_stay_two():
    one, other = (emission.tag_value("a" * 200 + end) for end in "xy")
    assert one != other


@pytest.mark.parametrize("metric", metrics.METRICS, ids=lambda metric: metric.name)
def test_no_metric_is_longer_than_airflow_lets_pass(metric):
    """With InfluxDB tags Airflow drops a name of more than 250 characters."""
    # Only a source is as long as its owner likes; the others are words of ours.
    most = {tag: emission.MAX_TAG if tag == "source" else 32 for tag in metric.tags}
    assert len(metric.name) + sum(len(f",{tag}=") + n for tag, n in most.items()) <= 250
