"""What a task declares to read, in every form in which Airflow lets an author write it.

It looks at attributes, as `protection` does. Lineage of other systems passes through unharmed: only
what Airflow takes for an asset counts, and a text that is written like one of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sluicegate.errors import ConfigError

_MAX_DEPTH: Final = 64
"""Deepest nesting of conditions and lists. Deeper is an error: then the guard refuses the task."""

_MAX_ITEMS: Final = 100_000
"""Most items that are read: an iterator may have no end, and a DAG file must parse."""

_TEXTS: Final = ("uri", "url", "name")
"""Attributes in which assets, references and lineage entities carry what they stand for."""

_ASSET_MODULES: Final = (
    "airflow.sdk.definitions.asset",
    "airflow.serialization.definitions.assets",
)

_LISTS: Final = (list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Declared:
    """The leaves of inlets or of a schedule.

    Attributes:
        texts: URIs and names, as written.
        references: Airflow's references that carry no URI: an alias, or an asset's name.
    """

    texts: tuple[str, ...]
    references: tuple[Any, ...]


def declared(value: Any) -> Declared:
    """Return what inlets, or the asset condition of a schedule, declare.

    Args:
        value: Anything an author may pass: an asset, a condition of assets, a text, a list.

    Raises:
        ConfigError: The value is nested too deep, or reading a part of it would use that part up.

    Cost: linear in the leaves.
    """
    leaves = list(_leaves(_whole(value), 0))
    references = tuple(leaf for leaf in leaves if _is_reference(leaf))
    return Declared(tuple(text for leaf in leaves for text in _texts(leaf)), references)


def listed(items: Iterable[Any]) -> list[Any]:
    """Return items with each iterator read into them.

    Raises:
        ConfigError: An iterator yields too many items.
    """
    read: list[Any] = []
    for item in items:
        read += islice(item, _MAX_ITEMS + 1) if isinstance(item, Iterator) else (item,)
        if len(read) > _MAX_ITEMS:
            raise ConfigError("too many inlets", expected=f"at most {_MAX_ITEMS}")
    return read


def _whole(value: Any) -> Any:
    """Join a list of letters: Airflow 3.3 makes one of a text like ``inlets="sluicegate://x"``."""
    if isinstance(value, _LISTS) and len(value) > 1:
        items = list(value)
        if all(isinstance(item, str) and len(item) == 1 for item in items):
            return "".join(items)
    return value


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    if depth > _MAX_DEPTH:
        raise ConfigError("the declared assets are nested too deep")
    if value is None:
        return
    if isinstance(value, Iterator):
        raise ConfigError(
            "an iterator inside the inlets cannot be read without using it up",
            got=type(value).__name__,
            next_step="Make a list of it.",
        )
    parts = value if isinstance(value, _LISTS) else getattr(value, "objects", None)
    if isinstance(value, Mapping):
        parts = [inner] if (inner := value.get("__var") or value.get("objects")) else None
    if parts is None or not isinstance(parts, (*_LISTS, Mapping)):
        yield value
        return
    for part in parts:
        yield from _leaves(part, depth + 1)


def _texts(leaf: Any) -> Iterator[str]:
    if isinstance(leaf, str):
        yield leaf
        return
    found = [text for name in _TEXTS if isinstance(text := _get(leaf, name), str) and text]
    if not found and isinstance(leaf, os.PathLike):
        found = [str(leaf)]
    if not found and type(leaf).__module__.startswith(_ASSET_MODULES):
        raise ConfigError(
            "an asset of a kind that the guard does not know",
            got=type(leaf).__name__,
            next_step='Declare inlets=[verified_asset("...")].',
        )
    yield from found


def _is_reference(leaf: Any) -> bool:
    """Return whether only Airflow can say what a leaf stands for: it defines the class."""
    is_airflows = any(cls.__module__.startswith(_ASSET_MODULES) for cls in type(leaf).__mro__)
    return is_airflows and _has(leaf, "name") and not _has(leaf, "uri")


def _has(leaf: Any, name: str) -> bool:
    return isinstance(_get(leaf, name), str)


def _get(leaf: Any, name: str) -> Any:
    return leaf.get(name) if isinstance(leaf, Mapping) else getattr(leaf, name, None)
