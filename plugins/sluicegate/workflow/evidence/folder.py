"""Evidence as a folder: what `seal` writes, `ledger export` copies and `verify` reads.

    seal.sigstore.json                 Sigstore bundle with the model-signing statement, or
    seal.dsse.json                     DSSE envelope with sealed rows, or a Merkle root
    manifest/                          parts below that root (`workflow.large`)
    evidence.intoto.jsonl              DSSE envelopes, each on its line, in the ledger's order
    waivers.intoto.jsonl               optional: waivers and revocations, each on its line
    proofs/<sha256 of envelope>.tlog-proof    inclusion under a signed checkpoint
    certificates/NAME.pem              optional: chain of a signer, its certificate first
    timestamps/<sha256 of envelope>.tsr       optional: RFC 3161 answer about these bytes

Specified in docs/formats/evidence-folder.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import manifest_from_statement
from sluicegate.attest.seal_form import contents_from_statement, is_plain, read_seal
from sluicegate.attest.statement import Statement
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import MERKLE_MANIFEST_TYPE
from sluicegate.errors import ConfigError, EvidenceMissing, MalformedEnvelope
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.evidence.large import INDEX_FILE, MANIFEST_DIRECTORY, PartFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sluicegate.digest.manifest import Manifest
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

SEAL_FILE = "seal.sigstore.json"
PLAIN_SEAL_FILE = "seal.dsse.json"
ENVELOPES_FILE = "evidence.intoto.jsonl"
WAIVERS_FILE = "waivers.intoto.jsonl"
PROOFS_DIRECTORY = "proofs"
# A folder is read whole into memory: a manifest of 100,000 files is about 20 MB.
MAX_FILE_BYTES = 256 * 1024 * 1024

EXPORTED_KINDS = (
    Kind.PROVENANCE,
    Kind.TABLE,
    Kind.BASELINE,
    Kind.TEST_RESULT,
    Kind.VERDICT,
    Kind.QUARANTINE,
    Kind.RELEASE,
)


@dataclass(frozen=True, slots=True)
class EvidenceFolder:
    """The exact bytes of an evidence folder; nothing in it is verified yet."""

    path: Path
    seal: bytes
    envelopes: tuple[bytes, ...]
    proofs: dict[str, bytes]
    chains: dict[str, bytes] = field(default_factory=dict)
    timestamps: dict[str, bytes] = field(default_factory=dict)
    waivers: tuple[bytes, ...] = ()


def write_folder(
    out: Path,
    *,
    seal: bytes,
    envelopes: Iterable[bytes],
    waivers: Sequence[bytes] = (),
    proofs: dict[str, bytes] | None = None,
    files: MerkleFiles | None = None,
) -> None:
    """Write an evidence folder.

    Args:
        out: Directory; created if needed. A folder that holds a seal is refused.
        seal: Sigstore bundle, or DSSE envelope.
        envelopes: DSSE envelopes, each one line of JSON.
        waivers: Waivers of the batch and their revocations, likewise.
        proofs: Inclusion proofs by hex SHA-256 of the envelope they prove.
        files: Manifest in parts to copy beside the seal.

    Raises:
        ConfigError: ``out`` already holds evidence.
    """
    refuse_existing(out)
    (out / PROOFS_DIRECTORY).mkdir(parents=True, exist_ok=True)
    for name, proof in (proofs or {}).items():
        (out / PROOFS_DIRECTORY / f"{name}.tlog-proof").write_bytes(proof)
    if files is not None:
        _copy_parts(files, out / MANIFEST_DIRECTORY)
    (out / ENVELOPES_FILE).write_bytes(b"".join(line + b"\n" for line in envelopes))
    if waivers:
        (out / WAIVERS_FILE).write_bytes(b"".join(line + b"\n" for line in waivers))
    # The seal is written last: a folder with a seal is a whole folder.
    (out / _seal_name(seal)).write_bytes(seal)


def refuse_existing(out: Path) -> None:
    """Raise if ``out`` already holds evidence.

    Raises:
        ConfigError: ``out`` holds a seal.
    """
    if has_seal(out):
        raise ConfigError(
            "the folder already holds evidence",
            locator=str(out),
            next_step="Name a new folder: evidence is never overwritten.",
        )


def has_seal(path: Path) -> bool:
    """Return whether a path is an evidence folder."""
    return any((path / name).is_file() for name in (SEAL_FILE, PLAIN_SEAL_FILE))


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a folder's seal without verifying its signature.

    Raises:
        EvidenceMissing: The folder has no seal, or it cannot be read.
        MalformedEnvelope: The file is not a seal, or the folder holds two.
    """
    locator = str(path)
    envelope = read_seal(_read_seal(path), locator=locator)
    statement = Statement.from_bytes(envelope.payload)
    if statement.predicate_type != MERKLE_MANIFEST_TYPE:
        return manifest_from_statement(statement, locator=locator)
    parts = PartFolder(path / MANIFEST_DIRECTORY)
    found = contents_from_statement(statement, locator=locator, parts=lambda _root: parts)
    assert isinstance(found, MerkleFiles)  # noqa: S101 - its predicate type says so
    return found.manifest()


