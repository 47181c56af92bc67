"""Rows of one Parquet file: within the limits, and with a footer that agrees with its pages."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluicegate.adapters.files.bounds import row_bytes_of, values_in_lists
from sluicegate.adapters.foreign_errors import shown
from sluicegate.errors import UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.adapters.files.bounds import Meter

BATCH_ROWS: Final = 65_536
"""Rows of a record batch: 20 columns of 8 bytes are 10 MB, small beside Arrow itself."""

BATCH_BYTES: Final = 32 << 20
"""Bytes of a record batch, above which it has fewer rows: wide tables and long texts. Who counts
words holds ten times as much."""


def parquet_rows(
    where: Any, name: str, meter: Meter, *, size_bytes: int, use_threads: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file.

    Args:
        where: What pyarrow opens: a path, a buffer, an open file.
        name: For errors.
        meter: Of the batch.
        size_bytes: Length of the file.
        use_threads: Decode columns of a row group at once, where its rows are kept anyway.

    Yields:
        Record batches of at most 65,536 rows, and fewer where a row is long.

    Raises:
        UnreadableData: Above a limit, a value that its type forbids, or a footer that
            contradicts itself.
        pa.ArrowException: Not readable as Parquet; also OSError and ValueError.

    Cost: memory of one batch and of the encoded columns of a row group; the dictionaries of texts
        are read twice.
    """
    # Without pre-buffering, memory stays at one row group a column.
    with pq.ParquetFile(where, pre_buffer=False) as file:
        _require_sum(file.metadata, name)
        values = values_in_lists(where, file.metadata, size_bytes, name)
        meter.declare(file.metadata, values, size_bytes, name)
        n_rows = 0
        rows = _batch_rows(where, file.metadata, values)
        for batch in file.iter_batches(batch_size=rows, use_threads=use_threads):
            n_rows += batch.num_rows
            meter.count(batch, name)
            _require_valid(batch, name)
            yield batch
        if n_rows != file.metadata.num_rows:
            _refuse_footer(name, f"{file.metadata.num_rows} rows", f"{n_rows} read")
        _require_honest(file, name)


def _batch_rows(where: Any, footer: pq.FileMetaData, values: Mapping[int, int]) -> int:
    """Return how many rows at once stay within a batch's bytes, whatever they repeat."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    encoded = max((g.total_byte_size / max(1, g.num_rows) for g in groups), default=0.0)
    repeated = _longest_texts(where, footer)
    longest = max(1.0, encoded, row_bytes_of(footer, values) + repeated)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / longest)))


def _longest_texts(where: Any, footer: pq.FileMetaData) -> int:
    """Return how long the texts of a row can be that dictionaries hold, all columns together.

    A dictionary holds a text of a megabyte once, and each row may repeat it: a file of some
    kilobytes, and 60 GB in a batch of the usual size. The first row of a row group brings its
    whole dictionary along.
    """
    columns = (footer.schema.column(number) for number in range(footer.num_columns))
    texts = [
        column.path
        for column in columns
        if column.physical_type == "BYTE_ARRAY" and not column.max_repetition_level
    ]
    if not texts:
        return 0
    longest = 0
    with pq.ParquetFile(where, metadata=footer, read_dictionary=texts, pre_buffer=False) as file:
        for place in range(footer.num_row_groups):
            rows = file.iter_batches(
                batch_size=1, row_groups=[place], columns=texts, use_threads=False
            )
            for first in itertools.islice(rows, 1):
                longest = max(longest, sum(map(_longest, first.columns)))
    return longest


def _longest(column: pa.Array) -> int:
    if isinstance(column, pa.StructArray):
        return sum(map(_longest, column.flatten()))
    if not isinstance(column, pa.DictionaryArray):
        return 0
    return pc.max(pc.binary_length(column.dictionary)).as_py() or 0


def _require_sum(footer: pq.FileMetaData, name: str) -> None:
    """Refuse a file that counts other rows than its row groups do."""
    total = sum(footer.row_group(number).num_rows for number in range(footer.num_row_groups))
    if total != footer.num_rows:
        _refuse_footer(name, f"{footer.num_rows} rows", f"{total} in its row groups")


def _require_valid(batch: pa.RecordBatch, name: str) -> None:
    """Refuse values that are not what their type says; readers check none of it by themselves.

    Cost: 15 ms of CPU for 1,000,000 rows of 20 columns.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnreadableData(
            "a value is not what its type says",
            locator=name,
            expected="text in UTF-8, and every other value as its type",
            got=shown(error),
            next_step="Text in another encoding has to be written as UTF-8.",
        ) from None


def _require_honest(file: pq.ParquetFile, name: str) -> None:
    """Return if row groups and columns agree about their rows; call it when all are read.

    Arrow believes the count of each row group: one that is too low hides rows without an error,
    and another reader may show them. Not before the read, which refuses column metadata that is
    malformed: here they would end the process, as pyarrow lets their C++ exception through.

    Raises:
        UnreadableData: Counts of row groups and columns contradict each other.
    """
    footer = file.metadata
    flat = [
        n for n in range(footer.num_columns) if not footer.schema.column(n).max_repetition_level
    ]
    for place in range(footer.num_row_groups):
        group = footer.row_group(place)
        if not group.num_rows:
            file.read_row_group(place)  # the read may have passed it over
        for number in flat:
            n_values = group.column(number).num_values
            if n_values != group.num_rows:
                _refuse_footer(name, f"{group.num_rows} rows", f"{n_values} values in a column")


def _refuse_footer(name: str, expected: str, got: str) -> NoReturn:
    raise UnreadableData(
        "the footer contradicts itself about the number of rows",
        locator=name,
        expected=expected,
        got=got,
        next_step="Do not use it: readers would see different rows. Write the file again.",
    )
