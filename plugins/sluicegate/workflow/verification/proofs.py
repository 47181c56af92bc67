"""Whether each envelope of a folder is in the ledger, by the inclusion proof beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import EvidenceMissing
from sluicegate.ledger.entry import Entry, Kind
from sluicegate.ledger.proof import TlogProof, verify_proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sluicegate.attest.keys import PublicKey
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.folder import EvidenceFolder
    from sluicegate.workflow.verification.lines import Line


def leaves_of(
    folder: EvidenceFolder, lines: Iterable[Line], source: str, digest: Digest
) -> dict[Digest, bytes]:
    """Rebuild each leaf from its kind, source and batch; if one is wrong, its proof fails.

    Args:
        folder: Holds the seal and the waivers.
        lines: All lines of the folder.
        source: Name of the source, from the verified seal.
        digest: Identity of the batch, likewise.

    Returns:
        Digest of the envelope to the bytes of its leaf.

    Raises:
        MalformedEnvelope: A line is of a kind that no folder holds.
    """
    leaves = {line.name: line.leaf(source, digest) for line in lines}
    for kind, envelope in (
        (Kind.SEAL, folder.seal),
        *((Kind.WAIVER, waiver) for waiver in folder.waivers),
    ):
        name = sha256_bytes(envelope)
        leaves[name] = Entry(kind, source, str(digest), str(name)).to_bytes()
    return leaves


def require_logged(
    folder: EvidenceFolder, leaves: Mapping[Digest, bytes], keys: Sequence[PublicKey]
) -> None:
    """Return if a proof shows each leaf to be under a checkpoint that the ledger's key signed.

    Args:
        folder: Holds the proofs.
        leaves: What `leaves_of` returned.
        keys: Keys of the ledger role.

    Raises:
        EvidenceMissing: An envelope has no proof.
        VerificationError: A proof does not hold.
    """
    for name, leaf in leaves.items():
        if name.hex not in folder.proofs:
            kind = Entry.from_bytes(leaf, locator="leaf").kind
            raise EvidenceMissing("an envelope has no ledger proof", locator=f"{kind} {name.short}")
        verify_proof(folder.proofs[name.hex], leaf, keys)


def placed(folder: EvidenceFolder, leaves: Mapping[Digest, bytes]) -> dict[int, bytes]:
    """Return the leaves that have a proof, by the index that it names.

    Args:
        folder: Holds the proofs.
        leaves: What `leaves_of` returned.

    Raises:
        MalformedEnvelope: A proof cannot be read.
    """
    proofs = folder.proofs
    return {
        TlogProof.parse(proofs[name.hex], locator="proof").index: leaf
        for name, leaf in leaves.items()
        if name.hex in proofs
    }
