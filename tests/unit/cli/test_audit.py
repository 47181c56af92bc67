"""`sluicegate audit` and `export` end with an exit code that says what happened."""

from __future__ import annotations

import json

import pytest
from tests.unit.workflow.conftest import built_site, judge_clean, site  # noqa: F401 - fixtures
from tests.unit.workflow.test_remembered import restore, saved_ledger

from sluicegate.cli.main import main


@pytest.fixture
def judged(site):  # noqa: F811 - the fixture
    site.once(judge_clean)
    return site


def audit(site, *more: str) -> int:  # noqa: F811 - not the fixture
    return main(["audit", "--home", str(site.home.root), *more])


def test_clean_ledger_exits_0_and_saves_its_checkpoint(judged, tmp_path, capsys):
    assert audit(judged, "--save", str(tmp_path / "checkpoint")) == 0
    assert "nothing found" in capsys.readouterr().out
    remembered = ["--remembered", str(tmp_path / "checkpoint"), "--only-new"]
    assert audit(judged, *remembered, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["clean"], report["size"], report["leaves"]) == (True, 5, 0)


def test_finding_exits_1_and_names_the_next_step(judged, capsys):
    (judged.clean / "part.parquet").write_bytes(b"changed")
    assert audit(judged, "--data") == 1
    printed = capsys.readouterr().out
    assert "DATA_CHANGED" in printed
    assert "Restore the sealed batch" in printed
    assert audit(judged, "--data", "--json") == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert set(finding) == {"code", "severity", "locator", "message", "next_step"}


def test_ledger_that_went_back_is_found_by_what_the_installation_remembers(judged, capsys):
    saved = saved_ledger(judged)
    judged.seal(judged.poisoned)
    restore(judged, saved)
    assert audit(judged) == 1
    assert "LEDGER_ROLLBACK" in capsys.readouterr().out
    judged.home.memory.unlink()  # an auditor's copy has none
    assert audit(judged) == 0


def test_missing_ledger_could_not_be_audited(judged):
    for path in judged.home.root.glob("ledger.db*"):
        path.unlink()
    assert audit(judged) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["--only-new"],
        ["--remembered", "absent"],
        ["--airflow-runs", "absent"],
        ["--airflow-url", "http://127.0.0.1:9"],
        ["--airflow-url", "file:///etc/passwd", "--airflow-user", "x"],
        ["--airflow-url", "http://127.0.0.1:9", "--airflow-runs", "x"],
        ["--data", "no-equals"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_64(judged, wrong, monkeypatch):
    monkeypatch.setenv("SLUICEGATE_AIRFLOW_PASSWORD", "x" if "file" in str(wrong) else "")
    assert audit(judged, *wrong) == 64


def test_airflow_that_does_not_answer_could_not_be_audited(judged, monkeypatch):
    monkeypatch.setenv("SLUICEGATE_AIRFLOW_PASSWORD", "x")
    assert audit(judged, "--airflow-url", "http://127.0.0.1:9", "--airflow-user", "x") == 2


def test_export_writes_a_folder_that_verifies(judged, tmp_path, capsys):
    home, out = str(judged.home.root), str(tmp_path / "out")
    archive = str(tmp_path / "out.tar.gz")
    where = ["export", "--home", home, "--source", "src", "--out", out]
    assert main([*where, "--controls", "--archive", archive, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["archive"].startswith("sha256:")
    assert main(["verify", out, str(judged.clean), "--trust", f"{out}/trust.json"]) == 0
    assert main(where) == 64
