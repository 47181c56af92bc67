"""Locators of rows: a table or query of a database, or a text file with declared columns.

    postgresql://host:5432/db#flights           a table or view
    sqlite:///flights.db#SELECT id FROM t       one SELECT
    duckdb:////srv/flights.duckdb#flights
    csv:/data/flights.csv#{"id":"int64"}        columns of the file, by name and type
    jsonl:/data/flights.jsonl#{"id":"int64"}

A location becomes part of provenance, which all can read, so it never holds a password.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluicegate.credentials import without_credentials
from sluicegate.digest import canonical
from sluicegate.digest.file_hash import open_regular, regular_status
from sluicegate.errors import ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def text_location(path: str, columns: Mapping[str, str]) -> str:
    """Name a text file and its declared columns.

    Args:
        path: Path that ends in ``.csv``, ``.jsonl`` or ``.ndjson`` and has no ``#``.
        columns: Types by name, in the order of the file, as `DeclaredSchema` takes them.

    Raises:
        ConfigError: The path has another suffix, or a ``#``.
    """
    scheme = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(Path(path).suffix.lower())
    if scheme is None or "#" in path:
        raise ConfigError(
            "only a text file has declared columns", locator=path, expected=".csv, .jsonl, .ndjson"
        )
    return _text_location(scheme, path, tuple(columns.items()))


def read_columns(path: Path) -> dict[str, str]:
    """Read declared columns: a JSON object of names and types, in the order of the file.

    Raises:
        ConfigError: The file cannot be read, is not a JSON object, or names an unknown type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the declared columns cannot be read", locator=str(path)) from error
    return dict(_columns(text, str(path)))


def open_rows(location: str, *, url: Any = None) -> RowSource:
    """Open the rows that a location names.

    Args:
        location: One of the forms at the top of this module.
        url: The same database's URL with user and password, or a function that returns it for
            the location. Without it, the database's own environment (``PGUSER``, ``PGPASSFILE``)
            names the user.

    Raises:
        ConfigError: The text is not a location of rows, names an unknown column type, or holds a
            password.
    """
    text = _TEXT.fullmatch(location)
    if text:
        return _TextFile(text[1], text[2], _columns(text[3], text[2]))
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
class _TextFile:
    """A CSV or JSON lines file, opened when it is read."""

    scheme: str
    path: str
    columns: tuple[tuple[str, str], ...]

    @property
    def location(self) -> str:
        """Absolute path and declared columns."""
        return _text_location(self.scheme, self.path, self.columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; see `CsvRows` and `JsonLinesRows`."""
        from sluicegate.adapters.sources.declared import DeclaredSchema
        from sluicegate.adapters.sources.text_rows import CsvRows, JsonLinesRows

        reader = CsvRows if self.scheme == "csv" else JsonLinesRows
        schema = DeclaredSchema(self.columns)
        with os.fdopen(open_regular(Path(self.path), self.path), "rb") as file:
            regular_status(file.fileno(), self.path)
            yield from reader(file, schema, self.path).batches()


def _text_location(scheme: str, path: str, columns: tuple[tuple[str, str], ...]) -> str:
    declared = json.dumps(dict(columns), separators=(",", ":"), ensure_ascii=False)
    return f"{scheme}:{Path(path).absolute()}#{declared}"


def _columns(text: str, path: str) -> tuple[tuple[str, str], ...]:
    try:
        value = canonical.loads(text.encode(), locator=path)
    except (MalformedEnvelope, UnicodeEncodeError) as error:
        raise ConfigError("declared columns are not JSON", locator=path) from error
    if not isinstance(value, dict) or not all(isinstance(kind, str) for kind in value.values()):
        raise ConfigError("a declared column has no type", locator=path)
    from sluicegate.adapters.sources.declared import DeclaredSchema

    return DeclaredSchema.of(value).columns
