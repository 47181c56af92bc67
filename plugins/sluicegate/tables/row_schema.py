"""Logical classes of Arrow types: what two engines must agree on for a table to be the same.

Width, unit, precision, dictionary encoding and nullability are storage; the class is meaning.
Specified in docs/formats/table-digest.md, section "Columns".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.types as pt

from sluicegate.digest import canonical
from sluicegate.errors import SchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NESTING: Final = 32
"""Deepest nesting of a column's type; recursion must stay bounded."""

_SCALARS: Final[tuple[tuple[str, tuple[Callable[[pa.DataType], bool], ...]], ...]] = (
    ("null", (pt.is_null,)),
    ("bool", (pt.is_boolean,)),
    ("int", (pt.is_integer,)),
    ("float", (pt.is_floating,)),
    ("decimal", (pt.is_decimal,)),
    ("string", (pt.is_string, pt.is_large_string, pt.is_string_view)),
    (
        "binary",
        (pt.is_binary, pt.is_large_binary, pt.is_fixed_size_binary, pt.is_binary_view),
    ),
    ("date", (pt.is_date,)),
    ("time", (pt.is_time,)),
    ("duration", (pt.is_duration,)),
)


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Columns of a table in canonical order.

    Attributes:
        names: Column names, ascending by code point, without repetition.
        classes: Logical class of each column, as JSON: a name, or a list for nested types.
    """

    names: tuple[str, ...]
    classes: tuple[Any, ...]

    @classmethod
    def of(cls, schema: pa.Schema) -> TableSchema:
        """Classify the columns of an Arrow schema.

        Raises:
            SchemaMismatch: A type has no canonical encoding (the message names column and
                type), or a name occurs twice.

        Example:
            >>> TableSchema.of(pa.schema({"b": pa.int8(), "a": pa.large_string()})).to_json()
            [['a', 'string'], ['b', 'int']]
        """
        names = _unique([field.name for field in schema], "table")
        fields = {field.name: field.type for field in schema}
        return cls(names, tuple(logical_class(fields[name], name) for name in names))

    def to_json(self) -> list[list[Any]]:
        """Return pairs of name and class."""
        return [[name, kind] for name, kind in zip(self.names, self.classes, strict=True)]

    @classmethod
    def from_json(cls, value: Any, *, locator: str) -> TableSchema:
        """Read what `to_json` wrote.

        Args:
            value: Parsed JSON.
            locator: What holds it, for errors.

        Raises:
            SchemaMismatch: It is no list of pairs, or names are out of order or repeat.
        """
        match value:
            case [*pairs] if all(
                isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
                for pair in pairs
            ):
                names = tuple(pair[0] for pair in pairs)
                if names == tuple(sorted(set(names))):
                    return cls(names, tuple(pair[1] for pair in pairs))
        raise SchemaMismatch("columns are not a sorted list of names and classes", locator=locator)

    def require_same(self, other: TableSchema, *, locator: str) -> None:
        """Raise unless both have the same columns of the same classes.

        Args:
            other: Columns of the other table; the error calls them "got".
            locator: What is compared, for errors.

        Raises:
            SchemaMismatch: They differ; the message names the first five columns that do.
        """
        if self == other:
            return
        mine = {name: str(kind) for name, kind in self.to_json()}
        theirs = {name: str(kind) for name, kind in other.to_json()}
        differing = sorted(
            name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)
        )
        raise SchemaMismatch(
            "tables have different columns",
            locator=locator,
            expected=", ".join(f"{name} {mine.get(name, 'absent')}" for name in differing[:5]),
            got=", ".join(f"{name} {theirs.get(name, 'absent')}" for name in differing[:5]),
        )

    def to_bytes(self) -> bytes:
        """Return the canonical bytes that the table digest covers."""
        return canonical.dumps(self.to_json())


def logical_class(kind: pa.DataType, column: str, depth: int = 0) -> Any:
    """Return the class of an Arrow type as JSON.

    Args:
        kind: Arrow type.
        column: Its name, for errors.
        depth: Number of types that enclose this one.

    Returns:
        A name; ``["list", class]``; ``["struct", [[name, class], ...]]`` with ascending names;
        or ``["map", key class, value class]``.

    Raises:
        SchemaMismatch: The type has no canonical encoding, is nested deeper than `MAX_NESTING`,
            or a struct has two fields of one name.
    """
    if depth > MAX_NESTING:
        raise SchemaMismatch(
            "column is nested too deeply", locator=column, expected=f"at most {MAX_NESTING} levels"
        )
    for name, tests in _SCALARS:
        if any(test(kind) for test in tests):
            return name
    if pt.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "instant"
    if pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        return logical_class(kind.value_type, column, depth + 1)
    if pt.is_map(kind):
        parts = (kind.key_type, kind.item_type)
        return ["map", *(logical_class(part, column, depth + 1) for part in parts)]
    if _is_list(kind):
        return ["list", logical_class(kind.value_type, column, depth + 1)]
    if pt.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        names = _unique([field.name for field in kind], column)
        return ["struct", [[n, logical_class(fields[n], column, depth + 1)] for n in names]]
    raise SchemaMismatch(
        "type has no canonical encoding",
        locator=f"column {column}",
        got=str(kind),
        next_step="Cast it in the query or leave the column out.",
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pt.is_list(kind)
        or pt.is_large_list(kind)
        or pt.is_fixed_size_list(kind)
        or pt.is_list_view(kind)
        or pt.is_large_list_view(kind)
    )


def _unique(names: list[str], locator: str) -> tuple[str, ...]:
    found = tuple(sorted(set(names)))
    if len(found) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SchemaMismatch("column name occurs twice", locator=locator, got=", ".join(twice[:5]))
    return found
