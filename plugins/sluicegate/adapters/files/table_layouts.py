"""Directories of table formats, whose files are not the table: Delta, Iceberg, Hudi and others.

A log or metadata beside the data files says which files and rows count. If they are read as plain
files, deleted rows come back to life. No reader here reads such a table as one, so its directory
is refused by name. On this machine, anything inside it is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from sluicegate.errors import UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Peek = Callable[[str], bytes]
"""Returns how a file begins, by its path. The bytes are unverified: only recognise it by them."""

PEEK_BYTES: Final = 65_536
"""Bytes to look at in a metadata file: writers put version and table id first."""

_DIRECTORIES: Final = {
    "_delta_log": "a Delta table (_delta_log)",
    ".hoodie": "a Hudi table (.hoodie)",
}
_ICEBERG: Final = "an Iceberg table (metadata/*.metadata.json)"
_ICEBERG_METADATA: Final = re.compile(r"(?:.*/)?metadata/[^/]*\.metadata\.json(?:\.gz)?")
_ICEBERG_MANIFEST: Final = re.compile(r"(?:.*/)?metadata/[^/]*\.avro")
_LANCE_MANIFEST: Final = re.compile(r"(?:.*/)?_versions/[^/]*\.manifest")
_HIVE_ACID: Final = re.compile(r"(?:delete_)?delta_\d{7}_\d{7}(?:_\d{4})?")
_HUGGING_FACE: Final = frozenset({"state.json", "dataset_info.json"})


def layout_of(paths: Iterable[str], peek: Peek | None = None) -> str:
    """Return the table format whose directory these files are, or "".

    Args:
        paths: Relative POSIX paths of all files.
        peek: Tells Iceberg's metadata from other JSON if no manifest is beside it. Without it,
            such JSON is not taken for Iceberg's.

    Example:
        >>> layout_of(["_delta_log/00000000000000000000.json", "part-0.parquet"])
        'a Delta table (_delta_log)'
        >>> layout_of(["metadata/camera.metadata.json", "part-0.parquet"])
        ''

    Cost: one look at each path.
    """
    names, metadata, has_manifest, has_arrow = set[str](), [], False, False
    for path in paths:
        *directories, name = path.split("/")
        for directory in directories:
            if what := _DIRECTORIES.get(directory):
                return what
            if _HIVE_ACID.fullmatch(directory):
                return f"a Hive transactional table ({directory})"
        if _LANCE_MANIFEST.fullmatch(path):
            return "a Lance data set (_versions)"
        if _ICEBERG_METADATA.fullmatch(path):
            metadata.append(path)
        has_manifest |= _ICEBERG_MANIFEST.fullmatch(path) is not None
        has_arrow |= name.endswith(".arrow")
        names.add(name)
    if metadata and (
        has_manifest or (peek is not None and any(map(_says_so, map(peek, metadata))))
    ):
        return _ICEBERG
    if has_arrow and names >= _HUGGING_FACE:
        return "a Hugging Face data set (state.json, dataset_info.json)"
    return ""


def refuse_table_layout(
    paths: Iterable[str],
    *,
    locator: str,
    root: Path | None = None,
    peek: Peek | None = None,
) -> None:
    """Return if files are only files.

    Args:
        paths: Relative POSIX paths of all files.
        locator: Name of the batch, for the error.
        root: Where they lie on this machine; the directories above are then looked at too, so
            that a part of a table is found.
        peek: As for `layout_of`.

    Raises:
        UnreadableData: They are a table of another kind, or lie inside one.
    """
    what = layout_of(paths, peek) or ("" if root is None else _around(root))
    if what:
        raise UnreadableData(
            f"is {what}, and is not read as a table",
            locator=locator,
            expected="files that hold the live rows and nothing else",
            next_step="Its files also hold rows that were deleted or replaced. Read it with its "
            "own library, write the live rows as Parquet into another directory, and use that.",
        )


def peek_at(path: Path) -> bytes:
    """Return a file's first 64 KiB, or nothing if it cannot be read: its reader will say so."""
    try:
        with path.open("rb") as file:
            return file.read(PEEK_BYTES)
    except OSError:
        return b""


def _peek_below(root: Path, name: str) -> bytes:
    return peek_at(root / name)


def _says_so(begin: bytes) -> bool:
    return b'"format-version"' in begin and (b'"table-uuid"' in begin or b'"snapshots"' in begin)


def _around(root: Path) -> str:
    """Return the table format in whose directory a path lies, or "".

    Cost: lists four names in it and in each directory above.
    """
    for above in (root.absolute(), *root.absolute().parents):
        for directory, what in _DIRECTORIES.items():
            if _listing(above / directory):
                return f"inside {what}"
        for directory in ("metadata", "_versions"):
            names = [f"{directory}/{name}" for name in _listing(above / directory)]
            if what := layout_of(names, partial(_peek_below, above)):
                return f"inside {what}"
    return ""


def _listing(directory: Path) -> list[str]:
    """Return the names in a directory; none if it is missing or cannot be read."""
    try:
        return [path.name for path in directory.iterdir()]
    except OSError:
        return []
