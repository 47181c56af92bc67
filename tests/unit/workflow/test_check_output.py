"""OUT.json keeps the published schema; the report draws what fired and shows no batch row."""

from __future__ import annotations

import html
import json
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows, put

import sluicegate
from sluicegate.cli.main import main
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.gate.default_policy import DEFAULT_POLICY
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
    assert page.count("<figure>") == 4
    assert 'class="base"' in page
    assert 'class="now"' in page


def test_report_says_with_what_tolerance_it_would_pass(site):
    """What it says is tried."""
    done = checked(site, "WARNED")
    fired = [r for r in done.records if r.status is Status.WARNED]
    findings = done.to_html().split("<article>")[1:]
    title = re.compile(r"</span> (\w+): (\w+)</span></h3>.*Would pass if ([\d.]+) were")
    said = [found.groups() for finding in findings if (found := title.search(finding))]
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
    assert "</span> PASSED</span>" in page


def test_commands_of_the_report_show_digests_and_findings_again(site, tmp_path, capsys):
    policy = tmp_path / "a policy.yaml"
    policy.write_text(DEFAULT_POLICY, encoding="utf-8")
    done = checked(site, "FAILED", policy=policy)
    shown = html.unescape(re.search(r"<pre>(.*?)</pre>", done.to_html(), re.DOTALL)[1])
    files, again = (shlex.split(line) for line in shown.splitlines())
    assert files.pop(0) == "sha256sum"
    digests = [sha256_bytes(Path(file).read_bytes()) for file in files]
    assert digests == [done.baseline, done.policy]
    assert main(again[1:]) == 1
    capsys.readouterr()
    assert main([*again[1:], "--json", str(tmp_path / "again.json")]) == 1
    assert (tmp_path / "again.json").read_text(encoding="utf-8") == done.to_json()


def test_report_hides_the_credentials_of_a_locator(site, monkeypatch):
    batches = pq.read_table(site / "PASSED.parquet").to_batches()
    monkeypatch.setattr(
        "sluicegate.workflow.judging.check.open_table", lambda *_a, **_k: iter(batches)
    )
    locator = "https://someone:hunter2@example.com/rows.csv?token=hunter2"
    page = sluicegate.check(locator, baseline=site / "baseline").to_html()
    assert page.count("example.com/rows.csv") == 3, "title, heading and command"
    assert "hunter2" not in page


def test_all_lists_what_passed_and_the_summary_counts_it(site, capsys):
    arguments = ["check", str(site / "FAILED.parquet"), "--baseline", str(site / "baseline")]
    assert main(arguments) == 1
    short = capsys.readouterr().out
    assert main([*arguments, "--all"]) == 1
    whole = capsys.readouterr().out
    passed = [r for r in checked(site, "FAILED").records if r.status is Status.PASSED]
    assert f"  {len(passed)} findings passed: " in short
    listed = whole.partition("PASSED ")[2].splitlines()[1:]
    assert [line.split()[0] for line in listed] == [record.code for record in passed]
    assert "COLUMN" not in short


def test_of_many_reasons_ten_are_printed_and_all_on_demand(site, capsys):
    arguments = ["check", str(site / "few.parquet"), "--baseline", str(site / "baseline")]
    done = checked(site, "few")
    reasons = [replace(done.reasons[0], column=f"x{n}", message=f"CODE: {n}") for n in range(25)]
    many = replace(done, reasons=tuple(reasons))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluicegate.workflow.judging.check.check", lambda *_a, **_k: many)
        assert main(arguments) == 1
        short = capsys.readouterr().out
        assert main([*arguments, "--all"]) == 1
        whole = capsys.readouterr().out
    assert short.count("  FAILED  CODE: ") == 10
    assert f"  and 15 more: 15 {reasons[0].code}; --all lists them\n" in short
    assert whole.count("  FAILED  CODE: ") == 25


def test_progress_counts_the_rows_of_the_batch(site):
    read = []
    sluicegate.check(site / "PASSED.parquet", baseline=site / "baseline", on_rows=read.append)
    assert sum(read) == 600


def test_shares_of_a_shape_add_up(site):
    shapes = checked(site, "FAILED").found.shapes
    assert {"x3", "kind", "y"} <= set(shapes)
    for shape in shapes.values():
        assert sum(shape.baseline) == pytest.approx(1.0)
        assert sum(shape.batch) == pytest.approx(1.0)
        assert len(shape.cells) <= 20
