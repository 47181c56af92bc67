"""Roots, proofs, notes and keys of a real ledger verify in PyPI's tlog-scales.

tlog-scales (Apache-2.0) is an independent implementation; it is not a dependency, so without
it these tests are skipped: `pip install tlog-scales`.
"""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluicegate.adapters.ledgers.sqlite import open_ledger
from sluicegate.errors import BadProof
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import CallableSigner, Ed25519Verifier
from sluicegate.ledger.merkle import leaf_hash, verify_consistency
from sluicegate.ledger.note import open_note
from sluicegate.ledger.proof import TlogProof

tlog = pytest.importorskip("tlog_scales.tlog")
signing = pytest.importorskip("tlog_scales.signing")
tiles = pytest.importorskip("tlog_scales.tiles")

N = 300
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)  # a fixed key, for tests only
PUBLIC = PRIVATE.public_key().public_bytes_raw()
ORIGIN = "example.com/test-ledger"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("tlog") / "ledger.db"
    signer = CallableSigner(ORIGIN, PUBLIC, PRIVATE.sign)
    ledger = open_ledger(path, public_key=PUBLIC, signer=signer, create=True, origin=ORIGIN)
    notes = []
    for number in range(N):
        envelope = b"envelope %d" % number
        entry = Entry.of("seal", "flights", f"dirHash1:{number:064x}", envelope)
        notes.append(ledger.append(entry, envelope).checkpoint.decode())
    yield ledger, notes
    ledger.close()


def test_their_verifier_accepts_our_verifier_key_and_every_checkpoint(log):
    vkey = signing.Vkey.from_string(Ed25519Verifier(ORIGIN, PUBLIC).vkey)
    for note in log[1]:
        checkpoint = tlog.Checkpoint.from_text(note)
        checkpoint.verify(vkey)
        assert checkpoint.serialize() == note


def test_their_verifier_refuses_our_edited_checkpoint(log):
    vkey = signing.Vkey.from_string(Ed25519Verifier(ORIGIN, PUBLIC).vkey)
    edited = log[1][-1].replace(f"\n{N}\n", f"\n{N + 1}\n")
    with pytest.raises(InvalidSignature):
        tlog.Checkpoint.from_text(edited).verify(vkey)


def test_our_verifier_accepts_their_note(log):
    theirs = signing.PlainEd25519Signer(ORIGIN, PRIVATE)
    note = tlog.Checkpoint.make_signed(ORIGIN, 1, bytes(32), [theirs]).serialize().encode()
    opened = open_note(note, [Ed25519Verifier(ORIGIN, PUBLIC)], locator="theirs")
    assert opened.to_bytes() == note
    assert theirs.vkey.serialize() == Ed25519Verifier(ORIGIN, PUBLIC).vkey


def test_their_inclusion_check_accepts_every_proof_of_ours(log):
    ledger, notes = log
    root = tlog.Checkpoint.from_text(notes[-1]).root_hash
    for index in range(N):
        leaf = ledger.get(index).entry.to_bytes()
        proof = TlogProof.parse(ledger.proof(index), locator="ours")
        theirs = tlog.InclusionProof(index, N, list(proof.hashes))
        theirs.check(tiles.leaf_hash(leaf), root)
        assert tiles.leaf_hash(leaf) == leaf_hash(leaf)
        with pytest.raises(tlog.InclusionProofInvalid):
            theirs.check(tiles.leaf_hash(leaf + b" "), root)


def test_their_consistency_check_accepts_every_proof_of_ours(log):
    ledger, notes = log
    new = tlog.Checkpoint.from_text(notes[-1])
    for old in map(tlog.Checkpoint.from_text, notes):
        hashes = list(ledger.prove_consistency(old.size))
        proof = tlog.ConsistencyProof(old.size, N, hashes)
        proof.check(old.root_hash, new.root_hash)
        if old.size < N:
            with pytest.raises(tlog.ConsistencyProofInvalid):
                proof.check(bytes(32), new.root_hash)
            with pytest.raises(BadProof):
                verify_consistency(old.size, bytes(32), N, new.root_hash, hashes)


