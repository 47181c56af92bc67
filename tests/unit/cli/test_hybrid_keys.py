"""A policy that demands classical and post-quantum signatures holds for every statement."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.support.hybrid_site import make_hybrid
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

from sluicegate.attest import dsse
from sluicegate.attest.keys import read_signer
from sluicegate.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hybrid(site):  # noqa: F811 - the fixture of that name
    make_hybrid(site)
    return site


def run(site, *arguments: object, where: bool = True) -> int:  # noqa: F811
    home = ["--home", str(site.home.root)] if where else []
    return main([*map(str, arguments), *home])


def test_gate_cosigns_and_the_exported_evidence_is_post_quantum(hybrid, tmp_path: Path, capsys):
    assert run(hybrid, "gate", "src", "--seal", hybrid.clean) == 0
    assert run(hybrid, "export", "--source", "src", "--out", tmp_path / "e") == 0
    trust = ("--trust", hybrid.home.trust, "--require-pq", "--require-ledger", "--json")
    capsys.readouterr()
    assert run(hybrid, "verify", tmp_path / "e", hybrid.clean, *trust, where=False) == 0
    found = {f["check"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert all(len(f.get("signers", "ab")) == 2 for f in found.values() if f["check"] != "seal")
    # The bundle holds the one signature that foreign verifiers read.
    assert len(found["seal"]["signers"]) == 1


def test_keys_named_on_the_command_line_cosign(hybrid):
    for name in ("gate.cosign", "gate"):
        hybrid.home.key(name).rename(hybrid.root / f"{name}.pem")
    assert run(hybrid, "gate", "src", "--seal", hybrid.clean) == 64
    named = [f"gate={hybrid.root / name}.pem" for name in ("gate", "gate.cosign")]
    assert run(hybrid, "gate", "src", "--key", named[0], "--key", named[1]) == 0


def test_keys_in_variables_cosign(hybrid, monkeypatch):
    names = {"SLUICEGATE_KEY_GATE": "gate", "PQ": "gate.cosign"}
    for variable, name in names.items():
        path = hybrid.home.key(name)
        monkeypatch.setenv(variable, path.read_text(encoding="utf-8"))
        path.unlink()
    monkeypatch.setenv("SLUICEGATE_COSIGN_GATE", "env:PQ")
    assert run(hybrid, "gate", "src", "--seal", hybrid.clean) == 0


@pytest.mark.parametrize("role", ["source", "gate"])
def test_missing_post_quantum_signature_is_refused_before_anything_is_logged(hybrid, role, capsys):
    hybrid.home.key(f"{role}.cosign").unlink()
    before = hybrid.evidence().ledger.audit().size
    assert run(hybrid, "gate", "src", "--seal", hybrid.clean) == 1
    assert "UNTRUSTED_KEY" in capsys.readouterr().err
    # Where the source could sign, its seal stands; the gate's statements do not.
    assert hybrid.evidence().ledger.audit().size == before + (2 if role == "gate" else 0)


@pytest.mark.slow
def test_quarantine_release_and_rollback_cosign(hybrid):
    assert run(hybrid, "gate", "src", "--seal", hybrid.clean) == 0
    assert run(hybrid, "quarantine", "src", "--reason", "a rumour") == 0
    assert run(hybrid, "release", "src", "--reason", "untrue") == 0
    assert run(hybrid, "gate", "src", "--seal", hybrid.poisoned) == 1
    assert run(hybrid, "rollback", "src") == 0


def audited(site, capsys) -> dict[str, int]:  # noqa: F811
    capsys.readouterr()
    assert run(site, "audit", "--json") in (0, 1)
    counts: dict[str, int] = json.loads(capsys.readouterr().out)["counts"]
    return counts


def test_audit_finds_nothing_where_each_statement_has_the_signatures_its_kind_needs(hybrid, capsys):
    """A bundle holds one signature, and one person revokes a waiver: both by design."""
    assert run(hybrid, "gate", "src", "--seal", hybrid.clean) == 0
    revoke = ["waive", "src", "--revoke", "--reason", "none wanted"]
    assert run(hybrid, *revoke, "--key", hybrid.home.key("second")) == 0
    assert audited(hybrid, capsys) == {}


def test_audit_finds_a_statement_that_lacks_the_post_quantum_signature(hybrid, capsys, tmp_path):
    assert run(hybrid, "gate", "src", "--seal", hybrid.clean) == 0
    (record,) = hybrid.evidence().ledger.find("verdict", "src")
    payload = dsse.Envelope.from_bytes(record.envelope).payload
    lacking = dsse.sign(payload, read_signer(hybrid.home.key("gate"))).to_bytes()
    (tmp_path / "v").write_bytes(lacking)
    named = ["--kind", "verdict", "--source", "src", "--digest", record.entry.subject]
    assert run(hybrid, "ledger", "append", tmp_path / "v", *named) == 0
    assert audited(hybrid, capsys) == {"SIGNER_UNTRUSTED": 1}


def test_waiver_needs_both_keys_of_both_people(hybrid, tmp_path: Path, capsys):
    policy = hybrid.home.policy
    rules = "waiver:\n  allow: [LABEL_FLIPS, LABEL_PRIOR]\n  max_hours: 24\n"
    policy.write_text(policy.read_text(encoding="utf-8") + rules, encoding="utf-8")
    assert run(hybrid, "gate", "src", "--seal", hybrid.poisoned) == 1
    asked = ["waive", "src", "--signal", "LABEL_FLIPS", "--reason", "on purpose"]
    one = ["--key", hybrid.home.key("waiver"), "--cosign-key", hybrid.home.key("waiver.cosign")]
    assert run(hybrid, *asked, "--by", "Ann", *one, "--out", tmp_path / "w") == 0
    confirm = ["waive", "--confirm", tmp_path / "w", "--by", "Bob", "--key"]
    capsys.readouterr()
    assert run(hybrid, *confirm, hybrid.home.key("second")) == 1
    assert "too few people" in capsys.readouterr().err
    both = [hybrid.home.key("second"), "--cosign-key", hybrid.home.key("second-quantum")]
    assert run(hybrid, *confirm, *both) == 0
