"""How a CSV file is written, as somebody declared it: section ``csv`` of a schema or locator.

Undeclared is comma, UTF-8, a header line, a point in decimals. What a file looks like only ever
leads to a refusal that names what to declare: a guess that is right today reads another table
tomorrow.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from sluicegate.errors import ConfigError

UTF_8: Final = "utf-8"
_SEPARATORS: Final = re.compile(r"""[^\w\s"'.\-+]|\t| """)
_ENCODINGS: Final = re.compile(
    r"ascii|utf-(8(-sig)?|(16|32)(-[lb]e)?)|iso8859-\d+|cp\d+|mac-\w+|koi8-[rut]"
    r"|shift_jis\w*|euc_\w+|gb\d+|gbk|big5\w*"
)
"""Codecs of text. Others of Python decode no text, or run over what it spells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvDialect:
    """How the text of a CSV file becomes cells.

    Attributes:
        delimiter: Between cells, one character; None for an undeclared comma.
        quote: Around cells, one character; "" for none. Inside a quoted cell it is doubled.
        decimal: Decimal point or comma of numbers.
        thousands: Between groups of three digits of numbers; "" for none.
        encoding: Of the text, a name that Python knows.
        header: Whether the first line names the columns; None for an undeclared yes.
        missing: Words that stand for a missing value, besides the empty cell.
        columns: Declared types by name, in the order of the file; may be some of them only
            where the file has a header.
    """

    delimiter: str | None = None
    quote: str = '"'
    decimal: str = "."
    thousands: str = ""
    encoding: str = UTF_8
    header: bool | None = None
    missing: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the declared columns."""
        return [name for name, _ in self.columns]

    @classmethod
    def from_mapping(cls, mapping: Any, *, locator: str) -> Self:
        """Read a section ``csv``.

        Args:
            mapping: What a YAML or JSON parser returned.
            locator: For errors.

        Raises:
            ConfigError: Unknown keys, wrong types, or settings that contradict each other.
        """
        where = f"{locator}: csv"
        if not isinstance(mapping, Mapping):
            raise ConfigError("is no mapping", locator=where, got=type(mapping).__name__)
        if unknown := sorted(str(key) for key in mapping if key not in _KEYS):
            raise ConfigError(
                "unknown key of a CSV dialect",
                locator=where,
                expected=", ".join(_KEYS),
                got=", ".join(unknown)[:200],
            )
        try:
            made = cls(**{key: _KEYS[key](value) for key, value in mapping.items()})
        except (TypeError, ValueError) as error:
            raise ConfigError("a CSV dialect is not valid", locator=where, got=str(error)) from None
        made._require_sense(where)
        return made

    def to_json(self) -> dict[str, Any]:
        """Return what is declared, as plain JSON types; columns are pairs and keep their order."""
        plain = UNDECLARED
        found = {key: getattr(self, key) for key in _KEYS}
        shown = {key: value for key, value in found.items() if value != getattr(plain, key)}
        if self.missing:
            shown["missing"] = list(self.missing)
        if self.columns:
            shown["columns"] = [list(pair) for pair in self.columns]
        return shown

    def _require_sense(self, where: str) -> None:
        marks = [self.delimiter or ",", self.quote, self.thousands]
        if self.decimal not in {".", ","} or self.thousands == self.decimal:
            raise ConfigError("decimal is '.' or ',' and no thousands mark", locator=where)
        if len({mark for mark in marks if mark}) != len([mark for mark in marks if mark]):
            raise ConfigError("delimiter, quote and thousands are one character", locator=where)
        if self.decimal == (self.delimiter or ","):
            raise ConfigError("decimal and delimiter are one character", locator=where)
        if self.header is False and not self.columns:
            raise ConfigError(
                "a file without header needs columns",
                locator=where,
                expected="columns: name and type of every column, in order",
            )


UNDECLARED: Final = CsvDialect()
"""Comma, UTF-8, a header line, a decimal point."""


def _delimiter(value: Any) -> str:
    if not isinstance(value, str) or not _SEPARATORS.fullmatch(value):
        raise ValueError("delimiter: one character that is no letter, digit, quote or point")
    return value


def _quote(value: Any) -> str:
    if value not in {"", '"', "'"}:
        raise ValueError("quote: \" or ' or nothing")
    return str(value)


def _mark(value: Any) -> str:
    if value not in {"", ".", ",", "'", " ", "_", "\u00a0", "\u202f", "\u2019"}:
        raise ValueError("decimal or thousands: no such mark")
    return str(value)


def _encoding(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("encoding: no text")
    try:
        name = codecs.lookup(value).name.replace("_le", "-le").replace("_be", "-be")
    except LookupError:
        # Python's text quotes what was written, and that may be a pasted secret.
        raise ValueError("encoding: no encoding that Python knows") from None
    if not _ENCODINGS.fullmatch(name):
        raise ValueError("encoding: no encoding of text")
    return name


def _header(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("header: true or false")
    return value


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise TypeError("missing: a list of texts")
    return tuple(value)


def _columns(value: Any) -> tuple[tuple[str, str], ...]:
    """Read a mapping, as people write it, or pairs, as canonical JSON keeps their order."""
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        raise TypeError("columns: a mapping of names to types")
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        raise TypeError("columns: a name or type is no text")
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("columns: a name stands twice")
    return tuple((name, kind) for name, kind in pairs)


_KEYS: Final[dict[str, Any]] = {
    "delimiter": _delimiter,
    "quote": _quote,
    "decimal": _mark,
    "thousands": _mark,
    "encoding": _encoding,
    "header": _header,
    "missing": _words,
    "columns": _columns,
}
