"""Seal a source: contents, signature, provenance, ledger."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluicegate import __version__
from sluicegate.adapters.sources.open import open_any
from sluicegate.adapters.sources.protocol import ByteSource
from sluicegate.attest import dsse
from sluicegate.attest.predicates import provenance_statement
from sluicegate.attest.seal_form import read_seal, table_statement, write_seal
from sluicegate.attest.sealed_table import SealedTable
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import AUTO, BY_SHARDS, SHA256
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.errors import ConfigError, Expired, LedgerConflict, UntrustedKey
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.evidence.large import large_root
from sluicegate.workflow.evidence.sealed import verify_seal
from sluicegate.workflow.sealing.hash_choice import algorithm_for
from sluicegate.workflow.sealing.sealed_rows import refuse_layout_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sluicegate.adapters.sources.protocol import Source
    from sluicegate.attest.contents import Contents
    from sluicegate.attest.keys import Signer
    from sluicegate.attest.statement import Subject
    from sluicegate.digest.algorithms import Digest
    from sluicegate.digest.manifest import Manifest
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.batch import SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

_TURNS: Final = 64
"""How often a seal is tried while other seals of its source overtake it."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What sealing produced; the bytes are exactly what was signed.

    Attributes:
        source: Name of the source.
        contents: Files or rows of the batch.
        bundle: Sigstore bundle with the model-signing statement; for rows a DSSE envelope.
        provenance: DSSE envelope with who, when, which run and where.
        version: Position of this seal among the seals of its source, from 1.
    """

    source: str
    contents: Contents
    bundle: bytes
    provenance: bytes
    version: int


@dataclass(frozen=True, slots=True)
class RowRecord:
    """What to record of the rows of a batch, for `diff`.

    Attributes:
        key: Column that names a row; None records the table digest alone.
        label: Column whose flips are counted.
        changes: Changed rows that can be named later.
    """

    key: str | None = None
    label: str | None = None
    changes: int = 1200

    def __post_init__(self) -> None:
        if self.key is None and self.label is not None:
            raise ConfigError(
                "labels can only be kept with a row key", locator="label", expected="a row key"
            )

    @classmethod
    def asked(
        cls, key: str | None, label: str | None, *, digest: bool, changes: int = 1200
    ) -> RowRecord | None:
        """Return what to record, or None where neither rows nor their digest is asked for.

        Args:
            key: Column that names a row.
            label: Column whose flips are counted.
            digest: Whether the table digest is wanted without a key.
            changes: Changed rows that can be named later.

        Raises:
            ConfigError: A label without a key.
        """
        return cls(key, label, changes) if digest or key or label else None


def sign_seal(
    contents: Contents,
    source: str,
    *,
    signer: Signer,
    at: datetime,
    run: Mapping[str, str],
    location: str,
    version: int = 1,
    cosigners: Sequence[Signer] = (),
    inputs: tuple[Subject, ...] = (),
    code_version: str = __version__,
    connection: str | None = None,
) -> Seal:
    """Sign what a batch consists of and how it came to be.

    Args:
        contents: Its files, or its rows.
        source: Name of the source; what consumers ask for.
        signer: Holds the source role's key, P-256 for files. If it is a joint signer, its first
            key signs a bundle, and all its keys sign the provenance.
        at: Aware UTC.
        run: Who seals: orchestrator, DAG, run and task ids, or the command line.
        location: Where the data can be read again.
        version: Position among the seals of this source.
        cosigners: Further keys of the source role, for a threshold or a post-quantum
            signature; they sign the provenance, because a bundle holds one signature.
        inputs: Sealed batches that this one was made from.
        code_version: Version of the code that made the batch.
        connection: Airflow connection by which the data were read.

    Returns:
        The seal.
    """
    provenance = provenance_statement(
        source,
        contents,
        location=location,
        version=version,
        at=at,
        run=run,
        code_version=code_version,
        inputs=inputs,
        connection=connection,
    )
    return Seal(
        source=source,
        contents=contents,
        bundle=write_seal(source, contents, signer),
        provenance=dsse.sign(provenance.to_bytes(), signer, *cosigners).to_bytes(),
        version=version,
    )


def seal_into_ledger(
    data: Path | str | Source,
    source: str,
    *,
    evidence: Evidence,
    signer: Signer,
    at: datetime,
    run: Mapping[str, str],
    cosigners: Sequence[Signer] = (),
    inputs: tuple[Subject, ...] = (),
    code_version: str = __version__,
    rows: RowRecord | None = None,
    algorithm: str = AUTO,
    connection: str | None = None,
) -> SealedBatch:
    """Hash a source and append its seal and provenance as one step.

    A rerun on unchanged data appends nothing: the newest seal already says the same. The same
    data at another place or by another connection is sealed anew, because readers go where the
    newest seal points.

    Args:
        data: Locator of files or rows, or what `open_any` made of it.
        source: Name of the source.
        evidence: Open for appending.
        signer: Holds the source role's P-256 key.
        at: Aware UTC.
        run: Who seals.
        cosigners: Further keys of the source role.
        inputs: Sealed batches that this one was made from.
        code_version: Version of the code that made the batch.
        rows: Sign the table digest of files too, or keep a sketch of a table.
        algorithm: Algorithm of the file digests: ``auto``, ``sha256``, ``sha256-shards`` or
            ``blake3``. Another one than before gives the batch another identity, so it is sealed
            and judged anew.
        connection: Airflow connection by which ``data`` is read; readers use it too.

    Returns:
        The batch that was sealed, read back and verified. It is what this call hashed, whatever
        others seal meanwhile.

    Raises:
        IntegrityError: Unsafe names, or a file that changed while it was read.
        DataError: Nothing to seal, or the directory of a table format.
        VerificationError: The signer may not seal; then nothing is appended.
        LedgerConflict: Others sealed this source first, 64 times running.

    Cost:
        One `stat` of each file, one read of all bytes, and one more with ``rows``.
    """
    opened = open_any(data) if isinstance(data, Path | str) else data
    if isinstance(opened, ByteSource):
        refuse_layout_of(opened, opened.names())
    last = None
    if algorithm in {AUTO, BY_SHARDS}:
        last, _ = _previous(evidence, source, evidence.newest_provenance(source), at=at)
    algorithm = algorithm_for(opened, algorithm, last=None if last is None else last.digest)
    large = large_root(opened)
    if large is None:
        contents = contents_of(opened, rows, algorithm=algorithm)
    else:
        contents = evidence.parts.build(large, algorithm=algorithm)
    # Does not depend on the version, so the rows are read once, however often others are first.
    signed_rows = cache(lambda: row_envelopes(opened, source, contents, rows, [signer, *cosigners]))

    def attempt() -> SealedBatch:
        newest = evidence.newest_provenance(source)
        previous, version = _previous(evidence, source, newest, at=at)
        found = (contents.digest, opened.location, connection)
        # A derived batch is logged each time: other inputs or code may give the same output.
        if previous is not None and not inputs and _said(previous) == found:
            if rows is not None and _lacks_rows(evidence, previous):
                evidence.append(source, contents.digest, signed_rows())
            return previous
        seal = sign_seal(
            contents,
            source,
            signer=signer,
            at=at,
            run=run,
            location=opened.location,
            version=version + 1,
            cosigners=cosigners,
            inputs=inputs,
            code_version=code_version,
            connection=connection,
        )
        _require_usable(evidence, seal, at=at)
        envelopes = [(Kind.SEAL, seal.bundle), (Kind.PROVENANCE, seal.provenance)]
        return evidence.append_version(
            source, contents.digest, [*envelopes, *signed_rows()], after=newest, at=at
        )

    return in_turn(attempt)


def in_turn(attempt: Callable[[], SealedBatch]) -> SealedBatch:
    """Number a seal and append it; try again while others take the number first.

    Raises:
        LedgerConflict: Others were first, 64 times running.
    """
    for _ in range(_TURNS - 1):
        with suppress(LedgerConflict):
            return attempt()
    return attempt()


def contents_of(
    opened: Source, rows: RowRecord | None = None, *, algorithm: str = SHA256
) -> Contents:
    """Read a source and say what it consists of: its files, or its rows.

    Args:
        opened: Files or rows.
        rows: Sketch to keep of rows.
        algorithm: Algorithm of the file digests; rows are always hashed with SHA-256.

    Raises:
        ConfigError: Another algorithm for rows.
        SluicegateError: As the source's ``manifest`` or ``batches``.
    """
    if isinstance(opened, ByteSource):
        return opened.manifest(algorithm)
    if algorithm != SHA256:
        raise ConfigError("rows are hashed with SHA-256", locator=opened.location, got=algorithm)
    from sluicegate.workflow.sealing.table_record import record_rows

    return record_rows(opened, rows or RowRecord()).sealed()


def files_table(opened: ByteSource, manifest: Manifest, rows: RowRecord) -> SealedTable:
    """Read the rows of files that were just sealed, from bytes that match the manifest.

    Args:
        opened: What was sealed.
        manifest: Its files.
        rows: Key, label and size of the sketch.

    Raises:
        IntegrityError: A file changed since it was sealed.
        InsufficientData: No file holds a table.
    """
    from sluicegate.workflow.sealing.table_record import Key, record_sealed

    key = None if rows.key is None else Key(rows.key, rows.label)
    return record_sealed(opened, manifest, key=key, changes=rows.changes).sealed()


def row_envelopes(
    opened: Source,
    source: str,
    contents: Contents,
    rows: RowRecord | None,
    signers: Sequence[Signer],
) -> list[tuple[str, bytes]]:
    """Return the signed table statement about sealed files, if one is wanted.

    Args:
        opened: What was sealed.
        source: Name of the source.
        contents: Its files; a table gets no statement beside its seal.
        rows: What to record; None for nothing.
        signers: Keys of the source role.
    """
    if rows is None or isinstance(contents, SealedTable) or not isinstance(opened, ByteSource):
        return []
    manifest = contents.manifest() if isinstance(contents, MerkleFiles) else contents
    statement = table_statement(source, contents, files_table(opened, manifest, rows))
    return [(Kind.TABLE, dsse.sign(statement.to_bytes(), *signers).to_bytes())]


def _said(batch: SealedBatch) -> tuple[Digest, str, str | None]:
    return batch.digest, batch.location, batch.connection


def _lacks_rows(evidence: Evidence, batch: SealedBatch) -> bool:
    found = evidence.ledger.find(Kind.TABLE, batch.source, batch.digest, limit=1)
    return batch.table is None and next(found, None) is None


def _require_usable(evidence: Evidence, seal: Seal, *, at: datetime) -> None:
    """Raise unless a new seal verifies as every reader will verify it."""
    bundle = read_seal(seal.bundle, locator="new seal")
    provenance = dsse.Envelope.from_bytes(seal.provenance)
    evidence.require_signed([provenance], Role.SOURCE, at=at)
    verify_seal(evidence.trust, bundle, provenance, at=at, locator="new seal")


def _previous(
    evidence: Evidence, source: str, newest: LedgerRecord | None, *, at: datetime
) -> tuple[SealedBatch | None, int]:
    """Return the newest sealed batch, if its seal still holds, and its version.

    A seal stops holding when its key is withdrawn or expires. Then it admits nothing any
    more, and must not keep the source from being sealed with the new key either.
    """
    if newest is None:
        return None, 0
    try:
        batch = evidence.sealed_by(newest, at=at)
    except (UntrustedKey, Expired):
        return None, sum(1 for _ in evidence.ledger.find(Kind.PROVENANCE, source))
    return batch, batch.version
