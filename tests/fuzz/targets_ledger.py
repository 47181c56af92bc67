"""Parsers of the ledger: leaves, notes, checkpoints, cosignatures, proofs and tiles."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.fuzz.target import Target

from sluicegate.adapters.ledgers.remembered import Memory, parse_memory
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from sluicegate.ledger.cosigning.cosignature import Cosigner, CosignerKey, cosigners, with_lines
from sluicegate.ledger.cosigning.witness import Request
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import CallableSigner, Ed25519Verifier
from sluicegate.ledger.merkle import leaf_hash
from sluicegate.ledger.note import SignedNote, VerifierKey
from sluicegate.ledger.proof import TlogProof
from sluicegate.ledger.standing import Standing
from sluicegate.ledger.tiles import CHECKPOINT, cut, verify_tiles

_ORIGIN = "example.com/log"
_KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
_PUBLIC = _KEY.public_key().public_bytes_raw()
_SIGNER = CallableSigner(_ORIGIN, _PUBLIC, _KEY.sign)
_VERIFIER = Ed25519Verifier(_ORIGIN, _PUBLIC)
_WITNESS = CosignerKey("example.com/w", _PUBLIC)
_ENTRY = Entry.of("seal", "flights", sha256_bytes(b"1"), b"{}")
_LEAF = _ENTRY.to_bytes()
_HEAD = Checkpoint(_ORIGIN, 1, leaf_hash(_LEAF))
_SIGNED = sign_checkpoint(_HEAD, _SIGNER)
_LINE = SignedNote(_HEAD.to_text(), (Cosigner(_WITNESS, _KEY.sign).cosign(_HEAD.to_text(), 1),))
_COSIGNED = with_lines(_SIGNED, _LINE.to_bytes().partition(b"\n\n")[2], locator="x")
_TILES = dict(cut([_LEAF]))
_BUNDLE = next(path for path in _TILES if "entries" in path)
_STANDING = Standing("dirHash1:" + "ab" * 32, 3, 3, {"verdict": 5}, {"dirHash1:" + "cd" * 32: 9})
_MEMORY = Memory(_SIGNED, b"{}", {"flights": _STANDING}, "2026-01-31T12:00:00Z why").to_bytes()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _export(data: bytes) -> object:
    """A bundle that somebody else serves, beside our signed checkpoint."""
    return verify_tiles({**_TILES, CHECKPOINT: _SIGNED, _BUNDLE: data}.get, _VERIFIER)


LEDGER = {
    "leaf": Target(
        lambda data: Entry.from_bytes(data, locator="x"),
        _LEAF,
        lambda data: Entry.from_bytes(data, locator="x").to_bytes(),
    ),
    "note": Target(
        lambda data: SignedNote.parse(data, locator="x"),
        _COSIGNED,
        lambda data: SignedNote.parse(data, locator="x").to_bytes(),
    ),
    "checkpoint": Target(
        lambda data: Checkpoint.parse(_text(data), locator="x"),
        _HEAD.to_text().encode(),
        lambda data: Checkpoint.parse(_text(data), locator="x").to_text().encode(),
    ),
    "signed checkpoint": Target(
        lambda data: open_checkpoint(data, [_VERIFIER], locator="x"), _SIGNED
    ),
    "ledger key": Target(
        lambda data: VerifierKey.parse(_text(data), locator="x"),
        str(VerifierKey(_ORIGIN, _PUBLIC)).encode(),
        lambda data: str(VerifierKey.parse(_text(data), locator="x")).encode(),
    ),
    "witness key": Target(
        lambda data: CosignerKey.parse(_text(data), locator="x"),
        str(_WITNESS).encode(),
        lambda data: str(CosignerKey.parse(_text(data), locator="x")).encode(),
    ),
    "cosignature": Target(lambda data: cosigners(data, [_PUBLIC], locator="x"), _COSIGNED),
    "witness request": Target(
        Request.parse,
        Request(0, (), _SIGNED).to_bytes(),
        lambda data: Request.parse(data).to_bytes(),
    ),
    "proof": Target(
        lambda data: TlogProof.parse(data, locator="x"),
        TlogProof(0, (b"\x01" * 32,), _COSIGNED).to_bytes(),
        lambda data: TlogProof.parse(data, locator="x").to_bytes(),
    ),
    "tiles": Target(_export, _TILES[_BUNDLE]),
    "memory": Target(
        lambda data: parse_memory(data, locator="x"),
        _MEMORY,
        lambda data: parse_memory(data, locator="x").to_bytes(),
    ),
}
