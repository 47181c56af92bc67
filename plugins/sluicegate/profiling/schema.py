"""Which columns of a batch carry identity, label, contributor, time, text, embeddings, counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sluicegate.errors import ConfigError
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect
from sluicegate.profiling.label_kind import LabelKind

_SINGLE = ("id", "label", "contributor", "timestamp")
_MANY = ("text", "embedding", "counter", "ignore")
_ADDED = ("counter", "ignore")  # since the format was fixed: written only if they name a column
_CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSchema:
    """Roles of columns. A column that is not named is an ordinary feature of an inferred kind.

    Attributes:
        id: Column that identifies a row across deliveries.
        label: Column the training task predicts.
        contributor: Column that says who delivered the row.
        timestamp: Column that orders rows in time.
        text: Columns with free text.
        embedding: Columns with fixed-length lists of numbers.
        counter: Columns that move by nature: judged by their course, never as a feature.
        ignore: Columns that nobody judges; every verdict says so.
        label_kind: What the label is; None where the values say it (`label_role`).
        classes: Classes that the label may have, in order, even if no row of the baseline has one
            of them; none where the baseline's rows say it.
        csv: How CSV files of the source are written, and types of their columns.
    """

    id: str | None = None
    label: str | None = None
    contributor: str | None = None
    timestamp: str | None = None
    text: tuple[str, ...] = ()
    embedding: tuple[str, ...] = ()
    counter: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    label_kind: LabelKind | None = None
    classes: tuple[str, ...] = ()
    csv: CsvDialect = UNDECLARED

    @classmethod
    def from_mapping(cls, mapping: Any, *, locator: str = "schema") -> Self:
        """Read the parsed SCHEMA.yaml.

        Args:
            mapping: What the YAML parser returned; None, an empty file, means no roles.
            locator: Path to name in errors.

        Raises:
            ConfigError: A key is unknown, a value is of another type, or one column has two roles.
        """
        if mapping is None:
            return cls()
        if not isinstance(mapping, Mapping):
            raise ConfigError(
                "schema is not a mapping", locator=locator, got=type(mapping).__name__
            )
        unknown = sorted(str(key) for key in mapping if key not in (*_SINGLE, *_MANY, _CSV))
        if unknown:
            raise ConfigError(
                "unknown key in schema",
                locator=locator,
                expected=", ".join((*_SINGLE, *_MANY, _CSV)),
                got=", ".join(unknown),
                next_step="Remove it; columns without a role need no entry.",
            )
        label, kind, classes = _label(mapping.get("label"), locator)
        mapping = {**mapping, "label": label}
        single: dict[str, Any] = {k: _name(mapping.get(k), k, locator) for k in _SINGLE}
        many: dict[str, Any] = {k: _names(mapping.get(k), k, locator) for k in _MANY}
        _refuse_two_roles(
            [n for n in single.values() if n] + [n for names in many.values() for n in names],
            locator,
        )
        section = mapping.get(_CSV)
        csv = UNDECLARED if section is None else CsvDialect.from_mapping(section, locator=locator)
        return cls(**single, **many, label_kind=kind, classes=classes, csv=csv)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; absent roles stay visible as null or empty lists."""
        declared, kind = self.csv.to_json(), self.label_kind
        label: dict[str, Any] = {"column": self.label, "kind": kind.value} if kind else {}
        label |= {"classes": list(self.classes)} if self.classes else {}
        return {
            **({_CSV: declared} if declared else {}),
            **{key: getattr(self, key) for key in _SINGLE},
            **({"label": label} if label else {}),
            **{
                key: list(getattr(self, key))
                for key in _MANY
                if key not in _ADDED or getattr(self, key)
            },
        }

    def role(self, column: str) -> str:
        """Return the role of a column, ``feature`` if it has none."""
        for key in _SINGLE:
            if getattr(self, key) == column:
                return key
        return next((key for key in _MANY if column in getattr(self, key)), "feature")


def _label(value: Any, locator: str) -> tuple[Any, LabelKind | None, tuple[str, ...]]:
    """Return name, kind and classes of the label.

    It is a name alone, or `{column: NAME, kind: KIND}`, or `{column: NAME, classes: [NAME, ...]}`.
    """
    if not isinstance(value, Mapping):
        return value, None, ()
    kinds, named = [kind.value for kind in LabelKind], value.get("classes")
    kind = value.get("kind", LabelKind.CLASS.value if named else None)
    known = {"column", "kind", "classes"}.issuperset(value) and value.get("column")
    listed = "classes" not in value or (named and kind == LabelKind.CLASS)
    if not known or kind not in kinds or not listed:
        raise ConfigError(
            "schema key label is malformed",
            locator=locator,
            expected=f"a column name, or column and kind, one of {', '.join(kinds)}, or column and "
            "classes",
            got=", ".join(sorted(str(key) for key in value)) or "nothing",
            next_step="Write `label: {column: NAME, kind: number}`, or "
            "`label: {column: NAME, classes: [yes, no]}`.",
        )
    return value["column"], LabelKind(kind), _classes(named, locator)


def _classes(value: Any, locator: str) -> tuple[str, ...]:
    """Return classes as they are counted: as text."""
    if value is None:
        return ()
    listed = isinstance(value, list | tuple)
    if not listed or not all(isinstance(name, str | int) and name != "" for name in value):
        raise ConfigError(
            "classes of the label are no list of names or whole numbers",
            locator=locator,
            next_step="Write each as it stands in the column, as text in quotes if it is text.",
        )
    names = [str(name).lower() if isinstance(name, bool) else str(name) for name in value]
    return tuple(sorted(set(names)))


def _name(value: Any, key: str, locator: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ConfigError(
            f"schema key {key} is not a column name", locator=locator, got=type(value).__name__
        )
    return value


def _names(value: Any, key: str, locator: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise ConfigError(
            f"schema key {key} is not a list", locator=locator, got=type(value).__name__
        )
    return tuple(str(_name(item, key, locator) or "") for item in value)


def _refuse_two_roles(names: list[str], locator: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError("column has two roles", locator=locator, got=", ".join(twice))
