"""Cosignatures and the witness protocol; keys are for tests only."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from sluicegate.adapters.ledgers.witness_store import SqliteWitnessStore
from sluicegate.errors import (
    BadSignature,
    ConfigError,
    LedgerError,
    MalformedEnvelope,
    UntrustedKey,
)
from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint
from sluicegate.ledger.cosigning.cosignature import (
    ML_DSA_44,
    Cosigner,
    CosignerKey,
    cosigners,
    require_quorum,
    with_lines,
)
from sluicegate.ledger.cosigning.witness import SIZE_TYPE, Request, Witness
from sluicegate.ledger.note import encode_base64, sign_text

NOW = 1_700_000_000
NAME = "witness.example.com/w1"


def ed25519(seed=9, name=NAME):
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return Cosigner(CosignerKey(name, key.public_key().public_bytes_raw()), key.sign)


def ml_dsa(seed=9, name=NAME):
    key = MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)
    return Cosigner(CosignerKey(name, key.public_key().public_bytes_raw(), ML_DSA_44), key.sign)


@pytest.fixture
def notes(ledger, item):
    """Checkpoint by size, from 0 to 12."""
    return [ledger.checkpoint(), *(ledger.append(*item(n)).checkpoint for n in range(12))]


@pytest.fixture
def witness(verifier, tmp_path):
    logs = {verifier.name: [verifier]}
    return Witness(logs, ed25519(), SqliteWitnessStore(tmp_path / "seen.db"), lambda: NOW)


@pytest.fixture
def request_of(ledger, notes):
    def make(old, new):
        proof = ledger.prove_consistency(old, new) if 0 < old <= new else ()
        return Request(old, proof, notes[new]).to_bytes()

    return make


@pytest.mark.parametrize("cosigner", [ed25519(), ml_dsa()], ids=["Ed25519", "ML-DSA-44"])
def test_cosignature_verifies_on_its_checkpoint_alone(cosigner, notes):
    line = cosigner.cosign(notes[5].decode().rpartition("\n\n")[0] + "\n", NOW)
    cosigned = with_lines(notes[5], f"{line}\n".encode(), locator="test")
    assert cosigners(cosigned, [cosigner.key], locator="test") == {cosigner.key.public_key: NOW}
    other = with_lines(notes[6], f"{line}\n".encode(), locator="test")
    with pytest.raises(BadSignature):
        cosigners(other, [cosigner.key], locator="test")
    assert CosignerKey.parse(str(cosigner.key), locator="test") == cosigner.key


def test_cosigned_checkpoint_is_still_the_ledgers(ledger, notes):
    line = ed25519().cosign(notes[5].decode().rpartition("\n\n")[0] + "\n", NOW)
    cosigned = with_lines(notes[5], f"{line}\n".encode(), locator="test")
    assert ledger.verify_checkpoint(cosigned).size == 5
    assert ledger.require_extends(cosigned).size == 12


def test_quorum_counts_each_key_once_and_no_stranger(notes):
    text = notes[5].decode().rpartition("\n\n")[0] + "\n"
    keys = [ed25519(1, "a"), ed25519(1, "b"), ed25519(2, "c"), ed25519(3, "d")]
    lines = "".join(f"{each.cosign(text, NOW)}\n" for each in keys).encode()
    note = with_lines(notes[5], lines, locator="test")
    trusted = [ed25519(seed).key.public_key for seed in (1, 2, 7)]
    assert len(require_quorum(note, trusted, 2, locator="test")) == 2
    with pytest.raises(UntrustedKey, match=r"quorum.*3 witnesses, got 2"):
        require_quorum(note, trusted, 3, locator="test")
    with pytest.raises(ConfigError):
        require_quorum(note, trusted, 0, locator="test")


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+BAAA", "w x+00+AA=="])
def test_key_of_no_witness_is_refused(text):
    with pytest.raises(MalformedEnvelope):
        CosignerKey.parse(text, locator="test")


def test_witness_cosigns_what_only_grows(witness, request_of, notes):
    for old, new in ((0, 3), (3, 3), (3, 8), (8, 12)):
        answer = witness.add_checkpoint(request_of(old, new))
        assert answer.status == 200
        note = with_lines(notes[new], answer.body, locator="test")
        assert cosigners(note, [ed25519().key], locator="test") == {ed25519().key.public_key: NOW}


def test_witness_that_knows_another_size_says_which(witness, request_of):
    witness.add_checkpoint(request_of(0, 5))
    for old, new in ((0, 5), (3, 8), (0, 12), (4, 4)):
        answer = witness.add_checkpoint(request_of(old, new))
        assert (answer.status, answer.body, answer.content_type) == (409, b"5\n", SIZE_TYPE)


def test_witness_never_signs_a_smaller_tree(witness, request_of, notes):
    witness.add_checkpoint(request_of(0, 8))
    assert witness.add_checkpoint(Request(8, (), notes[5]).to_bytes()).status == 400
    assert witness.add_checkpoint(request_of(5, 5)).status == 409


def test_witness_never_signs_a_fork(witness, request_of, signer, notes):
    witness.add_checkpoint(request_of(0, 5))
    for size in (5, 6):
        forked = sign_checkpoint(Checkpoint(signer.name, size, bytes(32)), signer)
        assert witness.add_checkpoint(Request(5, (), forked).to_bytes()).status == 422
    proof = Request.parse(request_of(5, 8)).proof
    assert witness.add_checkpoint(Request(5, proof, forked).to_bytes()).status == 422
    assert witness.add_checkpoint(request_of(5, 8)).status == 200


def test_proof_from_nothing_is_refused(witness, notes):
    request = Request(0, (bytes(32),), notes[3]).to_bytes()
    assert witness.add_checkpoint(request).status == 422


def test_root_of_no_leaves_is_unprocessable_and_not_malformed(witness, signer, other_signer):
    text = f"{signer.name}\n0\n{encode_base64(bytes(32))}\n"
    note = sign_text(text, [signer]).to_bytes()
    assert witness.add_checkpoint(Request(0, (), note).to_bytes()).status == 422
    forged = sign_text(text, [other_signer]).to_bytes()
    assert witness.add_checkpoint(Request(0, (), forged).to_bytes()).status == 403
    odd = sign_text(text.replace("\n0\n", "\n00\n"), [signer]).to_bytes()
    assert witness.add_checkpoint(Request(0, (), odd).to_bytes()).status == 400


def test_empty_tree_is_cosigned(witness, notes):
    assert witness.add_checkpoint(Request(0, (), notes[0]).to_bytes()).status == 200


def test_unknown_or_unsigned_log_is_refused(witness, notes, other_signer, signer):
    strange = type(signer)("example.com/other", signer.public_key, signer.sign)
    root = bytes(32)
    unknown = sign_checkpoint(Checkpoint(strange.name, 3, root), strange)
    forged = sign_checkpoint(Checkpoint(signer.name, 3, root), other_signer)
    broken = notes[3].replace(b"\n3\n", b"\n4\n")
    for note, status in ((unknown, 404), (forged, 403), (broken, 403)):
        assert witness.add_checkpoint(Request(0, (), note).to_bytes()).status == status


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: body.replace(b"old 0", b"old 00"),
        lambda body: body.replace(b"old 0", b"new 0"),
        lambda body: body.replace(b"old 0\n", b"old 0\n" + b"A" * 44 + b"\n" * 2),
        lambda body: b"old 0\n" + b"AAAA\n" * 64 + body.removeprefix(b"old 0\n"),
        lambda body: body + b"x" * (1 << 17),
        lambda body: b"\xff" + body,
    ],
)
def test_request_in_another_format_is_refused(witness, request_of, change):
    assert witness.add_checkpoint(change(request_of(0, 3))).status == 400


def test_witness_remembers_across_restarts(verifier, request_of, tmp_path):
    def start():
        store = SqliteWitnessStore(tmp_path / "seen.db")
        return Witness({verifier.name: [verifier]}, ed25519(), store, lambda: NOW)

    assert start().add_checkpoint(request_of(0, 8)).status == 200
    assert start().add_checkpoint(request_of(0, 3)).body == b"8\n"


def test_witness_that_cannot_remember_does_not_sign(verifier, request_of, tmp_path):
    store = SqliteWitnessStore(tmp_path / "absent" / "seen.db")
    witness = Witness({verifier.name: [verifier]}, ed25519(), store, lambda: NOW)
    with pytest.raises(LedgerError, match="nothing was signed"):
        witness.add_checkpoint(request_of(0, 3))


def test_only_one_of_two_requests_at_once_is_signed(witness, request_of):
    """The race of tlog-witness: the smaller tree must not overwrite the larger one."""
    barrier = threading.Barrier(8)

    def submit(new):
        barrier.wait()
        return witness.add_checkpoint(bodies[new]).status

    bodies = {new: request_of(0, new) for new in range(3, 11)}
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(submit, bodies))
    assert sorted(statuses) == [200] + [409] * 7
