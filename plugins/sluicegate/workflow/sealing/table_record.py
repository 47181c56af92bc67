"""What a seal keeps of a table: its digest, bucket digests and difference sketch, signed.

Specified in docs/formats/table-difference.md, section "Statement".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.engines.table_commitment import commit_batches
from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.sources.tables import glancing
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.seal_form import read_seal
from sluicegate.attest.seal_form import table_statement as _statement
from sluicegate.attest.sealed_table import SealedTable
from sluicegate.attest.statement import Statement
from sluicegate.digest.algorithms import TABLE_TYPE
from sluicegate.errors import ConfigError, EvidenceMissing, MalformedEnvelope
from sluicegate.gate.limits import UNLIMITED
from sluicegate.tables.keys import class_of, encode_keys, encode_labels
from sluicegate.tables.row_schema import TableSchema
from sluicegate.tables.sketch import N_TABLES, Sketch
from sluicegate.tables.table_digest import TableCommitment, bucket_of
from sluicegate.workflow.evidence.folder import read_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.adapters.sources.protocol import ByteSource, RowSource
    from sluicegate.digest.manifest import Manifest
    from sluicegate.workflow.sealing.seal import RowRecord

DEFAULT_CELLS: Final = 3072
"""Names about 1,200 changed rows; 300 kB before compression."""

MAX_CHANGES: Final = 400_000
"""How many changed rows a sketch is made for at most: 96 MiB of sums."""

_CELLS_PER_CHANGE: Final = 2.56
"""A changed row is two elements. With three cells for each element, a sketch decodes up to a load
of 0.8."""

MAX_LABELS: Final = 10_000
"""How many label names are kept in evidence at most; of the others only the hash is shown."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which columns name a row and its label."""

    column: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class TableRecord:
    """A commitment, and what is needed to name the rows that a later table changed.

    Attributes:
        commitment: Digest and buckets.
        key: Columns of the sketch; None where no key was named.
        sketch: Sums by cell; None where no key was named.
        labels: Text of each label's hash.
    """

    commitment: TableCommitment
    key: Key | None = None
    sketch: Sketch | None = None
    labels: dict[bytes, str] = field(default_factory=dict)

    def sealed(self) -> SealedTable:
        """Return what is signed of the table."""
        made, sketch = self.commitment, None
        if self.key is not None and self.sketch is not None:
            sketch = {
                "key": self.key.column,
                "label": self.key.label,
                "cells": self.sketch.cells,
                "sums": self.sketch.to_text(),
                "labels": {code.hex(): text for code, text in self.labels.items()},
            }
        columns = tuple((name, kind) for name, kind in made.schema.to_json())
        return SealedTable(columns, made.n_rows, made.buckets, sketch)


def record_table(
    batches: Iterable[pa.RecordBatch],
    *,
    locator: str,
    key: Key | None = None,
    cells: int = DEFAULT_CELLS,
    only: NDArray[np.bool_] | None = None,
) -> TableRecord:
    """Read a table once.

    Args:
        batches: Its rows.
        locator: Name for errors.
        key: Columns of the sketch; None for the digest alone.
        cells: Size of the sketch.
        only: Buckets whose rows enter the sketch, bool, shape (4096,); all by default.

    Raises:
        SchemaMismatch: No such column, or a type without an encoding.
    """
    if key is None:
        return TableRecord(commit_batches(batches, locator=locator))
    sketch, labels = Sketch(cells), dict[bytes, str]()

    def observe(chunk: pa.RecordBatch, ids: NDArray[np.uint8]) -> None:
        if only is not None:
            rows = only[bucket_of(ids)]
            chunk, ids = chunk.filter(_mask(rows)), ids[rows]
        keys, hashes, texts = _columns(chunk, key)
        sketch.update(keys, ids, hashes)
        if len(labels) < MAX_LABELS:
            labels.update(texts)

    made = commit_batches(batches, locator=locator, observe=observe)
    for column in (key.column, *([key.label] if key.label else [])):
        class_of(made.schema, column)
    return TableRecord(made, key, sketch, labels)


def record_sealed(
    source: ByteSource, manifest: Manifest, *, key: Key | None, changes: int
) -> TableRecord:
    """Read the rows of files that were just sealed, from bytes that match the manifest.

    Args:
        source: What was sealed.
        manifest: Its files; those that no reader knows are passed over.
        key: Columns of the sketch; None for the digest alone.
        changes: Changed rows that the sketch must be able to name.

    Raises:
        IntegrityError: A file changed since it was sealed.
        InsufficientData: No file holds a table.
        ConfigError: ``changes`` is out of range.
    """
    batches = _sealed_batches(source, manifest)
    return record_table(batches, locator=source.location, key=key, cells=_cells(changes))


