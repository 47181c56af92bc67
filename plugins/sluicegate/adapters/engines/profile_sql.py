"""One SQL statement that counts a profile: a scan, grouped once for each column and label.

CASE expressions over the baseline's edges and categories compute the cells, with the same rules as
`sluicegate.profiling.encode`. An edge is written as the shortest decimal that reads back as the
same double, so no value lands in another bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sluicegate.profiling.columns import Column, Kind
from sluicegate.profiling.counts import Profile
from sluicegate.profiling.encode import comparable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluicegate.profiling.layout import Layout


_CELLS, _CONTRIBUTORS, _NEW_LABELS = range(3)


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement and how to read its answer.

    Attributes:
        layout: Fixed cells.
        columns: Columns counted, in the order of the statement.
        sql: The statement. Its answer has rows of part, label cell, column, cell, name, count.
    """

    layout: Layout
    columns: tuple[Column, ...]
    sql: str

    def profile(self, rows: Iterable[tuple[Any, ...]]) -> Profile:
        """Return the profile that the engine's answer to `sql` adds up to."""
        found = Profile.empty(self.layout)
        for part, label, column, cell, name, count in rows:
            if part == _NEW_LABELS:
                found.new_labels[name] = int(count)
            elif part == _CONTRIBUTORS:
                slots = np.zeros(self.layout.n_slots, dtype=np.int64)
                slots[self._slot(label)] = count
                found.contributors[name] = found.contributors.get(name, 0) + slots
            elif column < 0:
                found.n_rows += int(count)
            else:
                found.cells[self.columns[column].name][self._slot(label), cell] += int(count)
        return found

    def _slot(self, label: int) -> int:
        if self.layout.label not in self.columns:
            return 0
        return int(self.layout.slot(np.array([label], dtype=np.uint8))[0])


def plan(layout: Layout, schema: pa.Schema, source: str, *, collation: str = "") -> Plan | None:
    """Return how to count a table by SQL, or None if SQL cannot count it exactly.

    Args:
        layout: Fixed cells.
        schema: Arrow types of the table's columns.
        source: SQL of what to select from: a table's name, or a query in brackets with its name.
        collation: SQL after an expression that makes the engine compare strings byte by byte;
            empty if it does so anyway.
    """
    columns = tuple(c for c in layout.columns if _counted(c, schema))
    contributor = layout.schema.contributor or ""
    present = len(schema.get_all_field_indices(contributor)) == 1
    exact = all(_exact(c, schema.field(c.name).type) for c in columns)
    if layout.projections or not exact:
        return None
    if present and not _spelled(schema.field(contributor).type):
        return None
    label = layout.label if layout.label in columns else None
    inner = [
        f"{_cell(label, collation)} AS l" if label else "0 AS l",
        *(f"{_cell(c, collation)} AS c{i}" for i, c in enumerate(columns)),
        f"{_text(contributor, collation)} AS w" if present else "NULL AS w",
        f"{_text(label.name, collation)} AS t" if label and label.listed else "NULL AS t",
    ]
    names = [f"c{i}" for i in range(len(columns))]
    sets = ", ".join(["(l)", *(f"(l, {name})" for name in names)])
    which = "".join(f" WHEN {name} IS NOT NULL THEN {i}" for i, name in enumerate(names))
    # S608: column names are quoted; all else is numbers and quoted constants.
    cells = (
        f"SELECT {_CELLS}, l, CASE{which} WHEN 1 = 1 THEN -1 END, "  # noqa: S608
        f"COALESCE({', '.join([*names, '0'])}), CAST(NULL AS VARCHAR), n FROM "
        f"(SELECT {', '.join(['l', *names])}, count(*) AS n FROM a "
        f"GROUP BY GROUPING SETS ({sets})) AS g"
    )
    parts = [cells]
    if present:
        parts.append(f"SELECT {_CONTRIBUTORS}, l, 0, 0, w, count(*) FROM a GROUP BY l, w")  # noqa: S608
    if label and label.listed:
        new = len(label.categories)
        parts.append(
            f"SELECT {_NEW_LABELS}, 0, 0, 0, t, count(*) FROM a WHERE l = {new} GROUP BY t"  # noqa: S608
        )
    sql = f"WITH a AS (SELECT {', '.join(inner)} FROM {source}) " + " UNION ALL ".join(parts)  # noqa: S608
    return Plan(layout, columns, sql)


def _counted(column: Column, schema: pa.Schema) -> bool:
    at = schema.get_all_field_indices(column.name)
    return len(at) == 1 and comparable(column, schema.field(at[0]).type)


def _exact(column: Column, kind: pa.DataType) -> bool:
    if column.kind is Kind.NUMERIC:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
    if column.kind is Kind.TEXT or column.listed:
        return _spelled(kind)
    return True


def _spelled(kind: pa.DataType) -> bool:
    """Return whether SQL writes values as text just as the profile does."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def _cell(column: Column, collation: str) -> str:
    name = _name(column.name)
    if column.binned:
        value = f"char_length({_text(column.name, '')})" if column.kind is Kind.TEXT else name
        found = _bins(column, f"CAST({value} AS FLOAT8)")
    elif column.listed:
        cases = "".join(f" WHEN {_quoted(c)} THEN {i}" for i, c in enumerate(column.categories))
        other = len(column.categories)
        text = _text(column.name, collation)
        found = f"CASE {text}{cases} ELSE {other} END" if cases else str(other)
    else:
        found = "0"
    return f"CASE WHEN {name} IS NULL THEN {column.null_cell} ELSE {found} END"


def _bins(column: Column, value: str) -> str:
    odd = ", ".join(f"CAST('{text}' AS FLOAT8)" for text in ("NaN", "Infinity", "-Infinity"))
    inside = _tree(column.edges, 0, value) if column.edges else "1"
    not_finite = column.n_cells - 2
    return f"CASE WHEN {value} IN ({odd}) THEN {not_finite} ELSE {inside} END"


def _tree(edges: Sequence[float], below: int, value: str) -> str:
    """Return a binary search in SQL: how many edges are at or below the value."""
    if not edges:
        return str(below)
    middle = len(edges) // 2
    edge = f"CAST('{edges[middle]!r}' AS FLOAT8)"
    left = _tree(edges[:middle], below, value)
    right = _tree(edges[middle + 1 :], below + middle + 1, value)
    return f"CASE WHEN {value} < {edge} THEN {left} ELSE {right} END"


def _text(column: str, collation: str) -> str:
    return (
        f"(CAST({_name(column)} AS VARCHAR) {collation})"
        if collation
        else (f"CAST({_name(column)} AS VARCHAR)")
    )


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


__all__ = ["Plan", "plan"]
