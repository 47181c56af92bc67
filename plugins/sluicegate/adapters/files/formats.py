"""What a file of a batch is, by content and by name: the one registry of formats.

Each file that a seal covers is one of three kinds. A table that a reader here knows is read and
judged. A marker from a short closed list holds no row, and verified reads never hand it out. Every
other file is unjudged, and a batch with such a file does not pass.

Parquet is recognised by its content, whatever its name: Hive writes ``000000_0``, Impala
``b.parq``, pandas ``b.parquet.gzip``. Text has no such mark, so CSV is recognised by its suffix.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from sluicegate.digest.names import SINGLE_FILE

Part = Path | bytes | memoryview | BinaryIO
"""A file to read: its path, its verified bytes, or an open private copy."""

PARQUET_MAGIC: Final = b"PAR1"
_MARK_BYTES: Final = 16  # longest mark below
_MARKERS: Final = frozenset({"_SUCCESS", "_metadata", "_common_metadata"})
"""Written by Spark, Hadoop and Dask; no reader takes rows from them."""

_PARQUET_SUFFIXES: Final = frozenset({".parquet", ".pq", ".parq"})
"""Names that promise Parquet. Only the content of a file that is not empty decides."""

_OTHERS: Final = (
    (b"PARE", b"PARE", "encrypted Parquet"),
    (b"ARROW1\0\0", b"", "Arrow IPC (Feather)"),
    (b"FEA1", b"FEA1", "Feather version 1"),
    (b"\xff\xff\xff\xff", b"", "an Arrow IPC stream"),
    (b"ORC", b"ORC", "ORC"),
    (b"Obj\x01", b"", "Avro"),
    (b"SQLite format 3\0", b"", "SQLite"),
    (b"\x89HDF\r\n\x1a\n", b"", "HDF5"),
    (b"\x93NUMPY", b"", "NumPy"),
    (b"\x1f\x8b", b"", "gzip"),
    (b"\x28\xb5\x2f\xfd", b"", "zstd"),
    (b"BZh91AY&SY", b"", "bzip2"),
    (b"\xfd7zXZ\0", b"", "xz"),
    (b"\x04\x22\x4d\x18", b"", "lz4"),
    (b"PK\x03\x04", b"", "zip (also xlsx, npz)"),
    (b"\x80\x04\x95", b"", "pickle"),
    (b"\x80\x05\x95", b"", "pickle"),
)
"""How a file begins; how it ends, where the begin could be a word of text; what it is."""


class Format(StrEnum):
    """What a file is, and so what is done with it."""

    PARQUET = "parquet"
    CSV = "csv"
    MARKER = "marker"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A file of a batch that nobody judged.

    Attributes:
        name: Path inside the batch.
        why: Why it is not read, and what it is if its content says so.
    """

    name: str
    why: str

    def __str__(self) -> str:
        """Return name and reason in printable characters."""
        return f"{ascii(self.name)[1:-1][:120]} ({self.why})"


def is_marker(name: str) -> bool:
    """Return whether a file's name says that it holds no rows: ``_SUCCESS`` and its like.

    Args:
        name: Path inside the batch.

    Example:
        >>> [is_marker(n) for n in ("_SUCCESS", "m=1/.a.parquet.crc", "a.crc", "_SUCCESS.csv")]
        [True, True, False, False]
    """
    last = PurePosixPath(name).name
    return last in _MARKERS or (last.startswith(".") and last.endswith(".crc") and len(last) > 5)


def is_hidden(name: str) -> bool:
    """Return whether Spark and Hive pass over a file, as they do over their own temporary ones.

    Args:
        name: Path inside the batch; directories count too.

    Example:
        >>> [is_hidden(n) for n in ("_tmp/a.parquet", ".a.parquet", "_k=1/a.parquet", "a")]
        [True, True, False, False]
    """
    return any(
        part.startswith(".") or (part.startswith("_") and "=" not in part)
        for part in PurePosixPath(name).parts
    ) or name.endswith("._COPYING_")


def format_of(name: str, part: Part, *, locator: str = "") -> tuple[Format, str]:
    """Return what a file is, and the reason in words if it is UNKNOWN.

    Args:
        name: Path inside the batch; "." for a batch that is one file.
        part: The file itself. The position of an open file does not change.
        locator: Name of the batch. If the batch is one file, its suffix counts.

    Raises:
        OSError: The path cannot be read.

    Cost: reads 16 bytes at each end.
    """
    if is_marker(name):
        return Format.MARKER, ""
    if is_hidden(name):
        return Format.UNKNOWN, "Spark and Hive pass over this name, other readers do not"
    begin, end = _ends(part)
    suffix = PurePosixPath(locator if name == SINGLE_FILE else name).suffix.lower()
    begins, ends = begin.startswith(PARQUET_MAGIC), end.endswith(PARQUET_MAGIC)
    # A broken or empty file counts as Parquet: its reader refuses it. The first column of a CSV
    # file may be called PAR1.
    if (begins and (ends or suffix != ".csv")) or (not begin and suffix in _PARQUET_SUFFIXES):
        return Format.PARQUET, ""
    if what := _other(begin, end):
        return Format.UNKNOWN, f"its content is {what}, which no reader here knows"
    if ends:
        # Two readers would read two different tables from it.
        return Format.UNKNOWN, "it ends as Parquet but begins as something else"
    return (Format.CSV, "") if suffix == ".csv" else (Format.UNKNOWN, _unmarked(suffix))


def _other(begin: bytes, end: bytes) -> str:
    """Return which known format without a reader a file has, or ""."""
    ended = (end, end[:-1])  # the last byte of ORC is a length
    for head, tail, what in _OTHERS:
        if begin.startswith(head) and any(place.endswith(tail) for place in ended):
            return what
    return ""


def _unmarked(suffix: str) -> str:
    if suffix in _PARQUET_SUFFIXES:
        return "its name says Parquet, but its content does not"
    return "no reader here knows this kind of file"


def size_of(part: Part) -> int:
    """Return the length of a file in bytes."""
    if isinstance(part, bytes | memoryview):
        return len(part)
    return part.stat().st_size if isinstance(part, Path) else os.fstat(part.fileno()).st_size


def _ends(part: Part) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file."""
    if isinstance(part, bytes | memoryview):
        return bytes(part[:_MARK_BYTES]), bytes(part[-_MARK_BYTES:])
    if isinstance(part, Path):
        with part.open("rb") as file:
            return _ends(file)
    last = max(0, size_of(part) - _MARK_BYTES)
    return os.pread(part.fileno(), _MARK_BYTES, 0), os.pread(part.fileno(), _MARK_BYTES, last)
