"""What an undeclared CSV file evidently is instead: a reason to refuse it, never to read it so.

Each refusal says what was seen and what to declare. Whoever declares the very default that was
doubted (``delimiter: ","``) is believed.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from typing import TYPE_CHECKING, Final, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.errors import UnreadableData

if TYPE_CHECKING:
    from sluicegate.profiling.csv_dialect import CsvDialect

_OTHERS: Final = {";": "semicolon", "\t": "tab", "|": "bar"}
_LOOKED_AT: Final = 20  # lines
_FOR_EXCEL: Final = re.compile(r"\"?sep=.\"?,*\r?\n", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\s*-?\d+(\.\d+)?\s*")
_DATE: Final = re.compile(r"\s*\d{4}-\d{2}-\d{2}([ T].*)?")
_DECIMAL_COMMA: Final = r"^-?[0-9]+,[0-9]+$"
_GROUPED: Final = r"^-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$"
_PLAIN: Final = r"^-?[0-9]+(\.[0-9]+)?$"
_ANY_STYLE: Final = r"^-?[0-9][0-9.,]*$"
_LONG: Final = r"^-?[0-9]{16,}$"
_EXACT: Final = 2.0**53


def refuse_other_dialect(head: bytes, dialect: CsvDialect, where: str) -> None:
    """Return if the begin of a text goes with what is declared, or with the defaults.

    Args:
        head: UTF-8, cut anywhere.
        dialect: What is declared.
        where: Name of the file.

    Raises:
        UnreadableData: Its lines are evidently cut by another delimiter, or it has no header, or
            a line before it.
    """
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    if _FOR_EXCEL.match(text):
        raise UnreadableData(
            "the first line is no header but tells Excel the delimiter (sep=)",
            locator=where,
            expected="a header or a row",
            next_step="Take that line out; another delimiter than a comma is declared in section "
            "csv (docs/sources.md, CSV).",
        )
    if dialect.delimiter is not None and dialect.header is not None:
        return
    lines = _lines(text, dialect.delimiter or ",", dialect.quote)
    if dialect.delimiter is None:
        _refuse_delimiter(text, lines, dialect.quote, where)
    if dialect.header is None:
        _refuse_headless(lines, where)


def refuse_other_numbers(
    name: str, texts: pa.ChunkedArray, dialect: CsvDialect, where: str
) -> None:
    """Return if a column that was read as text does not consist of numbers of another style.

    Args:
        name: Of the column.
        texts: Its values; null where missing.
        dialect: What is declared; whoever declares a style is not doubted.
        where: Name of the file.

    Raises:
        UnreadableData: All its values have a decimal comma, or digits in groups.
    """
    if dialect.thousands or dialect.decimal != ".":
        return
    present = texts.drop_null()
    # Most texts are none in their first value already.
    if not len(present) or not _all(pc.match_substring_regex(present.slice(0, 1), _ANY_STYLE)):
        return
    if _all(pc.match_substring_regex(present, _DECIMAL_COMMA)):
        _refuse(where, "numbers have decimal commas", 'decimal: ","', name)
    grouped = pc.match_substring_regex(present, _GROUPED)
    if pc.any(grouped).as_py() and _all(pc.or_(grouped, pc.match_substring_regex(present, _PLAIN))):
        _refuse(where, "numbers have digits in groups", 'thousands: ","', name)


def may_be_long(numbers: pa.ChunkedArray) -> bool:
    """Return whether a column of floats may have been integers of more digits than it holds."""
    if not pa.types.is_floating(numbers.type):
        return False
    found = pc.min_max(numbers)
    low, high = found["min"].as_py(), found["max"].as_py()
    return low is not None and max(-low, high) > _EXACT


def refuse_long(name: str, texts: pa.ChunkedArray, where: str) -> None:
    """Return if no text of a column of floats is an integer of 16 digits or more.

    Args:
        name: Of the column.
        texts: Its cells as they are written.
        where: Name of the file.

    Raises:
        UnreadableData: One is: as a float it would become its neighbour.
    """
    if pc.any(pc.match_substring_regex(texts.drop_null(), _LONG)).as_py():
        _refuse(
            where,
            "whole numbers have more digits than a double holds",
            f'columns: {{{name}: string}}, or "decimal(38,0)"',
            name,
        )


def _refuse_delimiter(text: str, lines: list[list[str]], quote: str, where: str) -> None:
    by_comma = _widths(lines)
    if len(by_comma) == 1 and max(by_comma) > 1:
        return
    for mark, name in _OTHERS.items():
        found = _widths(_lines(text, mark, quote))
        if len(found) == 1 and max(found) > 1:
            _refuse(
                where, f"the delimiter is evidently no comma but a {name}", f"delimiter: {mark!a}"
            )


def _refuse_headless(lines: list[list[str]], where: str) -> None:
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        return
    pairs = list(zip(*lines[:2], strict=True))
    dates = [name for name, below in pairs if _DATE.fullmatch(name) and _DATE.fullmatch(below)]
    numbers = [
        name for name, below in pairs if _NUMBER.fullmatch(name) and _NUMBER.fullmatch(below)
    ]
    # Years, classes and quantiles name columns too, and stand in their order.
    if dates or not (_rising(list(map(float, numbers))) or _rising(numbers)):
        _refuse(
            where, "the first line is evidently a row and no header", "header: false, columns: …"
        )


def _rising(values: list[float] | list[str]) -> bool:
    return all(a < b for a, b in itertools.pairwise(values))  # type: ignore[operator]


def _lines(text: str, delimiter: str, quote: str) -> list[list[str]]:
    """Return the first lines as cells, without one that the cut may have shortened."""
    whole = io.StringIO(text, newline="")
    reader = (
        csv.reader(whole, delimiter=delimiter, quotechar=quote)
        if quote
        else csv.reader(whole, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    )
    try:
        found = [line for line in itertools.islice(reader, _LOOKED_AT + 1) if line]
    except csv.Error:
        return []
    return (
        found[:_LOOKED_AT]
        if len(found) > _LOOKED_AT or text.endswith("\n")
        else found[:-1] or found
    )


def _widths(lines: list[list[str]]) -> set[int]:
    return {len(line) for line in lines}


def _all(found: pa.ChunkedArray) -> bool:
    return bool(pc.all(found).as_py())


def _refuse(where: str, what: str, declare: str, column: str = "") -> NoReturn:
    raise UnreadableData(
        what,
        locator=f"{where}: column {column!a}" if column else where,
        next_step=f"Declare it in section csv: {{{declare}}} (docs/sources.md, CSV); "
        "what the file has already is declared the same way.",
    )
