"""What an attacker does to an evidence folder, and the code that `sluicegate verify` prints."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluicegate.cli import main as cli

ALGORITHMS = {
    "source": "ecdsa-p256",
    "second": "ecdsa-p256",
    "quantum": "ml-dsa-65",
    "gate": "ed25519",
    "outsider": "ecdsa-p256",
}
SEAL = Path("evidence", "seal.sigstore.json")
LINES = Path("evidence", "evidence.intoto.jsonl")


@pytest.fixture
def work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, algorithm in ALGORITHMS.items():
        assert cli.main(["keygen", "--out", name, "--alg", algorithm]) == 0
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,label\n1,cat\n", encoding="utf-8")
    trust()
    assert seal() == 0
    assert codes(capsys) == {"OK"}
    return tmp_path


def trust(*more: str, names: tuple[str, ...] = ("source",)) -> None:
    keys = [item for name in names for item in ("--key", f"source={name}/key.pub.pem")]
    keys += ["--key", "gate=gate/key.pub.pem"]
    assert cli.main(["trust", "init", *keys, *more, "--out", "trust.json"]) == 0


def seal(*more: str, key: str = "source", name: str = "flights", out: str = "evidence") -> int:
    shutil.rmtree(out, ignore_errors=True)
    options = ["--name", name, "--key", f"{key}/key.pem", "--out", out]
    return cli.main(["seal", "data", *options, *more])


def codes(capsys, *more: str) -> set[str]:
    """Return the codes of all checks; the exit code must say the same."""
    capsys.readouterr()
    exit_code = cli.main(["verify", "evidence", "data", "--trust", "trust.json", "--json", *more])
    report = json.loads(capsys.readouterr().out)
    if "error" in report:
        return {report["error"]["code"]}
    assert (exit_code == 0) == report["valid"]
    return {finding["code"] for finding in report["findings"]}


def edit(path: Path, change) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(json.dumps(value).encode())


def test_evidence_of_another_source_is_refused_by_name(work, capsys):
    assert seal(name="weather") == 0
    assert codes(capsys) == {"OK"}
    assert codes(capsys, "--name", "weather") == {"OK"}
    assert codes(capsys, "--name", "flights") == {"BAD_PROOF"}


def test_older_batch_with_its_own_valid_seal_is_a_rollback(work, capsys):
    """Replay: data and seal fit each other, and were both true once."""
    assert seal("--source-version", "2") == 0
    assert codes(capsys, "--remembered-version", "2") == {"OK"}
    assert codes(capsys, "--remembered-version", "3") == {"OK", "ROLLBACK"}


def test_version_is_not_learned_from_an_edited_statement(work, capsys):
    envelope = json.loads(LINES.read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b'"version":1', b'"version":9')
    envelope["payload"] = base64.b64encode(payload).decode()
    LINES.write_bytes(json.dumps(envelope).encode() + b"\n")
    assert codes(capsys, "--remembered-version", "2") == {
        "OK",
        "BAD_SIGNATURE",
        "EVIDENCE_MISSING",
    }


def test_threshold_needs_two_people(work, capsys):
    trust("--threshold", "source=2", names=("source", "second"))
    assert codes(capsys) == {"UNTRUSTED_KEY"}
    assert seal("--cosign-key", "second/key.pem") == 0
    assert codes(capsys) == {"OK"}


def test_threshold_is_not_met_by_repeating_a_signature(work, capsys):
    trust("--threshold", "source=2", names=("source", "second"))
    edit(LINES, lambda v: v["signatures"].append(dict(v["signatures"][0])))
    assert codes(capsys) == {"UNTRUSTED_KEY"}


def test_key_cannot_cosign_its_own_seal(work):
    assert seal("--cosign-key", "source/key.pem") == 64


def test_missing_post_quantum_signature_is_an_untrusted_key(work, capsys):
    assert codes(capsys, "--require-pq") == {"UNTRUSTED_KEY"}
    hybrid = ("--require", "source=ecdsa-p256", "--require", "source=ml-dsa-65")
    trust(*hybrid, names=("source", "quantum"))
    assert codes(capsys) == {"UNTRUSTED_KEY"}
    assert seal("--cosign-key", "quantum/key.pem") == 0
    assert codes(capsys) == {"OK"}
    assert codes(capsys, "--require-pq") == {"OK"}
    edit(LINES, lambda v: v["signatures"].pop())
    assert codes(capsys) == {"UNTRUSTED_KEY"}


def test_classical_signature_cannot_stand_for_the_post_quantum_one(work, capsys):
    """Downgrade: the P-256 signature under the name of the ML-DSA key."""
    trust("--require", "source=ml-dsa-65", names=("source", "quantum"))
    assert seal("--cosign-key", "quantum/key.pem") == 0

    def downgrade(value):
        classical, quantum = value["signatures"]
        value["signatures"] = [{"keyid": quantum["keyid"], "sig": classical["sig"]}]

    edit(LINES, downgrade)
    assert "BAD_SIGNATURE" in codes(capsys)


def test_cosigned_provenance_of_another_batch_completes_no_seal(work, capsys):
    trust("--threshold", "source=2", names=("source", "second"))
    (work / "data" / "b.csv").write_text("id\n", encoding="utf-8")
    assert seal("--cosign-key", "second/key.pem", out="other") == 0
    (work / "data" / "b.csv").unlink()
    shutil.copy(Path("other", LINES.name), LINES)
    assert codes(capsys) == {"BAD_PROOF"}


def test_seal_of_an_outsider_is_an_untrusted_key(work, capsys):
    assert seal(key="outsider") == 0
    assert codes(capsys) == {"UNTRUSTED_KEY"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda v: v.update(mediaType="application/json"), "MALFORMED"),
        (
            lambda v: v["verificationMaterial"]["publicKey"].update(hint="0" * 64),
            "MALFORMED",
        ),
        (lambda v: v["dsseEnvelope"].update(payloadType="text/plain"), "BAD_SIGNATURE"),
        (lambda v: v["dsseEnvelope"].update(payload="e30="), "BAD_SIGNATURE"),
        (lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="AAAA"), "BAD_SIGNATURE"),
        (lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="AAA"), "MALFORMED"),
        (lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="AA\nAA"), "MALFORMED"),
        (lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="+_AA"), "MALFORMED"),
        (lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="AB=="), "MALFORMED"),
    ],
    ids=[
        "mediaType",
        "hint",
        "payloadType",
        "payload",
        "signature",
        "base64 without padding",
        "base64 with white space",
        "base64 of two alphabets",
        "base64 with unused bits",
    ],
)
def test_edited_seal_is_refused_by_name(work, capsys, change, code):
    edit(SEAL, change)
    assert codes(capsys) == {code}


@pytest.mark.parametrize(
    "extra", [b'"mediaType":"x"', b'"n":NaN', b'"n":' + b"9" * 400, b'"n":1e999']
)
def test_json_that_two_readers_read_differently_is_malformed(work, capsys, extra):
    SEAL.write_bytes(SEAL.read_bytes().rstrip(b"}") + b"}}," + extra + b"}")
    assert codes(capsys) == {"MALFORMED"}


@pytest.mark.parametrize("path", [SEAL, LINES])
def test_evidence_of_a_gigabyte_is_refused_by_its_size(work, capsys, path):
    os.truncate(path, 2**30)  # sparse: it costs no disk
    started = time.process_time()
    assert codes(capsys) == {"MALFORMED"}
    # Reading and parsing a gigabyte takes seconds; looking at its size does not.
    assert time.process_time() - started < 0.5


def test_revoked_key_and_expired_policy_have_their_own_codes(work, capsys):
    from sluicegate.attest.keys import load_public_key

    pem = Path("source/key.pub.pem").read_bytes()
    key_id = load_public_key(pem, locator="source").key_id
    assert codes(capsys, "--at", "2099-01-01T00:00:00Z") == {"EXPIRED"}
    revoke = ["--trust", "trust.json", "--key-id", key_id, "--out", "trust.json"]
    assert cli.main(["trust", "revoke", *revoke, "--at", "2026-01-01T00:00:00Z"]) == 0
    assert codes(capsys, "--at", "2025-12-31T23:59:59Z") == {"OK"}
    assert codes(capsys, "--at", "2026-01-01T00:00:00Z") == {"UNTRUSTED_KEY"}


def test_key_that_is_not_valid_yet_has_its_own_code(work, capsys):
    value = json.loads(Path("trust.json").read_bytes())
    (key_id,) = value["roles"]["source"]["keys"]
    value["keys"][key_id]["not_before"] = "2090-01-01T00:00:00Z"
    Path("trust.json").write_text(json.dumps(value))
    assert codes(capsys, "--at", "2026-06-01T00:00:00Z") == {"EXPIRED"}


def test_evidence_that_was_never_logged_is_missing_when_the_ledger_is_required(work, capsys):
    assert codes(capsys, "--require-ledger") == {"OK", "EVIDENCE_MISSING"}


def test_older_trust_policy_than_remembered_is_a_rollback(work, capsys):
    assert codes(capsys, "--remembered-trust-version", "1") == {"OK"}
    assert codes(capsys, "--remembered-trust-version", "2") == {"ROLLBACK"}


def test_table_names_signer_version_and_time(work, capsys):
    capsys.readouterr()
    assert cli.main(["verify", "evidence", "--trust", "trust.json"]) == 0
    head, columns, seal_row, statement, *_ = capsys.readouterr().out.splitlines()
    assert head == "flights: VALID under trust policy 1"
    assert columns.split() == ["CHECK", "RESULT", "VERSION", "TIME", "SIGNED", "BY", "DETAIL"]
    assert "/ecdsa-p256" in seal_row
    assert statement.split()[3] == "1"
    assert statement.split()[4].endswith("Z")


def test_verification_needs_neither_airflow_nor_network(work):
    """The auditor's machine: any attempt to load Airflow or to reach somebody fails."""
    program = (
        "import sys\n"
        "sys.modules['airflow'] = None\n"
        "def refuse(event, _):\n"
        "    assert event not in {'socket.connect', 'socket.bind', 'socket.getaddrinfo'}, event\n"
        "sys.addaudithook(refuse)\n"
        "from sluicegate.cli.main import main\n"
        "raise SystemExit(main(['verify', 'evidence', 'data', '--trust', 'trust.json']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
