"""What a seal fixes: the files of a batch, or the rows of a table. Either has one identity.

``dirHash1`` names files, ``dirHash1-blake3`` if they are hashed with BLAKE3,
``dirHash1-shards-BYTES`` if they are hashed in shards. The table digest names
rows. Every statement about a batch (provenance, verdict, waiver, quarantine) names the same subject
and needs to know no more.
"""

from __future__ import annotations

from sluicegate.attest.sealed_table import SealedTable
from sluicegate.attest.statement import Subject
from sluicegate.digest.algorithms import (
    DIR_HASH_1,
    FILE_IDENTITIES,
    SHA256,
    TABLE_HASH_1,
    Digest,
    files_under,
)
from sluicegate.digest.manifest import Manifest
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.errors import MalformedEnvelope

Contents = Manifest | MerkleFiles | SealedTable
"""What was sealed."""

IDENTITIES = (*FILE_IDENTITIES.values(), "dirHash1-shards-BYTES", TABLE_HASH_1)
"""Algorithms that may identify a batch, for messages; `is_identity` tells."""


def is_identity(name: str) -> bool:
    """Return whether an algorithm may identify a batch.

    Args:
        name: Of a digest.
    """
    return name == TABLE_HASH_1 or files_under(name) is not None


def subject_of(source: str, contents: Contents) -> Subject:
    """Name a batch as every statement about it does.

    Args:
        source: Name of the source.
        contents: Its files, or its rows.

    Returns:
        For rows a subject with the table digest. For files one with the identity and ``sha256``,
        which is the root of Model Signing for foreign verifiers, or the Merkle root of a
        manifest in parts.
    """
    if isinstance(contents, SealedTable):
        return Subject(source, {TABLE_HASH_1: contents.digest.hex})
    root = contents.index.root if isinstance(contents, MerkleFiles) else contents.oms_root
    return Subject(source, {SHA256: root.hex, contents.digest.algorithm: contents.digest.hex})


def identity_of(subject: Subject, *, locator: str) -> Digest:
    """Return the digest by which a subject names a batch.

    Args:
        subject: Of a verified statement.
        locator: Where the statement came from, for messages.

    Raises:
        MalformedEnvelope: It has none, or several.
    """
    named = [name for name in subject.digest if is_identity(name)]
    if not named:
        raise MalformedEnvelope(
            f"subject has no {DIR_HASH_1}", locator=locator, expected=" or ".join(IDENTITIES)
        )
    if len(named) > 1:
        raise MalformedEnvelope("subject names its batch in several ways", locator=locator)
    return Digest(named[0], subject.digest[named[0]])
