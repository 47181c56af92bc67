"""`sluicegate check` and `sluicegate.check`: the files read, written and refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.page_assets import network_assets
from tests.unit.signals.conftest import SCHEMA, make_rows, put

import sluicegate
from sluicegate.cli import main as cli
from sluicegate.errors import MalformedEnvelope, SchemaMismatch, UnreadableData
from sluicegate.workflow.baselines.signed import write_baseline


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("check")
    pq.write_table(make_rows(1000, 1), root / "base.parquet")
    pq.write_table(make_rows(500, 2), root / "batch.parquet")
    write_baseline(
        [root / "base.parquet"], SCHEMA, out=root / "b", at=datetime(2026, 1, 1, tzinfo=UTC), seed=1
    )
    return root


@pytest.fixture
def past(work, tmp_path):
    path = tmp_path / "past"
    path.mkdir()
    done = sluicegate.check(work / "batch.parquet", baseline=work / "b")
    (path / "001.json").write_text(done.to_json(), encoding="utf-8")
    return path


def checked(work, history):
    return sluicegate.check(work / "batch.parquet", baseline=work / "b", history=history)


def test_output_of_one_check_is_history_of_the_next(work, past):
    out = past / "002.json"
    arguments = [str(work / "batch.parquet"), "--baseline", str(work / "b")]
    code = cli.main(["check", *arguments, "--history", str(past), "--json", str(out)])
    value = json.loads(out.read_text(encoding="utf-8"))
    assert code == 0
    assert value["baseline"].startswith("sha256:")
    assert "SEQUENCE" in {signal["code"] for signal in value["signals"]}
    assert checked(work, past).verdict == value["verdict"]


def test_history_of_another_baseline_is_refused_by_name(work, past):
    value = json.loads((past / "001.json").read_text(encoding="utf-8"))
    value["baseline"] = "sha256:" + "0" * 64
    (past / "001.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(SchemaMismatch, match=r"001\.json.*another baseline"):
        checked(work, past)


def test_missing_history_could_not_be_checked(work, tmp_path):
    with pytest.raises(UnreadableData, match="history"):
        checked(work, tmp_path / "none")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"type": 1, "type": 2}', "NaN"])
def test_file_that_is_no_check_is_refused_by_name(work, past, text):
    (past / "000.json").write_text(text, encoding="utf-8")
    with pytest.raises(MalformedEnvelope, match=r"000\.json"):
        checked(work, past)


def test_python_gives_verdict_records_and_rows(work):
    done = sluicegate.check(work / "batch.parquet", baseline=work / "b")
    assert done.accepted
    assert done.rows.column_names == ["id", "score", "flagged", "reasons"]
    assert done.rows.num_rows == done.found.n_rows == 500
    assert "SEQUENCE" not in {record.code for record in done.records}


def test_report_loads_nothing_and_escapes_what_data_says(work, tmp_path):
    rows = make_rows(500, 3)
    evil = rows.append_column("<script>alert(1)</script>", rows["x0"])
    hostile = put(evil, "who", ["<img src=x>"] * 500)
    bad = put(hostile, "y", [1 - v for v in rows["y"].to_pylist()])
    pq.write_table(bad, tmp_path / "bad.parquet")
    out = tmp_path / "report.html"
    arguments = [str(tmp_path / "bad.parquet"), "--baseline", str(work / "b")]
    assert cli.main(["check", *arguments, "--report", str(out)]) == 1
    page = out.read_text(encoding="utf-8")
    assert "</span> FAILED</span>" in page
    assert "information limit" in page
    assert "&lt;img src=x&gt;" in page
    assert not any(text in page for text in ("<script", "<img", "http://", "https://", "url("))
    assert network_assets(out) == []


@pytest.mark.slow
def test_check_says_what_the_policy_asks_for_and_only_the_gate_has(work, tmp_path, capsys):
    """The policy that `policy init` writes asks for nothing of the kind."""
    policy = tmp_path / "policy.yaml"
    assert cli.main(["policy", "init", str(policy)]) == 0
    arguments = [str(work / "batch.parquet"), "--baseline", str(work / "b"), "--policy"]
    assert cli.main(["check", *arguments, str(policy)]) == 0
    rules = "  PARTS: {severity: block}\n  SEQUENCE: {severity: block, not_evaluated: the gate}\n"
    policy.write_text(policy.read_text(encoding="utf-8") + rules, encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["check", *arguments, str(policy)]) == 1
    shown = capsys.readouterr().out
    assert "PARTS: not evaluated: nobody named the batch's partitions" in shown
    assert "SEQUENCE: not evaluated: the batches before this one are not known" in shown
    done = sluicegate.check(work / "batch.parquet", baseline=work / "b", policy=policy)
    assert [(r.code, r.result) for r in done.reasons] == [
        ("PARTS", "FAILED"),
        ("SEQUENCE", "WARNED"),
    ]


@pytest.mark.slow
def test_check_prints_each_reason_and_how_to_leave_out_what_the_baseline_lacks(
    work, tmp_path, capsys
):
    policy = tmp_path / "policy.yaml"
    assert cli.main(["policy", "init", str(policy)]) == 0
    more = "  LEAKAGE: {severity: block}\nfreshness: {sealed_hours: 1}\npromoted: [anchored]\n"
    policy.write_text(policy.read_text(encoding="utf-8") + more, encoding="utf-8")
    arguments = [str(work / "batch.parquet"), "--baseline", str(work / "b")]
    assert cli.main(["check", *arguments, "--policy", str(policy)]) == 1
    _, _, shown = capsys.readouterr().out.partition("FAILED: 500 rows, 1 reason\n")
    reason, hint, then, passed, *rest = shown.splitlines()
    assert reason == "  FAILED  LEAKAGE: expected, and nobody evaluated it"
    assert "`required: false`" in hint
    assert "--report" in then
    assert "findings passed: " in passed
    asked = [f"  Not asked here, the gate does: {name}." for name in ("freshness", "promoted")]
    assert rest == [*asked, "  Tolerances are those of 5 parts of equal size of the baseline."]


def test_check_holds_the_limits_of_one_source(work, tmp_path):
    policy = tmp_path / "policy.yaml"
    assert cli.main(["policy", "init", str(policy)]) == 0
    text = policy.read_text(encoding="utf-8")
    text += "sources: {tight: {contributors: {max_share: 0.01}}}\n"
    policy.write_text(text, encoding="utf-8")
    arguments = [str(work / "batch.parquet"), "--baseline", str(work / "b")]
    arguments += ["--policy", str(policy)]
    assert cli.main(["check", *arguments]) == 0
    assert cli.main(["check", *arguments, "--source", "tight"]) == 1


LABELS = {"class": ("y", "class", "LABEL_FLIPS"), "number": ("x0", "number", "TARGET_RANGE")}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*LABELS, "none"])
def test_policy_of_a_baseline_requires_the_signals_of_its_label(kind, tmp_path, capsys):
    """A source without classes passes a policy that was written for it, and for any source."""
    name, declared, code = LABELS.get(kind, (None, None, None))
    schema, base, batch = (tmp_path / n for n in ("schema.yaml", "base.parquet", "batch.parquet"))
    label = f"label: {{column: {name}, kind: {declared}}}\n" if name else ""
    schema.write_text(f"id: id\ntimestamp: at\n{label}", encoding="utf-8")
    pq.write_table(make_rows(1200, 1), base)
    pq.write_table(make_rows(500, 2), batch)
    out = str(tmp_path / "b")
    assert cli.main(["baseline", "build", str(base), "--schema", str(schema), "--out", out]) == 0
    sources = {"any": [], "baseline": ["--baseline", out], "schema": ["--schema", str(schema)]}
    texts = {}
    for origin, option in sources.items():
        policy = tmp_path / f"policy_{origin}.yaml"
        assert cli.main(["policy", "init", str(policy), *option]) == 0
        texts[origin] = policy.read_text(encoding="utf-8")
        capsys.readouterr()
        found = ["check", str(batch), "--baseline", out, "--policy", str(policy)]
        assert cli.main(found) == 0, capsys.readouterr().out
        said = capsys.readouterr().out
        absent = origin == "any" and kind != "class"
        assert ("Does not apply, the baseline has nothing for it: LABEL_FLIPS" in said) is absent
    assert set(texts["schema"].splitlines()) <= set(texts["baseline"].splitlines())
    assert code is None or f"{code}: {{severity: block}}" in texts["baseline"]
    assert kind == "class" or "LABEL" not in texts["baseline"].partition("signals:")[2]


@pytest.mark.slow
def test_build_says_what_no_batch_could_pass_and_what_it_makes_of_the_label(tmp_path, capsys):
    schema, base = tmp_path / "schema.yaml", tmp_path / "base.parquet"
    tags = pa.array([["a", "b"][: 1 + i % 2] for i in range(600)])
    table = make_rows(600, 1).append_column("tags", tags).append_column("links", tags)
    pq.write_table(table, base)
    build = ["baseline", "build", str(base), "--schema", str(schema), "--out", str(tmp_path / "b")]
    said = {}
    for label in ("x0", "tags"):
        schema.write_text(f"id: id\nlabel: {label}\n", encoding="utf-8")
        assert cli.main(build) == 0
        said[label] = capsys.readouterr().out
        assert "its own rows cannot pass: DRIFT_CATEGORICAL: column links" in said[label]
        assert "set the signal's tolerance" in said[label]
    assert "`label: {column: x0, kind: number}`" in said["x0"]
    assert "label tags is not judged" in said["tags"]
    assert cli.main([*build, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["obstacles"]
    assert (found["certain"], found["code"]) == (True, "DRIFT_CATEGORICAL")
    assert cli.main(["check", str(base), "--baseline", str(tmp_path / "b")]) == 1
    assert "  Column tags is not judged" in capsys.readouterr().out
