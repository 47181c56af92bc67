"""Guard and gate believe a key that an authority vouches for, while or since it was valid."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from tests.unit.adapters.test_timestamping import CONFIG, openssl
from tests.unit.attest.test_certificates import chain, issue
from tests.unit.attest.test_certificates import key as ec_key
from tests.unit.workflow.conftest import AT

from sluicegate.adapters.timestamping import request_for
from sluicegate.attest.keys import Algorithm, Signer, generate
from sluicegate.attest.trust import Role, RoleRule, TrustedKey
from sluicegate.cli.main import main
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import BadSignature, Expired, SluicegateError, UntrustedKey
from sluicegate.ledger.cosigning.cosignature import Cosigner, CosignerKey, with_lines
from sluicegate.ledger.keys import raw_public_key
from sluicegate.ledger.note import SignedNote
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence.folder import export_folder
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.verification.verify import verify_folder

DAY = timedelta(days=1)
ROOT, LEAF, STRANGER = (ec_key(number) for number in (21, 22, 23))
LATER = AT + 2 * DAY
"""The certificate has expired, the verdict has not."""


def pem(certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def authority():
    return issue("root", ROOT, "root", ROOT, ca=True, before=AT - 90 * DAY, after=AT + 90 * DAY)


@pytest.fixture
def witness():
    return generate(Algorithm.ED25519)


@pytest.fixture
def certified(site, witness):
    """An installation whose source role has no listed key: an authority vouches for it."""
    trust = read_trust(site.home.trust)
    roles = {
        **trust.roles,
        Role.SOURCE: replace(trust.roles[Role.SOURCE], key_ids=(), authorities=(pem(authority()),)),
        Role.WITNESS: RoleRule((witness.public_key.key_id,)),
    }
    keys = {**trust.keys, witness.public_key.key_id: TrustedKey(witness.public_key)}
    write_trust(site, replace(trust, keys=keys, roles=roles))
    signer = Signer(LEAF)
    site.home.key("source").write_bytes(signer.private_pem())
    (site.home.root / "certificates").mkdir()
    leaf = issue("leaf", LEAF, "root", ROOT, before=AT - DAY, after=AT + DAY)
    (site.home.root / "certificates" / "source.pem").write_bytes(chain(leaf))
    return site


def write_trust(site, trust):
    site.home.trust.write_bytes(trust.to_bytes())


@pytest.fixture
def judged(certified):
    certified.seal(certified.clean)
    certified.gate()
    return certified


def admitted(site, at=AT):
    return admit_training(site.home, ["src"], at=at)


def witnessed(site, witness, at, *, size=None):
    """Keep the newest checkpoint as a witness cosigned it at this time."""
    note = site.evidence().ledger.checkpoint()
    cosigner = Cosigner(
        CosignerKey("w.example", raw_public_key(witness.public_key, locator="w")), witness.sign
    )
    text = SignedNote.parse(note, locator="note").text
    line = str(cosigner.cosign(text, int(at.timestamp()))).encode() + b"\n"
    kept = site.home.witnessed / str(size or site.evidence().ledger.audit().size)
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(with_lines(note, line, locator="w"))
    return kept


def test_certified_key_seals_and_its_batch_is_admitted(judged):
    assert admitted(judged)


def test_without_its_certificate_the_key_is_unknown(judged):
    (judged.home.root / "certificates" / "source.pem").unlink()
    with pytest.raises(UntrustedKey):
        admitted(judged)


def test_certificate_of_a_stranger_adds_nothing(certified):
    leaf = issue("leaf", LEAF, "root", STRANGER, before=AT - DAY, after=AT + DAY)
    (certified.home.root / "certificates" / "source.pem").write_bytes(chain(leaf))
    with pytest.raises(UntrustedKey):
        certified.seal(certified.clean)
    assert certified.evidence().ledger.audit().size == 0


def test_expired_certificate_admits_nothing_without_a_witnessed_time(judged):
    with pytest.raises(Expired, match="key is not valid any more"):
        admitted(judged, LATER)


def test_expired_certificate_seals_nothing_new(judged, witness):
    witnessed(judged, witness, AT)
    with pytest.raises(Expired):
        judged.seal(judged.poisoned, LATER)


def test_ledger_that_witnesses_saw_in_time_says_when_it_was_signed(judged, witness):
    witnessed(judged, witness, AT + timedelta(hours=1))
    assert admitted(judged, LATER)


def test_checkpoint_cosigned_after_the_certificate_ended_says_nothing(judged, witness):
    witnessed(judged, witness, AT + DAY + timedelta(hours=1))
    with pytest.raises(SluicegateError) as caught:
        admitted(judged, LATER)
    assert caught.value.code in ("EXPIRED", "UNTRUSTED_KEY")


@pytest.mark.slow
def test_checkpoint_before_the_leaf_says_nothing(certified, witness):
    witnessed(certified, witness, AT, size=5)
    certified.seal(certified.clean)
    certified.gate()
    with pytest.raises(Expired):
        admitted(certified, LATER)


def test_cosignature_of_a_stranger_or_an_edited_one_does_not_count(judged, witness):
    kept = witnessed(judged, generate(Algorithm.ED25519), AT)
    with pytest.raises(UntrustedKey, match="quorum"):
        admitted(judged, LATER)
    kept = witnessed(judged, witness, AT)
    note = kept.read_bytes()
    kept.write_bytes(note[:-9] + (b"AAAA" if note[-9:-5] != b"AAAA" else b"BBBB") + note[-5:])
    with pytest.raises(BadSignature):
        admitted(judged, LATER)


def test_revoked_key_stays_revoked_whoever_vouches_for_it(judged, witness):
    witnessed(judged, witness, AT)
    trust = read_trust(judged.home.trust)
    public = Signer(LEAF).public_key
    keys = {**trust.keys, public.key_id: TrustedKey(public, revoked_at=AT)}
    write_trust(judged, replace(trust, keys=keys))
    for at in (AT, LATER):
        with pytest.raises(UntrustedKey, match="revoked"):
            admitted(judged, at)


def answer_to(place, request: bytes) -> None:
    (place / "q.tsq").write_bytes(request)
    keys = ["-inkey", "tsa.key", "-signer", "tsa.pem", "-config", "tsa.conf"]
    reply = ["-reply", "-section", "tsa_config", "-queryfile", "q.tsq", "-out", "r.tsr"]
    openssl(place, "ts", *reply, *keys)


def stamp(site, place, record) -> None:
    """Ask and keep as the command line does."""
    timestamp = ["ledger", "timestamp", str(record.index), "--home", str(site.home.root)]
    assert main([*timestamp, "--request", str(place / "own.tsq")]) == 0
    answer_to(place, (place / "own.tsq").read_bytes())
    assert main([*timestamp, "--response", str(place / "r.tsr")]) == 0


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_timestamps_of_the_policys_authority_say_when_it_was_signed(judged, tmp_path):
    pytest.importorskip("rfc3161_client")
    (tmp_path / "tsa.conf").write_text(CONFIG)
    (tmp_path / "serial").write_text("01\n")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-config", "tsa.conf"]
    signed = ["-CA", "root.pem", "-CAkey", "root.key", "-subj", "/CN=tsa"]
    for name, more in {"root": [], "tsa": signed}.items():
        out = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-extensions", name]
        openssl(tmp_path, "req", "-x509", *new, *out, "-days", "30", *more)
    trust = read_trust(judged.home.trust)
    own = (tmp_path / "root.pem").read_text()
    write_trust(judged, replace(trust, timestamp_authorities=(own,)))
    assert read_trust(judged.home.trust).timestamp_authorities == (own,)
    ledger = judged.evidence().ledger
    seal, provenance = (next(ledger.find(kind, "src")) for kind in ("seal", "provenance"))
    stamp(judged, tmp_path, seal)
    with pytest.raises(Expired):
        admitted(judged, LATER)  # the seal's time is known, that of the provenance is not
    stamp(judged, tmp_path, provenance)
    assert admitted(judged, LATER)
    # The folder takes chain and timestamps along, and verifies as the ledger does.
    evidence = judged.evidence(LATER)
    export_folder(evidence, evidence.latest_seal("src", at=LATER), tmp_path / "out")
    report = verify_folder(tmp_path / "out", evidence.pinned, at=LATER)
    assert [f.code for f in report.findings if f.code != "OK"] == []
    answer_to(tmp_path, request_for(b"another envelope"))
    index = ["ledger", "timestamp", str(provenance.index), "--home", str(judged.home.root)]
    assert main([*index, "--response", str(tmp_path / "r.tsr")]) == 1
    assert admitted(judged, LATER), "the answer about other bytes was not kept"
    name = sha256_bytes(provenance.envelope).hex
    shutil.copy(tmp_path / "r.tsr", judged.home.timestamps / f"{name}.tsr")
    with pytest.raises(BadSignature, match="timestamp does not hold"):
        admitted(judged, LATER)


def test_timestamp_command_needs_an_index_one_file_and_an_authority(judged, tmp_path):
    pytest.importorskip("rfc3161_client")
    (tmp_path / "r").write_bytes(b"answer")
    home = ["--home", str(judged.home.root)]
    answer = ["--response", str(tmp_path / "r")]
    for wrong in ([], ["0"], ["0", *answer], ["x", *answer]):
        assert main(["ledger", "timestamp", *wrong, *home]) == 64
