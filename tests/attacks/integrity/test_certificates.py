"""Keys that an authority vouches for, from the command line, and certificates that outlived."""

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tests.unit.adapters.test_timestamping import CONFIG
from tests.unit.attest.test_certificates import OTHER, ROOT, chain, issue

from sluicegate.cli import main as cli

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["keygen", "--out", "k"]) == 0
    Path("data").write_text("one", encoding="utf-8")
    times = {"before": NOW - 9 * DAY, "after": NOW + 900 * DAY}
    Path("ca.pem").write_bytes(chain(issue("root", ROOT, "root", ROOT, ca=True, **times)))
    key = serialization.load_pem_private_key(Path("k/key.pem").read_bytes(), None)
    leaf = issue("signer", key, "root", ROOT, before=NOW - DAY, after=NOW + DAY)
    assert cli.main(["trust", "init", "--authority", "source=ca.pem", "--out", "trust.json"]) == 0
    seal = ["seal", "data", "--name", "flights", "--key", "k/key.pem", "--out", "evidence"]
    assert cli.main(seal) == 0
    Path("evidence/certificates").mkdir()
    Path("evidence/certificates/signer.pem").write_bytes(chain(leaf))
    return tmp_path


def codes(capsys, *more):
    capsys.readouterr()
    cli.main(["verify", "evidence", "data", "--trust", "trust.json", "--json", *more])
    return {finding["code"] for finding in json.loads(capsys.readouterr().out)["findings"]}


def later(days):
    return ("--at", (NOW + days * DAY).strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_seal_of_a_key_with_a_valid_certificate_verifies(work, capsys):
    assert codes(capsys) == {"OK"}


def test_seal_without_its_chain_is_an_untrusted_key(work, capsys):
    shutil.rmtree("evidence/certificates")
    assert codes(capsys) == {"UNTRUSTED_KEY"}


def test_seal_under_another_authority_is_an_untrusted_key(work, capsys):
    key = serialization.load_pem_private_key(Path("k/key.pem").read_bytes(), None)
    times = {"before": NOW - DAY, "after": NOW + DAY}
    forged = issue("signer", key, "root", OTHER, **times)
    own = issue("root", OTHER, "root", OTHER, ca=True, **times)
    Path("evidence/certificates/signer.pem").write_bytes(chain(forged, own))
    assert codes(capsys) == {"UNTRUSTED_KEY"}


def test_expired_certificate_has_expired(work, capsys):
    assert codes(capsys, *later(30)) == {"EXPIRED"}
    assert codes(capsys, *later(-5)) == {"EXPIRED"}


def test_revocation_in_the_policy_goes_before_the_certificate(work, capsys):
    pem = Path("k/key.pub.pem").read_text()
    value = json.loads(Path("trust.json").read_bytes())
    revoked = (NOW - DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    key_id = hashlib.sha256(pem.encode()).hexdigest()
    value["keys"][key_id] = {"pem": pem, "revoked_at": revoked}
    Path("trust.json").write_text(json.dumps(value))
    assert codes(capsys) == {"UNTRUSTED_KEY"}


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_timestamp_shows_that_the_certificate_was_valid_when_it_signed(work, capsys):
    pytest.importorskip("rfc3161_client")
    Path("tsa.conf").write_text(CONFIG)
    Path("serial").write_text("01\n")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-config", "tsa.conf"]
    root = ["-keyout", "tr.key", "-out", "tr.pem", "-extensions", "root", "-days", "60"]
    openssl("req", "-x509", *new, *root)
    tsa = ["-keyout", "t.key", "-out", "t.pem", "-extensions", "tsa", "-subj", "/CN=tsa"]
    openssl("req", "-x509", *new, *tsa, "-CA", "tr.pem", "-CAkey", "tr.key", "-days", "60")
    Path("evidence/timestamps").mkdir()
    line = Path("evidence/evidence.intoto.jsonl").read_bytes().rstrip(b"\n")
    for envelope in (Path("evidence/seal.sigstore.json").read_bytes(), line):
        Path("stamped").write_bytes(envelope)
        openssl("ts", "-query", "-data", "stamped", "-sha256", "-cert", "-out", "q.tsq")
        out = f"evidence/timestamps/{hashlib.sha256(envelope).hexdigest()}.tsr"
        reply = ["-reply", "-section", "tsa_config", "-queryfile", "q.tsq", "-out", out]
        openssl("ts", *reply, "-inkey", "t.key", "-signer", "t.pem", "-config", "tsa.conf")
    believed = ("--timestamp-authority", "tr.pem")
    assert codes(capsys, *believed, *later(30)) == {"OK"}
    # A timestamp that nobody believes changes nothing, and one of other bytes proves nothing.
    assert codes(capsys, *later(30)) == {"EXPIRED"}
    one, two = sorted(Path("evidence/timestamps").iterdir())
    shutil.copy(one, two)
    assert "BAD_SIGNATURE" in codes(capsys, *believed, *later(30))
