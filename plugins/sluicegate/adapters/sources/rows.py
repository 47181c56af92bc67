"""Locators of rows: a table or query of a database, or a text file with declared columns.

    postgresql://host:5432/db#flights           a table or view
    sqlite:///flights.db#SELECT id FROM t       one SELECT
    duckdb:////srv/flights.duckdb#flights
    csv:/data/flights.csv#{"id":"int64"}        columns of the file, by name and type
    csv:/data/days#{"columns":{"id":"int64"},"delimiter":";"}   of each file of a directory or glob
    jsonl:/data/flights.jsonl#{"id":"int64"}

A location becomes part of provenance, which all can read, so it never holds a password.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from sluicegate.adapters.files.formats import (
    JSON_LINES,
    TEXT,
    compression_of,
    is_hidden,
    is_marker,
    is_text,
)
from sluicegate.adapters.sources.local import GlobFiles, LocalFiles, has_wildcard, real_place
from sluicegate.credentials import without_credentials
from sluicegate.digest import canonical
from sluicegate.digest.file_hash import open_regular, regular_status
from sluicegate.errors import ConfigError, MalformedEnvelope, UnreadableData
from sluicegate.profiling.csv_dialect import CsvDialect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from sluicegate.adapters.sources.protocol import RowSource

_DATABASE: Final = re.compile(r"(postgresql|postgres|sqlite|duckdb)://[^#]*#.")
_TEXT: Final = re.compile(r"(csv|jsonl):([^#]+)#(\{.*\})")


def is_rows(location: str) -> bool:
    """Return whether a location names rows rather than files."""
    return bool(_DATABASE.match(location) or _TEXT.fullmatch(location))


def is_database(location: str) -> bool:
    """Return whether a location names rows of a database."""
    return bool(_DATABASE.match(location))


def text_location(path: str, dialect: CsvDialect) -> str:
    """Name a text file and its declared columns.

    Args:
        path: ``.csv``, ``.jsonl`` or ``.ndjson``, also packed; or a directory or glob of them.
        dialect: Columns in the order of the file, and how CSV is written.

    Raises:
        ConfigError: The path has another suffix, or a ``#``.
    """
    plain = PurePath(path)
    plain = plain.with_suffix("") if compression_of(path) else plain
    suffix = plain.suffix.lower()
    scheme = "jsonl" if suffix in JSON_LINES else "csv" if suffix in TEXT else ""
    if Path(path).is_dir():
        names = LocalFiles(real_place(Path(path))).names()
        scheme = "jsonl" if any(is_text(name, JSON_LINES) for name in names) else "csv"
    if not scheme or "#" in path:
        raise ConfigError(
            "columns are declared for a text file",
            locator=path,
            expected=".csv, .jsonl, .ndjson, or a directory of one of them",
        )
    return _text_location(scheme, path, dialect)


def read_columns(path: Path) -> CsvDialect:
    """Read declared columns, as a locator holds them behind its ``#``.

    Raises:
        ConfigError: The file cannot be read, is not a JSON object, or names an unknown type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the declared columns cannot be read", locator=str(path)) from error
    return _declared(text, str(path))


def open_rows(location: str, *, url: Any = None, follow: bool = False) -> RowSource:
    """Open the rows that a location names.

    Args:
        location: One of the forms at the top of this module.
        url: The same database's URL with user and password, or a function that returns it for
            the location. Without it, the database's own environment (``PGUSER``, ``PGPASSFILE``)
            names the user.
        follow: As `open_source`, for the directory of text files.

    Raises:
        ConfigError: The text is not a location of rows, names an unknown column type, or holds a
            password.
    """
    text = _TEXT.fullmatch(location)
    if text:
        path = str(_real(text[2])) if follow else text[2]
        return _TextFiles(text[1], path, _declared(text[3], text[2]))
    if not is_database(location):
        raise ConfigError(
            "the location names no rows", locator=location[:200], expected="DATABASE-URL#TABLE"
        )

    from sluicegate.adapters.sources.sql import SqlRows

    address, _, query = location.partition("#")
    if without_credentials(address) != address:
        raise ConfigError(
            "the locator holds a password",
            locator=without_credentials(location)[:200],
            next_step="Use PGUSER and PGPASSFILE, or an Airflow connection.",
        )
    named = url(location) if callable(url) else url
    return SqlRows(named or address, query)


