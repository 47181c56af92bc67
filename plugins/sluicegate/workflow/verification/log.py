"""Does an evidence folder hold all that the log holds about its batch?

No folder can speak of what was taken out of it. A copy of the whole log can: its leaves hash to the
root that the ledger's key signed, so none of them is missing, and each names its source and batch.
The copy is the static tiles of `sluicegate ledger export --tiles`, from whoever publishes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.adapters.ledgers.tile_files import read_tile, tile_place
from sluicegate.errors import BadProof, EvidenceMissing, MalformedEnvelope, Rollback
from sluicegate.ledger.entry import Entry, Kind
from sluicegate.ledger.keys import verifier_of
from sluicegate.ledger.note import SignedNote, is_key_name
from sluicegate.ledger.tiles import CHECKPOINT, find_leaves

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sluicegate.attest.keys import PublicKey
    from sluicegate.digest.algorithms import Digest
    from sluicegate.ledger.note import NoteVerifier

_NOT_EXPORTED: Final = (Kind.SEAL, Kind.PROFILE)
"""Kinds that a folder need not hold: another seal of its batch says the same as the one it has."""


def require_complete(
    log: str,
    keys: Sequence[PublicKey],
    source: str,
    digest: Digest,
    *,
    held: Collection[str],
    places: Mapping[int, bytes],
) -> str:
    """Return, in words, how much of the log was searched, if nothing about a batch is missing.

    Args:
        log: Directory or URL of the tiles.
        keys: Keys of the ledger role.
        source: Name of the source.
        digest: Identity of the batch.
        held: Digests of all envelopes in the folder, as text.
        places: Leaf of the folder by the index that its proof names.

    Raises:
        BadProof: An entry was left out, or the copy is of another log.
        Rollback: The copy is older than the evidence.
        EvidenceMissing: There is no copy, or a file of it is missing.
        VerificationError: It is not what the ledger's key signed.

    Cost: one read of all leaves; about 5 us of CPU for each.
    """
    place = tile_place(log)
    read = read_tile(place)
    head, found = find_leaves(
        read,
        _verifiers(read(CHECKPOINT), keys, place.locator),
        lambda index, leaf: index in places or str(digest).encode() in leaf,
        locator=place.locator,
    )
    _require_same_log(places, found, head.size, place.locator)
    about = {
        index: Entry.from_bytes(leaf, locator=f"leaf {index}") for index, leaf in found.items()
    }
    own = [
        (index, entry)
        for index, entry in about.items()
        if (entry.source, entry.subject) == (source, str(digest))
        and entry.kind not in _NOT_EXPORTED
    ]
    if missing := [f"{e.kind} (ledger entry {i})" for i, e in own if e.envelope not in held]:
        raise BadProof(
            "evidence about the batch was left out of the folder",
            locator=f"{source}@{digest.short}",
            expected=f"all {len(own)} entries that the log holds",
            got=f"without {', '.join(missing)}",
            next_step="Get a whole export: sluicegate ledger export.",
        )
    return f"all {len(own)} entries about the batch, of {head.size} leaves"


def _verifiers(note: bytes | None, keys: Sequence[PublicKey], locator: str) -> list[NoteVerifier]:
    if note is None:
        raise EvidenceMissing(
            "there is no copy of the log",
            locator=locator,
            next_step="Write one with: sluicegate ledger export --tiles.",
        )
    name = SignedNote.parse(note, locator=locator).text.partition("\n")[0]
    if not is_key_name(name):
        raise MalformedEnvelope("origin cannot name a key", locator=locator)
    return [verifier_of(key, name) for key in keys]


def _require_same_log(
    places: Mapping[int, bytes], found: Mapping[int, bytes], size: int, locator: str
) -> None:
    for index, leaf in places.items():
        if index >= size:
            raise Rollback(
                "the copy of the log is older than the evidence",
                locator=locator,
                expected=f"at least {index + 1} leaves",
                got=str(size),
                next_step="Get a newer copy.",
            )
        if found[index] != leaf:
            raise BadProof("the copy is of another log than the evidence", locator=locator)
