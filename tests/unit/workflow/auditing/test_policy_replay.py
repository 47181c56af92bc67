"""A policy is tried on the past before it is put in force."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import yaml
from tests.unit.workflow.baselines.test_promotion import promote
from tests.unit.workflow.conftest import AT, RUN, rows, write

from sluicegate.cli import main as cli
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly

pytestmark = pytest.mark.slow  # each test judges two batches by two baselines again


def test_replay_says_what_another_policy_would_have_let_pass(site, capsys):
    home = ["--home", str(site.home.root)]
    for path in (site.clean, site.poisoned):
        site.seal(path)
        site.gate()
    lenient = site.root / "lenient.yaml"
    text = DEFAULT_POLICY.replace(
        "LABEL_FLIPS: {severity: block, required: false}",
        "LABEL_FLIPS: {severity: warn, required: false}",
    )
    lenient.write_text(text, encoding="utf-8")
    said = {}
    for name, path in (("same", site.home.policy), ("lenient", lenient)):
        assert cli.main(["policy", "test", str(path), "--source", "src", "--json", *home]) == 0
        said[name] = json.loads(capsys.readouterr().out)
    assert [v["was"] for v in said["same"]["verdicts"]] == ["PASSED", "FAILED"]
    assert [v["would_be"] for v in said["same"]["verdicts"]] == ["PASSED", "FAILED"]
    flips = said["lenient"]["verdicts"][1]
    assert "LABEL_FLIPS" in flips["why"] or flips["would_be"] == "FAILED"
    assert said["lenient"]["would_block"] <= said["same"]["would_block"] == 1


CHANGES = {
    "the same": {},
    "flips within 100 %": {"signals": {"LABEL_FLIPS": {"severity": "block", "tolerance": 1}}},
    "no flips at all": {"signals": {"LABEL_FLIPS": {"severity": "block", "tolerance": 0}}},
    "drift blocks": {"signals": {"DRIFT_NUMERIC": {"severity": "block", "tolerance": 0}}},
    "one column blocks": {"signals": {"DRIFT_NUMERIC:y": {"severity": "block", "tolerance": 0}}},
    "a larger budget": {"false_block_budget": 0.5},
    "a smaller budget": {"false_block_budget": 0.000001},
    "partitions": {"signals": {"PARTS": {"severity": "block"}}},
    "contributors": {"contributors": {"max_share": 0.05}},
    "warnings are not accepted": {"accept": ["PASSED"]},
}


@pytest.fixture
def told(site):
    """Two baselines, side by side, and the digests of a batch that passed and one that failed."""
    return site, site.once(_tell)


def _tell(site):
    first = site.seal(write(rows(5), site.root / "first"))
    site.gate()
    promote(site, first.digest, at=AT)
    digests = []
    for path in (site.clean, site.poisoned):
        digests.append(site.seal(path).digest)
        site.gate()
    return digests


@pytest.mark.parametrize("change", CHANGES)
def test_replay_says_what_the_gate_then_says_or_that_it_cannot_know(told, change, capsys):
    site, digests = told
    value = yaml.safe_load(DEFAULT_POLICY)
    for key, item in CHANGES[change].items():
        value[key] = value[key] | item if key == "signals" else item
    trial = site.root / "trial.yaml"
    trial.write_text(yaml.safe_dump(value), encoding="utf-8")
    home = ["--home", str(site.home.root)]
    assert cli.main(["policy", "test", str(trial), "--source", "src", "--json", *home]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    said = {verdict["digest"]: verdict["would_be"] for verdict in verdicts}
    site.home.policy.write_bytes(trial.read_bytes())
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    later = AT + timedelta(minutes=1)
    how = {"signers": signers, "at": later, "run": RUN, "runner": evaluate_directly}
    for digest in digests:
        verdict = gate_source(site.home, "src", digest=digest, **how)[0].verdict
        assert said[str(digest)] in {None, verdict.result.value}, (change, verdict.summary())
    if change == "the same":
        assert [said[str(digest)] for digest in digests] == ["PASSED", "FAILED"]


def test_replay_tells_what_needs_the_data_again(site, capsys):
    site.seal(site.clean)
    site.gate()
    trial = site.root / "trial.yaml"
    trial.write_text(DEFAULT_POLICY + "contributors: {max_share: 0.9}\n", encoding="utf-8")
    home = ["--home", str(site.home.root)]
    assert cli.main(["policy", "test", str(trial), "--json", *home]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["would_pass"], said["would_block"], said["unknown"]) == (0, 0, 1)
    assert said["verdicts"][0]["why"] == "needs the data again for CONTRIBUTOR_LIMIT"


def test_batch_too_old_for_the_policy_would_not_have_been_judged(site, capsys):
    site.seal(site.clean, at=AT - timedelta(hours=3))
    site.gate()
    trial = site.root / "trial.yaml"
    trial.write_text(DEFAULT_POLICY + "freshness: {sealed_hours: 1}\n", encoding="utf-8")
    home = ["--home", str(site.home.root)]
    assert cli.main(["policy", "test", str(trial), "--json", *home]) == 0
    (verdict,) = json.loads(capsys.readouterr().out)["verdicts"]
    assert verdict["starts"] is False
    assert "sealed too long ago" in verdict["why"]