def record_rows(rows: RowSource, wanted: RowRecord) -> TableRecord:
    """Read the rows of a database or a declared text file once.

    Args:
        rows: What to seal.
        wanted: Key and label of the sketch.

    Raises:
        SchemaMismatch: A type or value that cannot be carried over exactly.
        ConfigError: The number of changes is out of range.
    """
    key = None if wanted.key is None else Key(wanted.key, wanted.label)
    cells = _cells(wanted.changes)
    return record_table(rows.batches(), locator=rows.location, key=key, cells=cells)


def _cells(changes: int) -> int:
    if not 0 < changes <= MAX_CHANGES:
        raise ConfigError(
            "number of changes is out of range",
            locator="--changes",
            expected=f"1 to {MAX_CHANGES}",
            got=str(changes),
        )
    return N_TABLES * -(-max(int(changes * _CELLS_PER_CHANGE), 96) // N_TABLES)


def _sealed_batches(source: ByteSource, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    files = TableFiles(source.location, UNLIMITED, unjudged=[])  # the gate makes a finding of these
    entries = {entry.path: entry for entry in manifest.entries}
    yield from files.stream(
        list(entries),
        look=glancing(source),
        read=lambda name: source.copy_verified(entries[name]),
    )


def table_statement(source: str, manifest: Manifest, record: TableRecord) -> Statement:
    """Return the statement that says which rows the sealed files hold.

    Args:
        source: Name of the source.
        manifest: The files.
        record: Their rows.
    """
    return _statement(source, manifest, record.sealed())


def read_record(folder: Path) -> TableRecord:
    """Read the table record of an evidence folder without verifying its signature.

    Raises:
        EvidenceMissing: The seal kept none.
        MalformedEnvelope: It contradicts itself.
    """
    evidence, locator = read_folder(folder), str(folder)
    envelopes = [read_seal(evidence.seal, locator=locator)]
    envelopes += [Envelope.from_bytes(line, locator=locator) for line in evidence.envelopes]
    for envelope in envelopes:
        statement = Statement.from_bytes(envelope.payload)
        if statement.predicate_type == TABLE_TYPE:
            return record_from_statement(statement, locator=str(folder))
    raise EvidenceMissing(
        "the seal kept no table digest",
        locator=str(folder),
        next_step="Seal with --table, or compare with the data itself.",
    )


def record_from_statement(statement: Statement, *, locator: str) -> TableRecord:
    """Read what `table_statement` wrote.

    Args:
        statement: Need not be verified; then what it says is only a claim.
        locator: Where it comes from, for messages.

    Raises:
        MalformedEnvelope: Missing or mistyped fields, or a digest that its buckets contradict.
        SchemaMismatch: Columns in another shape.
    """
    table = SealedTable.from_predicate(statement.predicate, locator=locator)
    schema = TableSchema.from_json([list(pair) for pair in table.columns], locator=locator)
    made = TableCommitment(schema, table.n_rows, table.buckets)
    return _with_sketch(made, table.sketch, locator)


def _with_sketch(made: TableCommitment, sketch: Any, locator: str) -> TableRecord:
    match sketch:
        case None:
            return TableRecord(made)
        case {
            "key": str(key),
            "label": None | str() as label,
            "cells": int(cells),
            "sums": str(sums),
            "labels": dict(labels),
        } if len(sketch) == 5 and all(isinstance(text, str) for text in labels.values()):
            read = Sketch.from_text(sums, cells, locator=locator)
            texts = {_code(code, locator): text for code, text in labels.items()}
            return TableRecord(made, Key(key, label), read, texts)
    raise MalformedEnvelope("difference sketch has missing or unknown fields", locator=locator)


def _code(text: str, locator: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedEnvelope("label hash is not hexadecimal", locator=locator) from None


def _mask(rows: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows)


def _columns(
    chunk: pa.RecordBatch, key: Key
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[bytes, str]]:
    import numpy as np

    schema = TableSchema.of(chunk.schema)
    kind = class_of(schema, key.column)
    keys = encode_keys(chunk.column(key.column), kind, key.column)
    if key.label is None:
        return keys, np.zeros((chunk.num_rows, 8), np.uint8), {}
    kind = class_of(schema, key.label)
    return keys, *encode_labels(chunk.column(key.label), kind, key.label)
