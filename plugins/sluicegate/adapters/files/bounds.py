"""Hold the rows of one batch against its limits: as declared before decoding, and as decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sluicegate.adapters.files.parquet_footer import declared_values
from sluicegate.errors import UnreadableData
from sluicegate.gate.limits import DEFAULT, FREE_BYTES, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa
    import pyarrow.parquet as pq

_WIDTHS: Final = {"BOOLEAN": 1 / 8, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
_NARROW: Final = {"INT_8": 1, "UINT_8": 1, "INT_16": 2, "UINT_16": 2}
"""Integers that Parquet stores in 32 bits and Arrow does not."""

_OFFSET_BYTES: Final = 4  # of a text in Arrow, however short


@dataclass(slots=True)
class Meter:
    """Counts what all files of one batch hold together.

    Attributes:
        limits: Of the policy, or the default ones.
        locator: Name of the batch, for errors.
        n_rows: Decoded so far.
        n_bytes: Decoded so far, as Arrow holds them.
        on_disk: Bytes of the files that were begun.
    """

    limits: Limits = DEFAULT
    locator: str = ""
    n_rows: int = 0
    n_bytes: int = 0
    on_disk: int = 0

    def declare(
        self, footer: pq.FileMetaData, values: Mapping[int, int], size_bytes: int, name: str
    ) -> None:
        """Return if what a Parquet file says of itself fits beside what was decoded already.

        Args:
            footer: Of the file.
            values: As `values_in_lists` returns it.
            size_bytes: Length of the file.
            name: For the error.

        Raises:
            UnreadableData: A limit of the policy would be exceeded.
        """
        self.on_disk += size_bytes
        n_bytes = self.n_bytes + decoded_bytes(footer, values)
        self._require(self.n_rows + footer.num_rows, n_bytes, name)

    def begin(self, size_bytes: int, name: str) -> None:
        """Count a file of text, which declares nothing.

        Raises:
            UnreadableData: As `declare`.
        """
        self.on_disk += size_bytes
        # A long number in text is 20 characters and 8 bytes in memory.
        self._require(self.n_rows, self.n_bytes + size_bytes // 4, name)

    def unpacked(self, n_bytes: int, name: str) -> None:
        """Look at a text of which so much is unpacked: a packed file declares nothing either.

        Raises:
            UnreadableData: As `declare`.
        """
        self._require(self.n_rows, self.n_bytes + n_bytes // 4, name)

    def added(self, n_bytes: int, name: str) -> None:
        """Count columns that a file's rows get because other files have them.

        Raises:
            UnreadableData: As `declare`.
        """
        self.n_bytes += n_bytes
        self._require(self.n_rows, self.n_bytes, name)

    def count(self, batch: pa.RecordBatch, name: str) -> None:
        """Count decoded rows.

        Raises:
            UnreadableData: As `declare`.
        """
        self.n_rows += batch.num_rows
        self.n_bytes += sum(map(_size, batch.columns))
        self._require(self.n_rows, self.n_bytes, name)

    def counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield rows that come from no file, as long as they are within the limits."""
        for batch in batches:
            self.n_rows += batch.num_rows
            self.n_bytes += batch.nbytes
            self._require(self.n_rows, self.n_bytes, self.locator, expands=False)
            yield batch

    def _require(self, n_rows: int, n_bytes: int, name: str, *, expands: bool = True) -> None:
        limits = self.limits
        if n_rows > limits.max_rows:
            self._refuse("max_rows", limits.max_rows, "rows", n_rows, name)
        if n_bytes > limits.max_decoded_bytes:
            self._refuse("max_decoded_bytes", limits.max_decoded_bytes, "bytes", n_bytes, name)
        if expands and n_bytes > max(FREE_BYTES, limits.max_expansion * self.on_disk):
            ratio = n_bytes // max(1, self.on_disk)
            self._refuse("max_expansion", limits.max_expansion, "times its size", ratio, name)

    def _refuse(self, key: str, limit: int, unit: str, got: int, name: str) -> NoReturn:
        raise UnreadableData(
            f"the batch decodes to more than limits.{key} of the policy",
            locator=name if name == self.locator else f"{self.locator}: {name}",
            expected=f"at most {limit} {unit}",
            got=f"{got} or more",
            next_step=f"If it is meant to be this large, set limits.{key} in the policy; "
            "otherwise treat it as a decompression bomb.",
        )


def _size(column: pa.Array) -> int:
    """Return the bytes of a column; of categories of text as long as whoever reads them sees it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.StructArray):
        return sum(map(_size, column.flatten()))
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    try:
        lengths = pc.binary_length(column.dictionary)
    except pa.ArrowNotImplementedError:  # categories that are no texts
        return int(column.nbytes)
    return _OFFSET_BYTES * len(column) + (pc.sum(pc.take(lengths, column.indices)).as_py() or 0)


def decoded_bytes(footer: pq.FileMetaData, values: Mapping[int, int]) -> int:
    """Return how many bytes a file decodes to at least, by its footer.

    Exact for columns of one width, in lists too. How long texts are the footer does not tell, nor
    how often a dictionary repeats them: `Meter.count` sees it.

    Args:
        footer: Of the file.
        values: As `row_bytes_of`.

    Cost: 1 µs a column and row group.
    """
    groups = (footer.row_group(place) for place in range(footer.num_row_groups))
    encoded: int = sum(group.total_byte_size for group in groups)
    return max(encoded, int(row_bytes_of(footer, values) * footer.num_rows))


def row_bytes_of(footer: pq.FileMetaData, values: Mapping[int, int]) -> float:
    """Return how many bytes a row decodes to at least, on average: its columns of one width.

    Args:
        footer: Of the file.
        values: How many values each list column declares, by the column's number.
    """
    columns = [footer.schema.column(number) for number in range(footer.num_columns)]
    flat = sum(_width(column) for column in columns if not column.max_repetition_level)
    in_lists = sum(_width(columns[n]) * count for n, count in values.items())
    n_rows: int = footer.num_rows
    return flat + in_lists / max(1, n_rows)


def values_in_lists(
    where: Any, footer: pq.FileMetaData, size_bytes: int, name: str
) -> dict[int, int]:
    """Return how many values each list column declares, by its number.

    Args:
        where: Path, or open file that can be read at any place.
        footer: Of the file.
        size_bytes: Length of the file.
        name: For the error.

    Raises:
        UnreadableData: As `declared_values`.

    Cost: nothing where there are no lists.
    """
    columns = (footer.schema.column(number) for number in range(footer.num_columns))
    lists = [number for number, column in enumerate(columns) if column.max_repetition_level]
    declared = declared_values(where, size_bytes, name) if lists else {}
    return {number: declared[number] for number in lists}


def _width(column: pq.ColumnSchema) -> float:
    if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return float(column.length)
    narrow = _NARROW.get(column.converted_type)
    return narrow or _WIDTHS.get(column.physical_type, _OFFSET_BYTES)
