"""OUT.json keeps the published schema; the report draws what fired and shows no batch row."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows, put

import sluicegate
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.baselines.unsigned import read_baseline

pytestmark = pytest.mark.slow  # ten batches are checked

FORMAT = Path(__file__).parents[3] / "docs" / "formats" / "check.schema.json"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("output")
    pq.write_table(make_rows(1500, 1), root / "base.parquet")
    write_baseline([root / "base.parquet"], SCHEMA, out=root / "baseline", at=CREATED, seed=1)
    clean = make_rows(600, 2)
    moved = put(clean, "x3", (np.asarray(clean["x3"]) + 0.8).tolist())
    moved = put(moved, "kind", ["violet"] * 60 + moved["kind"].to_pylist()[60:])
    flipped = put(moved, "y", [1 - v for v in clean["y"].to_pylist()])
    tables = {
        "PASSED": clean,
        "WARNED": moved,
        "FAILED": flipped,
        "few": clean.slice(0, 3),
        "without": clean.drop_columns(["y", "x0"]),
        "null": put(clean, "x0", [None] * 600),
    }
    for name, table in tables.items():
        pq.write_table(table, root / f"{name}.parquet")
    return root


@pytest.fixture(scope="module")
def schema():
    value = json.loads(FORMAT.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(value)
    return jsonschema.Draft202012Validator(value)


@cache
def checked(site, name, **settings):
    """Check one batch; the same check gives the same, so it is made once."""
    return sluicegate.check(site / f"{name}.parquet", baseline=site / "baseline", **settings)


@pytest.mark.parametrize("name", ["PASSED", "WARNED", "FAILED", "few", "without", "null"])
def test_output_keeps_the_published_schema(site, schema, name):
    value = json.loads(checked(site, name).to_json())
    schema.validate(value)
    assert value["verdict"] == (name if name.isupper() else "FAILED")


def test_output_with_history_keeps_the_schema(site, schema, tmp_path):
    past = tmp_path / "past"
    past.mkdir()
    (past / "1.json").write_text(checked(site, "PASSED").to_json(), encoding="utf-8")
    value = json.loads(checked(site, "PASSED", history=past).to_json())
    schema.validate(value)
    assert "SEQUENCE" in {signal["code"] for signal in value["signals"]}


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "MAYBE"},
        {"n_rows": -1},
        {"extra": 1},
        {"baseline": "sha256:12"},
        {"signals": []},
        {"signals": [{"code": "SCHEMA"}]},
    ],
)
def test_schema_refuses_what_is_no_output(site, schema, change):
    value = {**json.loads(checked(site, "PASSED").to_json()), **change}
    assert not schema.is_valid(value)


def test_report_draws_baseline_and_batch_of_each_fired_column(site):
    done = checked(site, "WARNED")
    page = done.to_html()
    assert "DRIFT_CATEGORICAL: kind" in page
    assert "new or other" in page
    assert page.count("<figure>") >= 4
    assert 'class="base"' in page
    assert 'class="now"' in page


def test_report_says_with_what_tolerance_it_would_pass(site):
    """What it says is tried."""
    done = checked(site, "WARNED")
    fired = [r for r in done.records if r.status is Status.WARNED]
    said = re.findall(r"<h3>(\w+): (\w+)</h3><p>Would pass if ([\d.]+) were", done.to_html())
    assert {(code, column) for code, column, _ in said} == {(r.code, r.column) for r in fired}
    baseline, _ = read_baseline(site / "baseline")
    again = evaluate(
        baseline,
        pq.read_table(site / "WARNED.parquet").to_batches(),
        # New categories have a tenth of their column's tolerance.
        tolerances={
            f"{code}:{column}": min(1.0, float(value) * (10 if code == "DRIFT_CATEGORICAL" else 1))
            for code, column, value in said
        },
    )
    assert {r.status for r in again.records} == {Status.PASSED}


def test_report_and_output_name_no_value_that_only_the_batch_has(site):
    done = checked(site, "WARNED")
    assert "violet" not in done.to_html()
    assert "violet" not in done.to_json()


def test_report_of_a_clean_batch_draws_nothing(site):
    page = checked(site, "PASSED").to_html()
    assert "<figure>" not in page
    assert '<h1 class="PASSED">' in page


def test_shares_of_a_shape_add_up(site):
    shapes = checked(site, "FAILED").found.shapes
    assert {"x3", "kind", "y"} <= set(shapes)
    for shape in shapes.values():
        assert sum(shape.baseline) == pytest.approx(1.0)
        assert sum(shape.batch) == pytest.approx(1.0)
        assert len(shape.cells) <= 20
