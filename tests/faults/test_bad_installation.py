"""Unusable policy, key, baseline, ledger or trust policy: refused, and nothing is lost."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.faults.conftest import BAD, UNCHECKED, WRONG, admitted, size
from tests.unit.workflow.conftest import AT, SCHEMA, rows, write

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.cli.options import now
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline

# Policy --------------------------------------------------------------------------------------


POLICIES = {
    "empty": "",
    "comment only": "# nothing\n",
    "no signals": "SIGNALS{}",
    "unknown key": "ALL\nallow_everything: true\n",
    "unknown signal key": "SIGNALS{SCHEMA: {severity: block, ignore: true}}",
    "unknown severity": "SIGNALS{SCHEMA: {severity: none}}",
    "accepts FAILED": "ACCEPT",
    "list": "- a\n",
    "not YAML": "signals: [\n",
    "duplicate key": "ALL\nmode: shadow\n",
    "not text": "\x00\x01",
}


def policy_of(text, good):
    head = good.partition("signals:")[0]
    text = text.replace("ACCEPT", good.replace("[PASSED, WARNED]", "[PASSED, FAILED]"))
    return text.replace("SIGNALS", head + "signals: ").replace("ALL", good)


@pytest.mark.parametrize("name", POLICIES)
def test_unusable_policy_is_called_wrongly_and_nothing_is_admitted(site, gate, history, name):
    good = site.home.policy.read_text()
    recorded = size(site)
    site.home.policy.write_text(policy_of(POLICIES[name], good))
    gate().require(WRONG, "CONFIG", "policy.yaml")
    assert admitted(site) is None
    assert size(site) == recorded
    site.home.policy.write_text(good)
    assert admitted(site) == history, "repaired, the verdict from before still holds"


def test_missing_policy_is_called_wrongly(site, gate, history):
    site.home.policy.unlink()
    gate().require(WRONG, "CONFIG", "policy.yaml", "sluicegate policy init")
    assert admitted(site) is None


# Keys ----------------------------------------------------------------------------------------


def remove(path):
    path.unlink()


def directory(path):
    path.unlink()
    path.mkdir()


def encrypted(path):
    signer = generate(Algorithm.ED25519)
    path.write_bytes(signer.private_pem(b"a passphrase"))


def rsa_key(path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def public_half(path):
    path.write_bytes(generate(Algorithm.ED25519).public_key.to_pem())


def garbage(path):
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0IGJ5dGVz\n-----END PRIVATE KEY-----\n")


def truncated_key(path):
    path.write_bytes(path.read_bytes()[:60])


def group_readable(path):
    path.chmod(0o640)


def world_readable(path):
    path.chmod(0o644)


@pytest.mark.parametrize("role", ["source", "gate", "ledger"])
@pytest.mark.parametrize(
    "spoil",
    [
        remove,
        directory,
        encrypted,
        rsa_key,
        public_half,
        garbage,
        truncated_key,
        group_readable,
        world_readable,
    ],
)
def test_unusable_key_is_called_wrongly_and_not_shown(site, gate, history, role, spoil):
    path = site.home.key(role)
    kept = site.root / "kept.pem"
    shutil.copy2(path, kept)
    spoil(path)
    secret = path.read_bytes().splitlines()[1:-1] if path.is_file() else []
    refusal = gate("--seal", write(rows(5), site.root / "next"))
    refusal.require(WRONG, "CONFIG", path.name)
    assert not [line for line in secret if line.decode(errors="replace") in refusal.text]
    assert "passphrase" in refusal.text or spoil is not encrypted
    assert "chmod 600" in refusal.text or spoil not in {group_readable, world_readable}
    # Without the gate's own key the batch may be sealed already, and then has no verdict.
    assert admitted(site) in {history, None}
    if path.is_dir():
        path.rmdir()
    shutil.copy2(kept, path)
    path.chmod(0o600)
    assert gate("--seal", site.root / "next").exit_code == 0, "repaired, it goes on"


@pytest.mark.parametrize("role", ["source", "gate"])
@pytest.mark.parametrize("algorithm", [Algorithm.ECDSA_P256, Algorithm.ED25519])
def test_key_that_the_trust_policy_does_not_name_signs_nothing(
    site,
    gate,
    history,
    role,
    algorithm,
):
    """Nothing that cannot be verified may enter the ledger: it could never be taken out."""
    path = site.home.key(role)
    own = path.read_bytes()
    batch = write(rows(5), site.root / "next")
    if role == "gate":
        site.seal(batch, at=now())
    recorded = size(site)
    path.write_bytes(generate(algorithm).private_pem())
    refusal = gate("--seal", batch)
    assert refusal.exit_code in {BAD, WRONG}
    assert "[UNTRUSTED_KEY]" in refusal.text or "[CONFIG]" in refusal.text
    assert size(site) == recorded
    path.write_bytes(own)
    assert gate("--seal", batch).exit_code == 0, "with the right key it goes on"
    assert admitted(site) not in {history, None}


def test_source_whose_key_was_replaced_can_be_sealed_again(site, gate, history):
    """Old seals stop verifying when their key is withdrawn; new batches must go on."""
    keys = {role: [site.signer(role.value).public_key] for role in (Role.GATE, Role.BASELINE)}
    keys[Role.LEDGER] = [site.signer("ledger").public_key]
    new = generate(Algorithm.ECDSA_P256)
    trust = trust_policy(keys | {Role.SOURCE: [new.public_key]}, version=2, expires=later(365))
    site.home.trust.write_bytes(trust.to_bytes())
    site.home.key("source").write_bytes(new.private_pem())
    gate().require(BAD, "UNTRUSTED_KEY")
    assert admitted(site) is None, "the withdrawn key's seal admits nothing"
    assert gate("--seal", write(rows(5), site.root / "next")).exit_code == 0
    assert admitted(site) not in {history, None}
    assert site.evidence(now()).latest_seal("src", at=now()).version == 2


# Baseline ------------------------------------------------------------------------------------


def later(days):
    return AT + timedelta(days=days)


def test_expired_baseline_is_checked_and_bad(site, gate, history):
    out = site.home.baseline_dir("src")
    write_baseline(
        [site.root / "trusted"],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=out,
        at=AT - timedelta(days=30),
        source="src",
        signer=site.signer("baseline"),
        ttl=timedelta(days=1),
    )
    refusal = gate("--seal", write(rows(5), site.root / "next"))
    refusal.require(BAD, "EXPIRED", "baseline.intoto.json", "new baseline")
    assert admitted(site) is None


@pytest.mark.parametrize("name", ["baseline.json", "baseline.intoto.json"])
def test_missing_baseline_could_not_be_checked(site, gate, history, name):
    (site.home.baseline_dir("src") / name).unlink()
    refusal = gate("--seal", write(rows(5), site.root / "next"))
    assert refusal.exit_code == UNCHECKED
    assert name in refusal.text
    assert "sluicegate baseline build" in refusal.text
    assert admitted(site) is None


@pytest.mark.parametrize("name", ["baseline.json", "baseline.intoto.json"])
def test_edited_baseline_is_checked_and_bad(site, gate, history, name):
    path = site.home.baseline_dir("src") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refusal = gate("--seal", write(rows(5), site.root / "next"))
    assert refusal.exit_code == BAD, refusal.text
    assert name in refusal.text
    assert admitted(site) is None


# Ledger --------------------------------------------------------------------------------------


def checkpointed(path):
    """Move what is in the write-ahead log into the file, so that the file alone is the ledger."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def lose(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def overwritten(path):
    path.write_bytes(b"not a database " * 1000)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed_page(path):
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 3] = bytes(4096 * 2)
    path.write_bytes(data)


