"""The text of a file as UTF-8 that Arrow parses, unpacked and decoded where it needs to be."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from sluicegate.errors import UnreadableData
from sluicegate.profiling.csv_dialect import UTF_8

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.adapters.files.bounds import Meter
    from sluicegate.adapters.files.formats import Part

_BLOCK_BYTES: Final = 1 << 20
_IN_MEMORY_BYTES: Final = 32 << 20
HEAD_BYTES: Final = 65_536
"""Begin of a text that is looked at, to say what it seems to be."""

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def utf8_text(
    part: Part, where: str, *, compression: str = "", encoding: str = UTF_8, meter: Meter
) -> Iterator[Any]:
    """Open a file's text for a parser.

    Args:
        part: The file; a BinaryIO stands at its begin and is closed by the caller.
        where: Its name, for errors.
        compression: ``gzip``, ``bzip2``, ``zstd`` or "".
        encoding: Of the text.
        meter: Of the batch; counts what is unpacked.

    Yields:
        An open file that can be read again from its begin.

    Raises:
        UnreadableData: Truncated or damaged, not of that encoding, or above a limit.

    Cost: of plain UTF-8 nothing; otherwise one pass, and its text on private disk above 32 MiB.
    """
    with _opened(part) as raw:
        if not compression and encoding in {UTF_8, "utf-8-sig"}:
            yield raw
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as text:
            try:
                _copy(_unpacked(raw, compression), text, encoding, meter, where)
            except (EOFError, OSError, zlib.error, pa.ArrowException):
                raise UnreadableData(
                    f"is no complete {compression or 'file'}",
                    locator=where,
                    next_step="It may be truncated or still being written; deliver it again.",
                ) from None
            except UnicodeError as error:
                raise UnreadableData(
                    "is not of the declared encoding",
                    locator=where,
                    expected=encoding,
                    got=type(error).__name__,  # whose text quotes the bytes
                    next_step="Declare the encoding that it has (docs/sources.md, CSV).",
                ) from None
            text.seek(0)
            yield text


def refuse_other_encoding(head: bytes, where: str) -> None:
    """Return if the begin of a text may be UTF-8.

    Args:
        head: First bytes of the file, unpacked.
        where: Its name.

    Raises:
        UnreadableData: It begins as UTF-16 or UTF-32 does.
    """
    found = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), "")
    if not found and head[:64].count(0) * 3 > len(head[:64]) > 0:
        found = "utf-16 without a mark" if head[1::2].count(0) or head[::2].count(0) else ""
    if found:
        refuse_encoding(where, found)


def refuse_encoding(where: str, seems: str, column: str = "") -> None:
    """Refuse a text that is no UTF-8, and say how to declare what it is.

    Args:
        where: Name of the file.
        seems: What it seems to be, in words.
        column: The one with such a text, "" if it is not known.

    Raises:
        UnreadableData: Always.
    """
    raise UnreadableData(
        "the encoding is not UTF-8",
        locator=f"{where}: column {column!a}" if column else where,
        expected="UTF-8",
        got=seems,
        next_step="Declare the encoding in section csv, e.g. {encoding: utf-16} or "
        "{encoding: cp1252} (docs/sources.md, CSV), or write UTF-8.",
    )


@contextmanager
def _opened(part: Part) -> Iterator[Any]:
    if isinstance(part, Path):
        with part.open("rb") as file:
            yield file
    elif isinstance(part, bytes):
        yield io.BytesIO(part)
    elif isinstance(part, memoryview):
        yield pa.BufferReader(part)  # which copies nothing
    else:
        yield part


def _unpacked(raw: Any, compression: str) -> Any:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if compression == "bzip2":
        return bz2.BZ2File(raw)
    if compression == "zstd":
        source = raw if isinstance(raw, pa.NativeFile) else pa.PythonFile(raw, mode="r")
        return pa.CompressedInputStream(source, "zstd")
    return raw


def _copy(packed: Any, text: Any, encoding: str, meter: Meter, where: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    n_bytes = 0
    while True:
        block = cast("bytes", packed.read(_BLOCK_BYTES))
        plain = decoder.decode(block, final=not block).encode()
        n_bytes += len(plain)
        meter.unpacked(n_bytes, where)
        text.write(plain)
        if not block:
            return
