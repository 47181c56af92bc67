"""The list of metrics, and the dashboard that draws them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sluicegate.orchestration.observing.metrics import METRICS, Kind

DOCS = Path(__file__).parents[4] / "docs"
BOARD = json.loads((DOCS / "grafana.json").read_text(encoding="utf-8"))
BY_EXPORT = {metric.exported: metric for metric in METRICS}
# What statsd-exporter makes of a timer beside the quantiles.
PARTS = ("_sum", "_count")
NAME = re.compile(r"airflow_sluicegate_\w+")
MATCHER = re.compile(r"(\w+)=~?\"")


def queries():
    for panel in BOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["definition"] for one in BOARD["templating"]["list"] if "definition" in one)


def alerts():
    return re.findall(r"^\| [^|]+ \| `(.*airflow_sluicegate.*)` \|$", page(), re.MULTILINE)


def page():
    return (DOCS / "metrics.md").read_text(encoding="utf-8")


def metric_of(name):
    plain = next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)
    metric = BY_EXPORT[name] if name in BY_EXPORT else BY_EXPORT[plain]
    assert name in BY_EXPORT or metric.kind is Kind.TIMER
    return metric


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_tags_are_what_statsd_and_opentelemetry_take(metric):
    assert re.fullmatch(r"sluicegate\.[a-z]+(_[a-z]+)*", metric.name)
    assert all(re.fullmatch("[a-z]+", tag) for tag in metric.tags)
    assert set(metric.tags) <= {"source", "result", "signal", "code", "step"}, "few values each"


def test_no_two_metrics_are_exported_under_one_name():
    parts = [name + part for name in BY_EXPORT for part in ("", *PARTS)]
    assert len(set(parts)) == 3 * len(METRICS)


@pytest.mark.parametrize("query", [*queries(), *alerts()])
def test_query_names_metrics_of_the_list_and_tags_that_they_have(query):
    names = NAME.findall(query)
    assert names
    known = {tag for name in names for tag in metric_of(name).tags} | {"quantile"}
    grouped = {tag for by in re.findall(r"by \(([^)]*)\)", query) for tag in by.split(", ")}
    assert grouped | set(MATCHER.findall(query)) <= known
    assert query.count("(") == query.count(")")


def test_dashboard_draws_every_metric_of_the_list():
    drawn = {metric_of(name).name for query in queries() for name in NAME.findall(query)}
    assert drawn == {metric.name for metric in METRICS}


def test_page_has_alerts_and_every_counter_is_drawn_as_an_increase_or_rate():
    assert len(alerts()) == 4
    counters = [m.exported for m in METRICS if m.kind is Kind.COUNTER]
    for query in queries():
        if not query.startswith("label_values") and any(name in query for name in counters):
            assert re.search(r"(increase|rate)\(", query), query


def test_dashboard_has_what_grafana_reads():
    assert BOARD["uid"]
    assert BOARD["title"]
    assert BOARD["schemaVersion"] >= 36, "the form of data sources by uid"
    assert "id" not in BOARD, "a number of one Grafana: another one would look for it"
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {one["name"] for one in BOARD["templating"]["list"]}
    for panel in BOARD["panels"]:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0
        for place in (panel, *panel["targets"]):
            assert place["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    own = {name for query in queries() for name in re.findall(r"\$(?!__)(\w+)", query)}
    assert own | {"datasource"} == variables


def test_panels_fill_the_grid_and_do_not_overlap():
    cells = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