def read_folder(path: Path) -> EvidenceFolder:
    """Read an evidence folder without verifying it.

    Raises:
        EvidenceMissing: A file is missing or unreadable.
        MalformedEnvelope: A file is too large; it is not read.
    """
    envelopes = _read(path / ENVELOPES_FILE)
    proofs, waivers = path / PROOFS_DIRECTORY, path / WAIVERS_FILE
    return EvidenceFolder(
        path=path,
        seal=_read_seal(path),
        envelopes=_lines(envelopes),
        proofs={item.stem: _read(item) for item in sorted(proofs.glob("*.tlog-proof"))},
        chains={item.name: _read(item) for item in sorted(path.glob("certificates/*.pem"))},
        timestamps={item.stem: _read(item) for item in sorted(path.glob("timestamps/*.tsr"))},
        waivers=_lines(_read(waivers)) if os.path.lexists(waivers) else (),
    )


def export_folder(evidence: Evidence, batch: SealedBatch, out: Path) -> int:
    """Copy everything that the ledger holds about a batch, for it or against it, into a folder.

    Args:
        evidence: Open ledger and trust policy.
        batch: The batch, verified.
        out: Directory to write.

    Returns:
        Number of envelopes written beside the seal.
    """
    about = [
        record
        for kind in EXPORTED_KINDS
        for record in evidence.ledger.find(kind, batch.source, batch.digest)
    ]
    about += _promotions_of(evidence, batch)
    # All of it, oldest first: the verifier says what counts, and when.
    indexes = {record.entry.envelope: record.index for record in reversed(about)}
    found = evidence.ledger.find(Kind.WAIVER, batch.source, batch.digest, newest_first=False)
    waivers = [evidence.ledger.get_verified(record.index) for record in found]
    records = [
        evidence.ledger.get_verified(index) for index in (batch.index, *sorted(indexes.values()))
    ]
    proofs = {
        sha256_bytes(record.envelope).hex: evidence.ledger.proof(record.index)
        for record in (*records, *waivers)
    }
    write_folder(
        out,
        seal=records[0].envelope,
        envelopes=[record.envelope for record in records[1:]],
        waivers=[record.envelope for record in waivers],
        proofs=proofs,
        files=batch.contents if isinstance(batch.contents, MerkleFiles) else None,
    )
    if evidence.certified is not None:
        evidence.certified.export((record.envelope for record in records), out)
    return len(records) - 1


def _promotions_of(evidence: Evidence, batch: SealedBatch) -> Iterator[LedgerRecord]:
    """Yield the promotions that claim this batch stands behind their baseline."""
    for record in evidence.ledger.find(Kind.PROMOTION, batch.source):
        try:
            claimed = Statement.from_bytes(Envelope.from_bytes(record.envelope).payload)
        except MalformedEnvelope:
            continue  # reported by the audit
        if str(batch.digest) in map(str, claimed.predicate.get("inputs") or ()):
            yield record


def _copy_parts(files: MerkleFiles, out: Path) -> None:
    out.mkdir()
    (out / INDEX_FILE).write_bytes(files.parts.index())
    folder = PartFolder(out)
    for number in range(len(files.index.parts)):
        folder.write_part(number, files.parts.part(number))


def _seal_name(seal: bytes) -> str:
    return PLAIN_SEAL_FILE if is_plain(seal) else SEAL_FILE


def _read_seal(path: Path) -> bytes:
    plain = (path / PLAIN_SEAL_FILE).exists()
    if plain and (path / SEAL_FILE).exists():
        raise MalformedEnvelope("the folder holds two seals", locator=str(path))
    seal = _read(path / (PLAIN_SEAL_FILE if plain else SEAL_FILE))
    if is_plain(seal) is not plain:
        raise MalformedEnvelope("the seal has the name of the other form", locator=str(path))
    return seal


def _lines(data: bytes) -> tuple[bytes, ...]:
    return tuple(line for line in data.split(b"\n") if line)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # The size first: nobody shall make a verifier read or parse a gigabyte.
            if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                raise _too_large(path)
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise EvidenceMissing(
            "evidence cannot be read",
            locator=str(path),
            got=error.strerror or type(error).__name__,
            next_step="Point at a folder written by `sluicegate seal` or `ledger export`.",
        ) from error
    if len(data) > MAX_FILE_BYTES:  # it grew, or has no size, as a FIFO
        raise _too_large(path)
    return data


def _too_large(path: Path) -> MalformedEnvelope:
    return MalformedEnvelope(
        "evidence is too large", locator=str(path), expected=f"at most {MAX_FILE_BYTES} bytes"
    )
