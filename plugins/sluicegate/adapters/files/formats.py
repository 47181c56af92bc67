"""What a file of a batch is, by content and by name: the one registry of formats.

Each file that a seal covers is one of three kinds. A table that a reader here knows is read and
judged. A marker from a short closed list holds no row, and verified reads never hand it out. Every
other file is unjudged, and a batch with such a file does not pass.

Parquet is known by its content, whatever its name: Hive writes ``000000_0``, Impala ``b.parq``,
pandas ``b.parquet.gzip``. Text has no such mark, so CSV and JSON lines are known by their suffix,
and packed ones by suffix and mark together.
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

_PACKED: Final = {
    ".gz": (b"\x1f\x8b", "gzip"),
    ".zst": (b"\x28\xb5\x2f\xfd", "zstd"),
    ".bz2": (b"BZh", "bzip2"),
}
"""Suffix of packed text, the begin of its content, and what packed it."""

CSV: Final = frozenset({".csv"})
"""Suffixes of comma-separated text."""

TEXT: Final = CSV | {".tsv", ".tab", ".txt", ".psv"}
"""Suffixes of text whose delimiter somebody declared."""

JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
"""Suffixes of text with one JSON object on each line."""

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
    JSON_LINES = "json lines"
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


def format_of(
    name: str, part: Part, *, locator: str = "", delimited: frozenset[str] = CSV
) -> tuple[Format, str]:
    """Return what a file is, and of one that is UNKNOWN the reason in words.

    Args:
        name: Path inside the batch; "." for a batch that is one file.
        part: The file itself; a BinaryIO is left where it stands.
        locator: Names a batch that is one file.
        delimited: Suffixes of CSV: `CSV`, or `TEXT` where the delimiter is declared.

    Raises:
        OSError: The path cannot be read.

    Cost: reads 16 bytes at each end.
    """
    if is_marker(name):
        return Format.MARKER, ""
    if is_hidden(name):
        return Format.UNKNOWN, "Spark and Hive pass over this name, other readers do not"
    begin, end = _ends(part)
    suffixes = delimited | JSON_LINES
    path = PurePosixPath(locator if name == SINGLE_FILE else name)
    suffix = path.suffix.lower()
    begins, ends = begin.startswith(PARQUET_MAGIC), end.endswith(PARQUET_MAGIC)
    # A broken or empty one too: its reader says so. A column of a CSV file may be called PAR1.
    if (begins and (ends or suffix not in suffixes)) or (not begin and suffix in _PARQUET_SUFFIXES):
        return Format.PARQUET, ""
    if why := _why_unknown(path, begin, end, suffixes):
        return Format.UNKNOWN, why
    return Format.JSON_LINES if is_text(str(path), JSON_LINES) else Format.CSV, ""


def compression_of(path: str) -> str:
    """Return what packed a file of text, by its name: ``gzip``, ``zstd``, ``bzip2`` or "".

    Example:
        >>> compression_of("day=1/p.csv.gz"), compression_of("p.csv")
        ('gzip', '')
    """
    suffix = PurePosixPath(path).suffix.lower()
    return _PACKED[suffix][1] if suffix in _PACKED else ""


def is_text(name: str, suffixes: frozenset[str]) -> bool:
    """Return whether a name promises text, plain or packed.

    Args:
        name: Path inside the batch.
        suffixes: Of the text, in lower case.

    Example:
        >>> is_text("p.CSV.gz", CSV), is_text("p.gz", CSV)
        (True, False)
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in suffixes or _packed_text(path, suffixes)


def _packed_text(path: PurePosixPath, suffixes: frozenset[str]) -> bool:
    return path.suffix.lower() in _PACKED and PurePosixPath(path.stem).suffix.lower() in suffixes


def _why_unknown(path: PurePosixPath, begin: bytes, end: bytes, suffixes: frozenset[str]) -> str:
    """Return why a file that is no Parquet is no text that is read either, or ""."""
    suffix = path.suffix.lower()
    if _packed_text(path, suffixes):
        mark, what = _PACKED[suffix]
        same = begin.startswith(mark) or not begin
        return "" if same else f"its name says {what} and its content does not"
    if what := _other(begin, end):
        packed = next((end for end, (_, name) in _PACKED.items() if name == what), "")
        hint = f"; packed text is called *{suffix}{packed}" if packed and suffix in suffixes else ""
        return f"its content is {what}, which no reader here knows{hint}"
    if end.endswith(PARQUET_MAGIC):
        # Two readers would take two tables out of it.
        return "it ends as Parquet but begins as something else"
    return "" if suffix in suffixes else _unmarked(suffix)


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
    if suffix in TEXT:
        return "text whose delimiter nobody declared; section csv of the schema does"
    return "no reader here knows this kind of file"


def size_of(part: Part) -> int:
    """Return the length of a file in bytes."""
    if isinstance(part, bytes | memoryview):
        return len(part)
    if isinstance(part, Path):
        return part.stat().st_size
    here = part.tell()
    try:
        return part.seek(0, os.SEEK_END)
    finally:
        part.seek(here)


def _ends(part: Part) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file."""
    if isinstance(part, bytes | memoryview):
        return bytes(part[:_MARK_BYTES]), bytes(part[-_MARK_BYTES:])
    if isinstance(part, Path):
        with part.open("rb") as file:
            return _ends(file)
    here, size = part.tell(), size_of(part)
    try:
        part.seek(0)
        begin = part.read(_MARK_BYTES)
        part.seek(max(0, size - _MARK_BYTES))
        return begin, part.read(_MARK_BYTES)
    finally:
        part.seek(here)
