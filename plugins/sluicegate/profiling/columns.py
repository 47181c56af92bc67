"""Kinds of columns and their cells: the fixed buckets that a baseline counts into.

A cell index is one byte, so a column has at most 256 cells:

* numeric, and text by its length in characters: 0 is below the baseline's minimum, 1..B are
  bins of equal mass, B+1 is above its maximum, B+2 is NaN or infinite, B+3 is null;
* categorical and boolean: 0..K-1 are known categories, K is another or a new one, K+1 is null;
* every other kind: 0 is present, 1 is null.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.profiling.buffers import floats, is_bytes, plain, strings

MAX_BINS = 64
MAX_CATEGORIES = 254
_HUGE = 1e300
_MAX_DISTINCT = 1024  # more distinct strings are names or text, not categories


class Kind(StrEnum):
    """How a column's values are counted.

    EMPTY is a column that had no value, so that nothing is known of the values that it may get.
    """

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"
    EMBEDDING = "embedding"
    OPAQUE = "opaque"
    NESTED = "nested"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the baseline with its fixed cells.

    Attributes:
        name: Column name.
        kind: How its values are counted.
        source: Kind of the Arrow type; differs from ``kind`` for integer labels, text and ids.
        edges: Increasing lower bounds of bins 1..B and the first value above the maximum,
            length B+1; empty if the baseline had no finite value or the kind has no bins.
        categories: Known categories in code-point order.
        closed: True if the categories are all that the baseline had, so that "other" means new.
    """

    name: str
    kind: Kind
    source: Kind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    closed: bool = True

    @property
    def binned(self) -> bool:
        """Whether cells are ordered bins."""
        return self.kind in (Kind.NUMERIC, Kind.TEXT)

    @property
    def listed(self) -> bool:
        """Whether cells are categories."""
        return self.kind in (Kind.CATEGORICAL, Kind.BOOLEAN)

    @property
    def n_cells(self) -> int:
        """Number of cells, at most 256."""
        if self.binned:
            return max(len(self.edges) - 1, 0) + 4
        return len(self.categories) + 2 if self.listed else 2

    @property
    def null_cell(self) -> int:
        """Index of the null cell, always the last."""
        return self.n_cells - 1

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "source": self.source.value,
            "edges": list(self.edges),
            "categories": list(self.categories),
            "closed": self.closed,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another type.
            ValueError: Edges or categories are malformed or too many, or a kind is unknown.
        """
        edges = tuple(float(edge) for edge in value["edges"])
        categories = tuple(value["categories"])
        if any(a >= b for a, b in itertools.pairwise(edges)) or len(edges) > MAX_BINS + 1:
            raise ValueError(f"edges of column {value['name']!r} do not increase or are too many")
        if len(categories) > MAX_CATEGORIES or not all(isinstance(c, str) for c in categories):
            raise ValueError(f"categories of column {value['name']!r} are malformed")
        return cls(
            name=str(value["name"]),
            kind=Kind(value["kind"]),
            source=Kind(value["source"]),
            edges=edges,
            categories=categories,
            closed=bool(value["closed"]),
        )


_KINDS = (
    (pa.types.is_boolean, Kind.BOOLEAN),
    (pa.types.is_integer, Kind.NUMERIC),
    (pa.types.is_floating, Kind.NUMERIC),
    (pa.types.is_decimal, Kind.NUMERIC),
    (pa.types.is_string, Kind.CATEGORICAL),
    (pa.types.is_large_string, Kind.CATEGORICAL),
    (pa.types.is_string_view, Kind.CATEGORICAL),
    (is_bytes, Kind.CATEGORICAL),  # text, as far as it is UTF-8
    (pa.types.is_duration, Kind.NUMERIC),
    (pa.types.is_time, Kind.NUMERIC),
    (pa.types.is_temporal, Kind.DATETIME),
    (pa.types.is_nested, Kind.NESTED),
)


def kind_of(type_: pa.DataType) -> Kind:
    """Return the kind an Arrow type has before its values are seen; strings are CATEGORICAL."""
    if pa.types.is_dictionary(type_):
        return kind_of(type_.value_type)
    if isinstance(type_, pa.BaseExtensionType):
        return kind_of(type_.storage_type)
    return next((kind for is_kind, kind in _KINDS if is_kind(type_)), Kind.OPAQUE)


def infer_column(name: str, values: pa.Array | pa.ChunkedArray, *, role: str = "feature") -> Column:
    """Fix the cells of one column from all its baseline values.

    Args:
        name: Column name.
        values: All baseline values.
        role: Role in the schema, as `BatchSchema.role` names it. "text" and "embedding"
            override what the values suggest; "label" and "contributor" make numbers
            categories, "target" makes numbers five slices.

    Returns:
        The column; of a feature without any value the kind is EMPTY, whatever its type.

    Cost: one sort of the values for numbers, one pass that hashes them for strings.
    """
    array = plain(values)
    source = kind_of(array.type)
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    closed = True
    if len(array) and array.null_count == len(array) and role in ("feature", "text"):
        return Column(name=name, kind=Kind.EMPTY, source=source)
    # Bytes that `plain` left alone are not all UTF-8.
    kind = Kind.OPAQUE if is_bytes(array.type) else _kind(role, source, array)
    if kind is Kind.TEXT:
        edges = equi_mass_edges(_lengths(array))
    elif kind is Kind.NUMERIC:
        edges = equi_mass_edges(_valid_floats(array), 5 if role == "target" else MAX_BINS)
    elif kind is Kind.BOOLEAN:
        categories = ("false", "true")
    elif kind is Kind.CATEGORICAL:
        categories, closed = _categories(array)
    return Column(
        name=name, kind=kind, source=source, edges=edges, categories=categories, closed=closed
    )


def equi_mass_edges(values: np.ndarray, bins: int = MAX_BINS) -> tuple[float, ...]:
    """Return bounds of bins of about equal mass; each of few distinct values gets its own bin.

    Args:
        values: float64, shape (n,); NaN and infinities are ignored.
        bins: Largest number of bins, at least 1.

    Returns:
        Strictly increasing: the minimum, bounds halfway between two values that occur, and one
        just above the maximum; empty without finite values.
    """
    # Beyond 1e300 the next float or a difference may overflow; such values count as "above".
    finite = np.sort(np.clip(values[np.isfinite(values)], -_HUGE, _HUGE))
    if finite.size == 0:
        return ()
    distinct = finite[np.r_[True, finite[1:] != finite[:-1]]]
    chosen = np.arange(distinct.size)
    if distinct.size > bins:
        # Order statistics: a bin never splits equal values, and the same rows 1, 10 or 100 times
        # give the same edges.
        ranks = (np.arange(bins) * finite.size) // bins
        chosen = np.unique(np.searchsorted(distinct, finite[ranks]))
    inner = _halfway(distinct[chosen[1:] - 1], distinct[chosen[1:]])
    top = float(np.nextafter(finite[-1], np.inf))
    return (float(finite[0]), *(float(v) for v in inner), top)


def _halfway(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Return bounds between neighbouring values, so that no value lies on one.

    The smallest noise would move a value that lies on a bound into another cell.
    """
    middle = below / 2.0 + above / 2.0
    return np.where((middle > below) & (middle < above), middle, above)


