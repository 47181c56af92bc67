"""Compare the rows of one batch with its limits: as declared before decoding, and as decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

_OFFSET_BYTES: Final = 4  # Arrow's own for each text, however short


@dataclass(slots=True)
class Meter:
    """Counts what all files of one batch hold together.

    Attributes:
        limits: The policy's, or the default ones.
        locator: Name of the batch, for errors.
        n_rows: Rows decoded so far.
        n_bytes: Bytes decoded so far, as Arrow holds them.
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
        """Return if the rows that a Parquet file declares are within the limits.

        Args:
            footer: The file's own; nothing of the file is decoded yet.
            values: How many values each list column declares, by the column's number; from
                `values_in_lists`.
            size_bytes: Length of the file.
            name: File name, for the error.

        Raises:
            UnreadableData: With what was decoded already, they would exceed a limit.
        """
        self.on_disk += size_bytes
        n_bytes = self.n_bytes + decoded_bytes(footer, values)
        self._require(self.n_rows + footer.num_rows, n_bytes, name)

    def begin(self, size_bytes: int, name: str) -> None:
        """Count a file of text, which declares nothing, before it is decoded.

        Args:
            size_bytes: Length of the file. At least a quarter of it is expected in memory.
            name: File name, for the error.

        Raises:
            UnreadableData: With what was decoded already, it would exceed a limit.
        """
        self.on_disk += size_bytes
        # A long number takes 20 characters of text and 8 bytes of memory.
        self._require(self.n_rows, self.n_bytes + size_bytes // 4, name)

    def unpacked(self, n_bytes: int, name: str) -> None:
        """Look at a text of which so much is unpacked: a packed file declares nothing either.

        Args:
            n_bytes: Of the text so far.
            name: For the error.

        Raises:
            UnreadableData: As `declare`.
        """
        self._require(self.n_rows, self.n_bytes + n_bytes // 4, name)

    def added(self, n_bytes: int, name: str) -> None:
        """Count columns that a file's rows get because other files have them.

        Args:
            n_bytes: Of these columns, as Arrow holds them.
            name: For the error.

        Raises:
            UnreadableData: As `declare`.
        """
        self.n_bytes += n_bytes
        self._require(self.n_rows, self.n_bytes, name)

    def count(self, batch: pa.RecordBatch, name: str) -> None:
        """Count decoded rows.

        Args:
            batch: Rows that were not counted before.
            name: File name, for the error.

        Raises:
            UnreadableData: A limit is exceeded.
        """
        self.n_rows += batch.num_rows
        self.n_bytes += sum(map(_size, batch.columns))
        self._require(self.n_rows, self.n_bytes, name)

    def counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield rows that come from no file, as long as they are within the limits.

        Raises:
            UnreadableData: There are too many rows or bytes.
        """
        for batch in batches:
            self.n_rows += batch.num_rows
            self.n_bytes += batch.nbytes
            self._require(self.n_rows, self.n_bytes, self.locator, expands=False)
            yield batch

    def plus(self, other: Meter) -> Meter:
        """Return what both counted together.

        Raises:
            UnreadableData: A limit is exceeded.
        """
        both = replace(
            self,
            n_rows=self.n_rows + other.n_rows,
            n_bytes=self.n_bytes + other.n_bytes,
            on_disk=self.on_disk + other.on_disk,
        )
        both.require()
        return both

    def require(self) -> None:
        """Return if what was counted is within the limits.

        Raises:
            UnreadableData: A limit is exceeded.
        """
        self._require(self.n_rows, self.n_bytes, self.locator)

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
    """Return the bytes of a column; categories of text count as the texts that a reader sees."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.StructArray):
        return sum(map(_size, column.flatten()))
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    try:
        lengths = pc.binary_length(column.dictionary)
    except pa.ArrowNotImplementedError:  # the categories are not text
        return int(column.nbytes)
    return _OFFSET_BYTES * len(column) + (pc.sum(pc.take(lengths, column.indices)).as_py() or 0)


def decoded_bytes(footer: pq.FileMetaData, values: Mapping[int, int]) -> int:
    """Return how many bytes a file decodes to at least, by its footer.

    The number is exact for columns of fixed width, in lists too. The footer does not tell how long
    texts are, nor how often a dictionary repeats them: only `Meter.count` sees that.

    Args:
        footer: The file's own.
        values: How many values each list column declares, by the column's number.

    Cost: 1 µs for each column of each row group.
    """
    groups = (footer.row_group(place) for place in range(footer.num_row_groups))
    encoded: int = sum(group.total_byte_size for group in groups)
    return max(encoded, int(row_bytes_of(footer, values) * footer.num_rows))


def row_bytes_of(footer: pq.FileMetaData, values: Mapping[int, int]) -> float:
    """Return how many bytes a row's columns of fixed width decode to, on average.

    Args:
        footer: The file's own.
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
        footer: The file's own.
        size_bytes: Length of the file.
        name: File name, for the error.

    Raises:
        UnreadableData: The footer is malformed.

    Cost: as `declared_values`, but nothing if no column is a list.
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
