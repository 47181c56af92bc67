"""Rows of one Parquet file, if it is within the limits and its footer agrees with its pages."""

from __future__ import annotations

import itertools
from io import BufferedIOBase, RawIOBase
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluicegate.adapters.files.bounds import row_bytes_of, values_in_lists
from sluicegate.adapters.files.parquet_footer import chunk_ranges
from sluicegate.adapters.foreign_errors import shown
from sluicegate.digest.verified_ranges import VerifiedRanges
from sluicegate.errors import UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sluicegate.adapters.files.bounds import Meter

BATCH_ROWS: Final = 65_536
"""Most rows of a record batch: with 20 columns of 8 bytes, 10 MB; Arrow itself takes more."""

BATCH_BYTES: Final = 32 << 20
"""Bytes of a record batch, above which it has fewer rows: wide tables and long texts. Who counts
words holds ten times as much."""

_PIECE_BYTES: Final = 16 << 10
"""Of a column, read at once: with 2,000 columns, 32 MB, where a row group may be 150 MB."""

_VIEWS: Final = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}

Rows = TypeVar("Rows", pa.Schema, pa.RecordBatch)


def parquet_rows(
    where: Any,
    name: str,
    meter: Meter,
    *,
    size_bytes: int,
    use_threads: bool = False,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file.

    Args:
        where: What pyarrow opens: a path, a buffer or an open file.
        name: File name, for errors.
        meter: Counts the rows of the whole batch.
        size_bytes: Length of the file.
        use_threads: Decode the columns of a row group at once. It takes more memory, so set it
            only if the caller keeps the rows anyway.
        columns: Names of the top-level columns that are wanted; None for all. Others may come too,
            but of `VerifiedRanges` no other is fetched if one of these is there.

    Yields:
        Record batches of at most 65,536 rows; long rows make them shorter.

    Raises:
        UnreadableData: The file exceeds a limit, a value is not what its type says, or the footer
            contradicts itself.
        pa.ArrowException: The file is not readable as Parquet, or a page has another checksum
            than it carries.
        OSError: As `pa.ArrowException`.
        ValueError: As `pa.ArrowException`.

    Cost: memory for one batch and a page of each column; of a store, for the encoded columns of a
        row group. The dictionaries of texts are read twice.
    """
    with _opened(where) as file:
        _require_sum(file.metadata, name)
        values = values_in_lists(where, file.metadata, size_bytes, name)
        meter.declare(file.metadata, values, size_bytes, name)
        n_rows = 0
        numbers = _numbers(file.metadata, columns)
        rows = _batch_rows(where, file.metadata, values, numbers)
        taken = None
        if columns is not None:
            taken = [file.metadata.schema.column(number).path for number in numbers]
        if isinstance(where, VerifiedRanges):
            where.plan(chunk_ranges(where, size_bytes, numbers))
        for batch in file.iter_batches(batch_size=rows, use_threads=use_threads, columns=taken):
            n_rows += batch.num_rows
            meter.count(batch, name)
            _require_valid(batch, name)
            yield without_views(batch)
        if n_rows != file.metadata.num_rows:
            _refuse_footer(name, f"{file.metadata.num_rows} rows", f"{n_rows} read")
        _require_honest(file, name, numbers)


def _numbers(footer: pq.FileMetaData, columns: Sequence[str] | None) -> list[int]:
    """Return the leaves of some columns; the first leaf if there is none, to count the rows by."""
    if columns is None:
        return list(range(footer.num_columns))
    tops = tuple(f"{column}." for column in columns)
    paths = [f"{footer.schema.column(number).path}." for number in range(footer.num_columns)]
    return [number for number, path in enumerate(paths) if path.startswith(tops)] or [0]


def without_views(rows: Rows) -> Rows:
    """Return a schema, or rows, with views of text and bytes as large text and bytes.

    Arrow selects, counts and compares no views.
    """
    schema = rows if isinstance(rows, pa.Schema) else rows.schema
    plain = schema
    for place, field in enumerate(schema):
        if field.type in _VIEWS:
            plain = plain.set(place, field.with_type(_VIEWS[field.type]))
    if plain is schema:
        return rows
    return plain if isinstance(rows, pa.Schema) else rows.cast(plain)


def _opened(where: Any, **options: Any) -> pq.ParquetFile:
    """Open a file so that pages with a checksum are held against it; pyarrow does not by itself.

    A file on this machine is read a piece of each column at a time. Of a store each piece would be
    a request, so memory holds the encoded columns of a row group.
    """
    pieces = _PIECE_BYTES if isinstance(where, str | BufferedIOBase | RawIOBase) else 0
    return pq.ParquetFile(
        where, pre_buffer=False, page_checksum_verification=True, buffer_size=pieces, **options
    )


def _batch_rows(
    where: Any, footer: pq.FileMetaData, values: Mapping[int, int], numbers: Sequence[int]
) -> int:
    """Return how many rows stay within a batch's bytes, even if each repeats the longest texts."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    encoded = max((g.total_byte_size / max(1, g.num_rows) for g in groups), default=0.0)
    repeated = _longest_texts(where, footer, numbers)
    longest = max(1.0, encoded, row_bytes_of(footer, values) + repeated)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / longest)))


def _longest_texts(where: Any, footer: pq.FileMetaData, numbers: Sequence[int]) -> int:
    """Return how long a row's texts from dictionaries can be, all columns together.

    A dictionary holds a text of a megabyte once, and each row may repeat it: a file of some
    kilobytes then makes 60 GB in a batch of the usual size. Reading the first row of a row group
    reads its whole dictionary, so one row of each is enough.
    """
    columns = (footer.schema.column(number) for number in numbers)
    texts = [
        column.path
        for column in columns
        if column.physical_type == "BYTE_ARRAY" and not column.max_repetition_level
    ]
    if not texts:
        return 0
    longest = 0
    with _opened(where, metadata=footer, read_dictionary=texts) as file:
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
    """Refuse a file whose number of rows is not the sum of its row groups."""
    total = sum(footer.row_group(number).num_rows for number in range(footer.num_row_groups))
    if total != footer.num_rows:
        _refuse_footer(name, f"{footer.num_rows} rows", f"{total} in its row groups")


def _require_valid(batch: pa.RecordBatch, name: str) -> None:
    """Refuse values that are not what their type says; pyarrow does not check that by itself.

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


def _require_honest(file: pq.ParquetFile, name: str, numbers: Sequence[int]) -> None:
    """Return if row groups and columns agree about their rows.

    Arrow believes the count of each row group. A count that is too low hides rows without an
    error, and another reader may show them. Call this only after all rows were read: the read
    refuses malformed column metadata, which here would end the process, because pyarrow does not
    catch its C++ exception.

    Raises:
        UnreadableData: Counts of row groups and columns contradict each other.
    """
    footer = file.metadata
    flat = [n for n in numbers if not footer.schema.column(n).max_repetition_level]
    for place in range(footer.num_row_groups):
        group = footer.row_group(place)
        if not group.num_rows:
            # The read may have skipped it.
            paths = [footer.schema.column(number).path for number in numbers]
            file.read_row_group(place, columns=paths)
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