def _valid_floats(array: pa.Array) -> np.ndarray:
    return floats(array.drop_null() if array.null_count else array)


def _lengths(array: pa.Array) -> np.ndarray:
    return floats(pc.utf8_length(array.drop_null()))


def _categories(array: pa.Array) -> tuple[tuple[str, ...], bool]:
    """Return the most frequent values in code-point order, and whether there are no others."""
    counted = pc.value_counts(strings(array).drop_null())
    pairs = sorted(
        ((int(item["counts"]), str(item["values"])) for item in counted.to_pylist()),
        key=lambda pair: (-pair[0], pair[1]),
    )
    kept = sorted(value for _, value in pairs[:MAX_CATEGORIES])
    return tuple(kept), len(pairs) <= MAX_CATEGORIES


def _kind(role: str, source: Kind, array: pa.Array) -> Kind:
    scalar = source in (Kind.NUMERIC, Kind.BOOLEAN, Kind.CATEGORICAL)
    if role == "embedding" and source is Kind.NESTED:
        return Kind.EMBEDDING
    if role in ("id", "timestamp") or (role == "counter" and source is Kind.CATEGORICAL):
        return source if source is Kind.DATETIME else Kind.OPAQUE
    if role in ("label", "contributor") and scalar:
        return Kind.CATEGORICAL
    if source is Kind.CATEGORICAL:
        return Kind.TEXT if role == "text" else _string_kind(array)
    return source


def _string_kind(array: pa.Array) -> Kind:
    present = array.drop_null()
    distinct = pc.count_distinct(present).as_py()
    if distinct <= min(_MAX_DISTINCT, max(32, len(present) // 2)):
        return Kind.CATEGORICAL
    words = pc.mean(pc.count_substring(present, " ")).as_py() or 0.0
    return Kind.TEXT if words >= 3.0 else Kind.OPAQUE  # prose, not a name or a code