@dataclass(frozen=True, slots=True)
class _TextFiles:
    """A CSV or JSON lines file, or several, each opened when it is read."""

    scheme: str
    path: str
    dialect: CsvDialect

    @property
    def location(self) -> str:
        """Absolute path and declared columns."""
        return _text_location(self.scheme, self.path, self.dialect)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; see `CsvRows` and `JsonLinesRows`."""
        for path in self._paths():
            with os.fdopen(open_regular(path, str(path)), "rb") as file:
                regular_status(file.fileno(), str(path))
                yield from self._rows(file, str(path))

    def _rows(self, file: BinaryIO, name: str) -> Iterator[pa.RecordBatch]:
        from sluicegate.adapters.files.declared import DeclaredSchema
        from sluicegate.adapters.sources.text_rows import CsvRows, JsonLinesRows

        schema, packed = DeclaredSchema(self.dialect.columns), compression_of(name)
        if self.scheme == "csv":
            return CsvRows(file, schema, name, self.dialect, packed).batches()
        return JsonLinesRows(file, schema, name, packed).batches()

    def _paths(self) -> list[Path]:
        """Return the file, or those of the directory or pattern, in code-point order.

        Raises:
            UnreadableData: One of several is another kind of file, or there is none.
        """
        path = Path(self.path)
        if not path.is_dir() and (path.exists() or not has_wildcard(self.path)):
            return [path]
        found = LocalFiles(path) if path.is_dir() else GlobFiles.parse(self.path)
        base = path if isinstance(found, LocalFiles) else found.base
        names = [name for name in found.names() if not is_marker(name)]
        for name in names:
            suffixes = TEXT if self.scheme == "csv" else JSON_LINES
            if is_hidden(name) or not is_text(name, suffixes):
                raise UnreadableData(
                    "a file beside the declared ones is of another kind",
                    locator=f"{self.path}: {name}",
                    expected=", ".join(sorted(suffixes)),
                    next_step="Name the files with a pattern, or take it out.",
                )
        if not names:
            raise UnreadableData("no file to read", locator=self.path)
        return [base / name for name in names]


def _real(path: str) -> Path:
    if has_wildcard(path) and not Path(path).exists():
        found = GlobFiles.parse(path)
        return real_place(found.base) / found.pattern
    return real_place(Path(path))


def _text_location(scheme: str, path: str, dialect: CsvDialect) -> str:
    only_columns = dialect == CsvDialect(columns=dialect.columns)
    columns = dict(dialect.columns)
    value = columns if only_columns else {**dialect.to_json(), "columns": columns}
    declared = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"{scheme}:{Path(path).absolute()}#{declared}"


def _declared(text: str, path: str) -> CsvDialect:
    """Read columns by name and type, or a whole section ``csv`` with ``columns`` in it."""
    try:
        value = canonical.loads(text.encode(), locator=path)
    except (MalformedEnvelope, UnicodeEncodeError) as error:
        raise ConfigError("declared columns are not JSON", locator=path) from error
    if not isinstance(value, dict):
        raise ConfigError("a declared column has no type", locator=path)
    from sluicegate.adapters.files.declared import DeclaredSchema

    # A type is a text, so an object can only be the columns of a section.
    section = value if isinstance(value.get("columns"), dict) else {"columns": value}
    dialect = CsvDialect.from_mapping(section, locator=path)
    DeclaredSchema(dialect.columns)
    return dialect
