"""What a StatsD and an OpenTelemetry receiver get of seal, gate and guard in real task runners."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from tests.support.receivers import attributes, otlp_receiver, statsd_receiver
from tests.unit.workflow.conftest import Site, built_site  # noqa: F401 - a fixture

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.statement import Statement
from sluicegate.gate.verdict import verdict_from_statement
from sluicegate.orchestration.observing.metrics import (
    ADMITTED,
    APPEND_SECONDS,
    BYTES,
    GATE_SECONDS,
    GUARD_SECONDS,
    METRICS,
    REFUSED,
    SEAL_SECONDS,
    SIGNALS,
    TRUSTED,
    VERDICTS,
    Kind,
)

pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent
BY_KIND = {Kind.COUNTER: "c", Kind.GAUGE: "g", Kind.TIMER: "ms"}
LINE = re.compile(
    r"airflow\.(?P<name>[\w.]+)(?P<tags>(?:,[\w.]+=[\w.-]+)*):(?P<value>[\d.]+)\|(\w+)"
)


class Played:
    """A clean and a poisoned batch of one installation, played with some settings of Airflow."""

    def __init__(self, site, layout, env):
        shutil.copy(HERE / "dags" / "metrics.py", layout.home / "dags")
        layout.env |= {"SLUICEGATE_HOME": str(site.home.root), **env}
        script = site.root / "paths.json"
        script.write_text(json.dumps([str(site.clean), str(site.poisoned)]))
        self.site = site
        self.found = layout.run(HERE / "probe_metrics.py", str(script), timeout=300)
        self.ledger = site.evidence().ledger

    def leaves(self, kind):
        return list(self.ledger.find(kind, "src", newest_first=False))


@pytest.fixture(scope="module")
def play(built_site, installed_python, tmp_path_factory, make_layout):  # noqa: F811
    def play(name, env):
        root = tmp_path_factory.mktemp(name)
        site = Site(root / "site")
        shutil.copytree(built_site, site.root)
        return Played(site, make_layout(installed_python, root), env)

    return play


@pytest.fixture(scope="module")
def by_statsd(play):
    with statsd_receiver() as (port, lines):
        played = play(
            "statsd",
            {
                "AIRFLOW__METRICS__STATSD_ON": "True",
                "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
                "AIRFLOW__METRICS__STATSD_PORT": str(port),
                "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            },
        )
    played.lines = [line for line in lines if line.startswith("airflow.sluicegate.")]
    return played


@pytest.fixture(scope="module")
def by_otlp(play):
    with otlp_receiver() as (endpoint, received):
        played = play(
            "otlp",
            {
                "AIRFLOW__METRICS__OTEL_ON": "True",
                "AIRFLOW__TRACES__OTEL_ON": "True",
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
                "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            },
        )
    played.received = received
    return played


def told(played, metric):
    """Return tags and value of each StatsD line of a metric."""
    found = []
    for line in played.lines:
        match = LINE.fullmatch(line)
        assert match, line
        if match["name"] == metric.name:
            assert match[4] == BY_KIND[metric.kind]
            tags = dict(pair.split("=") for pair in match["tags"].split(",") if pair)
            assert set(tags) == set(metric.tags)
            found.append((tags, float(match["value"])))
    return found


def issued_at(record):
    statement = Statement.from_bytes(Envelope.from_bytes(record.envelope).payload)
    return verdict_from_statement(statement, locator="test").issued.timestamp()


@pytest.mark.parametrize("receiver", ["by_statsd", "by_otlp"])
def test_tasks_end_as_they_do_without_metrics_and_nothing_is_imported_at_parse(receiver, request):
    found = request.getfixturevalue(receiver).found
    assert found["import_errors"] == {}
    assert found["at_parse"] == []
    clean, poisoned = found["runs"]
    assert clean["states"] == {"seal": "success", "gate": "success", "train": "success"}
    assert poisoned["states"] == {"seal": "success", "gate": "failed", "train": "failed"}
    assert "was not emitted" not in clean["log"] + poisoned["log"]


def test_statsd_counts_each_verdict_by_result_and_each_signal_once(by_statsd):
    assert told(by_statsd, VERDICTS) == [
        ({"source": "src", "result": "PASSED"}, 1),
        ({"source": "src", "result": "FAILED"}, 1),
    ]
    signals = Counter(tags["signal"] for tags, _ in told(by_statsd, SIGNALS))
    assert signals["LABEL_FLIPS"] == 1
    assert set(signals.values()) == {1}


def test_statsd_gets_bytes_durations_and_what_the_guard_decided(by_statsd):
    site = by_statsd.site
    size = sum((path / "part.parquet").stat().st_size for path in (site.clean, site.poisoned))
    for step in ("seal", "gate"):
        hashed = [n for tags, n in told(by_statsd, BYTES) if tags["step"] == step]
        assert sum(hashed) == size
    assert [tags["result"] for tags, _ in told(by_statsd, SEAL_SECONDS)] == ["SEALED"] * 2
    gates = told(by_statsd, GATE_SECONDS)
    assert [tags["result"] for tags, _ in gates] == ["PASSED", "FAILED"]
    assert all(milliseconds > 1 for _, milliseconds in gates), "StatsD's timers are milliseconds"
    assert len(told(by_statsd, APPEND_SECONDS)) == 4, "two seals and two gates"
    assert told(by_statsd, ADMITTED) == [({}, 1)]
    assert told(by_statsd, REFUSED) == [({"code": "GATE_BLOCKED"}, 1)]
    assert len(told(by_statsd, GUARD_SECONDS)) == 2


def test_statsd_gets_the_time_of_the_verdict_that_training_rests_on(by_statsd):
    by_gate, by_guard = told(by_statsd, TRUSTED)
    assert by_gate == by_guard
    assert by_gate == ({"source": "src"}, issued_at(by_statsd.leaves("verdict")[0]))


def test_no_row_path_or_digest_is_in_a_metric(by_statsd):
    text = "\n".join(by_statsd.lines)
    assert not re.findall(r"(?<![\w.:-])[123]-\d{3,4}(?![\w.:-])|c1\b", text)
    assert str(by_statsd.site.root) not in text
    assert not re.search(r"[0-9a-f]{32}", text)


def test_otlp_gets_the_same_counters_and_gauges(by_otlp):
    names = {f"airflow.{metric.name}" for metric in METRICS}
    assert {m.name for m in by_otlp.received.metrics if "sluicegate" in m.name} <= names

    def points(metric):
        return list(by_otlp.received.points(f"airflow.{metric.name}"))

    verdicts = {tags["result"]: point.as_int for tags, point in points(VERDICTS)}
    assert verdicts == {"PASSED": 1, "FAILED": 1}
    assert [(tags, point.as_int) for tags, point in points(ADMITTED)] == [({}, 1)]
    refused = [(tags, point.as_int) for tags, point in points(REFUSED)]
    assert refused == [({"code": "GATE_BLOCKED"}, 1)]
    assert sum(point.count for _, point in points(GUARD_SECONDS)) == 2
    counters = [m.sum for m in by_otlp.received.metrics if m.name == f"airflow.{VERDICTS.name}"]
    assert {one.aggregation_temporality for one in counters} == {1}, "delta, as it was asked for"
    trusted = {point.as_double for _, point in points(TRUSTED)}
    assert trusted == {issued_at(by_otlp.leaves("verdict")[0])}


def test_otlp_gets_a_span_of_each_step_below_the_one_of_its_task(by_otlp):
    spans = by_otlp.received.spans
    by_name = {span.name: [s for s in spans if s.name == span.name] for span in spans}
    tasks = {span.span_id: span.name for span in spans}
    for step, task in (("seal", "seal"), ("gate", "gate"), ("guard", "train")):
        own = by_name[f"sluicegate.{step}"]
        assert len(own) == 2
        assert {tasks[span.parent_span_id] for span in own} == {f"worker.{task}"}
        assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in own)
    seals = [attributes(span)["sluicegate.digest"] for span in by_name["sluicegate.seal"]]
    assert seals == [leaf.entry.subject for leaf in by_otlp.leaves("seal")]
    gates = [attributes(span) for span in by_name["sluicegate.gate"]]
    verdicts = by_otlp.leaves("verdict")
    assert [one["sluicegate.verdict"] for one in gates] == [v.entry.envelope for v in verdicts]
    assert [one["sluicegate.result"] for one in gates] == ["PASSED", "FAILED"]
    assert "LABEL_FLIPS" in gates[1]["sluicegate.signals"]
    admitted, refused = by_name["sluicegate.guard"]
    assert attributes(admitted) == {
        "sluicegate.sources": ["src"],
        "sluicegate.digests": [verdicts[0].entry.subject],
        "sluicegate.verdicts": [verdicts[0].entry.envelope],
    }
    assert attributes(refused) == {"sluicegate.code": "GATE_BLOCKED"}


def test_a_blocked_gate_and_a_refusal_are_spans_with_an_error(by_otlp):
    spans = [s for s in by_otlp.received.spans if s.name.startswith("sluicegate.")]
    failed = {(span.name, span.status.message) for span in spans if span.status.code == 2}
    assert failed == {("sluicegate.gate", "GATE_BLOCKED"), ("sluicegate.guard", "GATE_BLOCKED")}