# -- a log of 70,000 leaves, read from its static tiles alone


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Their reader over our export; 70,000 is the example of tlog-tiles."""
    from sluicegate.adapters.ledgers.tile_files import TileDirectory, export_tiles

    place = tmp_path_factory.mktemp("tiles")
    signer = CallableSigner(ORIGIN, PUBLIC, PRIVATE.sign)
    with open_ledger(
        place / "ledger.db", public_key=PUBLIC, signer=signer, create=True, origin=ORIGIN
    ) as ledger:
        for begin in range(0, 70_000, 10_000):
            items = []
            for number in range(begin, begin + 10_000):
                envelope = b"envelope %d" % number
                entry = Entry.of("seal", "flights", f"dirHash1:{number:064x}", envelope)
                items.append((entry, envelope))
            ledger.append_many(items)
        export_tiles(ledger, TileDirectory(place / "log"))
        reader = pytest.importorskip("tlog_scales.reader")
        backend = pytest.importorskip("tlog_scales.backend")
        theirs = reader.TilesReader(backend.make_backend(str(place / "log")))
        theirs.set_size(70_000)
        yield theirs, ledger


def test_their_reader_finds_our_checkpoint_and_root_in_the_tiles(published):
    theirs, ledger = published
    checkpoint = theirs.get_checkpoint()
    checkpoint.verify(signing.Vkey.from_string(ledger.verifier.vkey))
    assert checkpoint.size == 70_000
    assert theirs.calculate_root_hash() == checkpoint.root_hash == ledger.audit().root


def test_their_proofs_from_our_tiles_are_our_proofs(published):
    theirs, ledger = published
    for index in (0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999, *range(3, 70_000, 7919)):
        leaf = ledger.get(index).entry.to_bytes()
        assert theirs.get_entry(index) == leaf
        proof = theirs.get_inclusion_proof(index, 70_000)
        ours = TlogProof.parse(ledger.proof(index), locator="ours")
        assert tuple(vars(proof)[_hashes(proof)]) == ours.hashes
    for size in (1, 255, 256, 257, 4096, 65_535, 65_536, 69_999):
        proof = theirs.get_consistency_proof(size, 70_000)
        assert tuple(vars(proof)[_hashes(proof)]) == ledger.prove_consistency(size)


def _hashes(proof):
    """Name of the field that holds the hashes."""
    return next(name for name, value in vars(proof).items() if isinstance(value, list))


@pytest.mark.parametrize("kind", ["Ed25519", "ML-DSA-44"])
def test_their_verifier_accepts_our_cosignature(log, kind):
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

    from sluicegate.ledger.cosigning.cosignature import (
        ED25519,
        ML_DSA_44,
        Cosigner,
        CosignerKey,
        with_lines,
    )

    key = PRIVATE if kind == "Ed25519" else MLDSA44PrivateKey.from_seed_bytes(bytes([2]) * 32)
    type_ = ED25519 if kind == "Ed25519" else ML_DSA_44
    public = CosignerKey("witness.example.com/w1", key.public_key().public_bytes_raw(), type_)
    note = log[1][-1]
    line = Cosigner(public, key.sign).cosign(note.rpartition("\n\n")[0] + "\n", 1_700_000_000)
    cosigned = with_lines(note.encode(), f"{line}\n".encode(), locator="ours").decode()
    vkey = signing.Vkey.from_string(str(public))
    assert vkey.serialize() == str(public)
    tlog.Checkpoint.from_text(cosigned).verify(vkey)
    with pytest.raises(InvalidSignature):
        tlog.Checkpoint.from_text(cosigned.replace(f"\n{N}\n", f"\n{N - 1}\n")).verify(vkey)


def test_our_verifier_accepts_their_cosignature(log):
    from sluicegate.ledger.cosigning.cosignature import CosignerKey, cosigners

    theirs = signing.MLDSA44CosignatureSigner("witness.example.com/w2", bytes([3]) * 32)
    checkpoint = tlog.Checkpoint.from_text(log[1][-1])
    note = tlog.Checkpoint.make_signed(ORIGIN, N, checkpoint.root_hash, [theirs]).serialize()
    key = CosignerKey.parse(theirs.vkey.serialize(), locator="theirs")
    assert list(cosigners(note.encode(), [key], locator="theirs")) == [theirs.vkey.pubkey]