def ledger_directory(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "case",
    [
        (lose, UNCHECKED, "EVIDENCE_MISSING"),
        (empty, BAD, "LEDGER_CORRUPT"),
        (overwritten, BAD, "LEDGER_CORRUPT"),
        (cut, BAD, "LEDGER_CORRUPT"),
        (zeroed_page, BAD, "LEDGER_CORRUPT"),
        (ledger_directory, UNCHECKED, "LEDGER"),
    ],
    ids=lambda case: case[0].__name__,
)
def test_unusable_ledger_refuses_and_is_left_as_it_is(site, gate, history, case):
    spoil, exit_code, code = case
    path = site.home.ledger
    checkpointed(path)
    backup = site.root / "backup.db"
    shutil.copy(path, backup)
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    refusal = gate("--seal", write(rows(5), site.root / "next"))
    refusal.require(exit_code, code, "ledger.db", next_step=spoil is not ledger_directory)
    assert admitted(site) is None
    assert (path.read_bytes() if path.is_file() else None) == before, "kept as evidence"
    if path.is_dir():
        path.rmdir()
    for rest in path.parent.glob("ledger.db-*"):
        rest.unlink()
    shutil.copy(backup, path)
    assert admitted(site) == history, "restored, the evidence from before still holds"


# Called wrongly ------------------------------------------------------------------------------


def test_missing_trust_policy_is_called_wrongly(site, gate, history):
    trust = site.home.trust.read_bytes()
    site.home.trust.unlink()
    gate().require(WRONG, "CONFIG", "trust.json", "sluicegate trust init")
    assert admitted(site) is None
    site.home.trust.write_bytes(trust)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b'{"version": 1, "version": 2}'])
def test_unusable_trust_policy_admits_nothing(site, gate, history, content):
    trust = site.home.trust.read_bytes()
    site.home.trust.write_bytes(content)
    refusal = gate()
    assert refusal.exit_code in {BAD, WRONG}
    assert "trust.json" in refusal.text
    assert admitted(site) is None
    site.home.trust.write_bytes(trust)


@pytest.mark.parametrize("suite", ["missing.json", "not json"])
def test_unusable_suite_is_called_wrongly(site, gate, history, suite):
    path = site.root / "suite.json"
    if suite == "not json":
        path.write_text("{", encoding="utf-8")
    refusal = gate("--seal", write(rows(5), site.root / "next"), "--suite", path)
    assert refusal.exit_code in {UNCHECKED, WRONG}, refusal.text
    assert "suite.json" in refusal.text
    assert admitted(site) is None


def test_keys_of_a_new_installation_are_private(site):
    modes = {stat.S_IMODE(path.stat().st_mode) for path in site.home.keys.glob("*.pem")}
    assert modes == {0o600}
