"""The two forms of a seal: a Sigstore bundle over files, a plain envelope over anything else.

Files are sealed in the format of OpenSSF Model Signing, so that foreign verifiers read them.
That format has no word for rows, nor for a manifest in parts. Specified in docs/formats/seal.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.attest import dsse
from sluicegate.attest.bundle import from_bundle, to_bundle
from sluicegate.attest.contents import identity_of, subject_of
from sluicegate.attest.predicates import manifest_from_statement, seal_payload
from sluicegate.attest.sealed_table import SealedTable
from sluicegate.attest.statement import Statement
from sluicegate.digest.algorithms import SHA256, TABLE_TYPE, Digest
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import MERKLE_MANIFEST_TYPE
from sluicegate.errors import BadProof, MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.attest.contents import Contents
    from sluicegate.attest.keys import Signer
    from sluicegate.digest.merkle_files import Parts

_PLAIN: Final = (TABLE_TYPE, MERKLE_MANIFEST_TYPE)


def write_seal(source: str, contents: Contents, signer: Signer) -> bytes:
    """Sign what a batch consists of.

    Args:
        source: Name of the source.
        contents: Its files, or its rows.
        signer: Holds the source role's key. Files need a P-256 key, and only the first key of a
            joint signer signs them.

    Returns:
        A Sigstore bundle for files in a plain manifest, else a DSSE envelope.

    Raises:
        ConfigError: The key for files has another algorithm.
    """
    if isinstance(contents, MerkleFiles):
        statement = merkle_statement(source, contents)
        return dsse.sign(statement.to_bytes(), signer).to_bytes()
    if isinstance(contents, SealedTable):
        return dsse.sign(table_statement(source, contents, contents).to_bytes(), signer).to_bytes()
    envelope = dsse.sign(seal_payload(source, contents), signer.members[0])
    return to_bundle(envelope, signer.public_key)


def read_seal(data: bytes, *, locator: str) -> dsse.Envelope:
    """Read either form without believing it.

    Args:
        data: Bytes of the seal.
        locator: Where they came from, for messages.

    Raises:
        MalformedEnvelope: It has neither form, or the form of another predicate type.
    """
    if is_plain(data):
        envelope = dsse.Envelope.from_bytes(data, locator=locator)
        if Statement.from_bytes(envelope.payload).predicate_type in _PLAIN:
            return envelope
        raise MalformedEnvelope(
            "is not a seal of rows or parts", locator=locator, expected=" or ".join(_PLAIN)
        )
    return from_bundle(data, locator=locator)[0]


def is_plain(data: bytes) -> bool:
    """Return whether bytes cannot be a bundle. The strict reader of each form decides the rest."""
    return b'"dsseEnvelope"' not in data


def contents_from_statement(
    statement: Statement, *, locator: str, parts: Callable[[Digest], Parts]
) -> Contents:
    """Return what a verified seal fixes.

    Args:
        statement: From `verify_seal`.
        locator: Where it came from, for messages.
        parts: Returns where the parts below a Merkle root are.

    Raises:
        BadProof: The index of a manifest in parts is not the one whose root was signed.
        EvidenceMissing: There is no index.
        MalformedEnvelope: It is no seal, or it contradicts itself.
    """
    if statement.predicate_type == MERKLE_MANIFEST_TYPE:
        return _merkle(statement, locator, parts)
    if statement.predicate_type != TABLE_TYPE:
        return manifest_from_statement(statement, locator=locator)
    table = SealedTable.from_predicate(statement.predicate, locator=locator)
    # A statement about the rows of sealed files has the subject of the files. It is no seal.
    if len(statement.subjects) != 1:
        raise MalformedEnvelope("statement is about several subjects", locator=locator)
    if identity_of(statement.subjects[0], locator=locator) != table.digest:
        raise MalformedEnvelope("the subject of the seal is not its table", locator=locator)
    return table


def merkle_statement(source: str, files: MerkleFiles) -> Statement:
    """Say that a source consists of exactly the files below a Merkle root.

    Args:
        source: Name of the source.
        files: Its files; only root, identity and counts are signed.
    """
    said = {"files": files.n_files, "size": files.index.size_bytes}
    return Statement((subject_of(source, files),), MERKLE_MANIFEST_TYPE, said)


def _merkle(statement: Statement, locator: str, parts: Callable[[Digest], Parts]) -> MerkleFiles:
    subject = statement.subjects[0]
    root = Digest(SHA256, subject.digest.get(SHA256, ""))
    files = MerkleFiles.read(parts(root), root=root, locator=locator)
    # Identity and counts stand in the signed statement too, so an index cannot contradict them.
    if statement != merkle_statement(subject.name, files):
        raise BadProof("the index contradicts the signed statement", locator=locator)
    return files


def table_statement(source: str, contents: Contents, table: SealedTable) -> Statement:
    """Say which rows a batch holds.

    Args:
        source: Name of the source.
        contents: What identifies the batch: its files, or the rows themselves.
        table: The rows.
    """
    return Statement((subject_of(source, contents),), TABLE_TYPE, table.to_predicate())
