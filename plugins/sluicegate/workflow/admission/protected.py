"""Which names count as the same, for everything that asks whether a task is protected.

The guard and the audit both ask here, so no spelling can pass one of them and not the other. The
comparison ignores what a person who reads a tag on a page ignores: case, surrounding space, width
and invisible characters.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from sluicegate.errors import ConfigError
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Iterable

ASSET_SCHEME: Final = "sluicegate://"

_SCHEME_NAME: Final = "sluicegate:"
"""A text that begins like our scheme, with slashes or without, is meant for us."""

_INVISIBLE: Final = frozenset({"Cf", "Cc"})
"""Unicode categories that a page does not show: zero-width spaces, marks of direction."""


def folded(text: str) -> str:
    """Return what two spellings of one name have in common.

    Args:
        text: A tag, a URI, or the administrator's setting.

    Returns:
        The text without compatibility forms, case, invisible characters and extra space.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.casefold().split())
    plain = unicodedata.normalize("NFKC", text)
    spaced = "".join(" " if char.isspace() else char for char in plain)
    seen = "".join(char for char in spaced if unicodedata.category(char) not in _INVISIBLE)
    # Folding may undo the compatibility form, so it is made again.
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())


def protected_tag(tags: Iterable[object], protected: Iterable[str]) -> str | None:
    """Return the first tag of a DAG that the administrator protects, as its author wrote it.

    Airflow 3.3 makes a tag of each letter of ``DAG(tags="training")``. That counts as the tag too.

    Args:
        tags: Tags of a DAG.
        protected: Tags that the administrator set.
    """
    wanted = {folded(tag): tag for tag in protected}
    written = sorted(map(str, tags))
    for tag in written:
        if folded(tag) in wanted:
            return tag
    letters = frozenset(written)
    if letters and all(len(tag) == 1 for tag in letters):
        for tag in wanted.values():
            if {folded(letter) for letter in letters} == {folded(letter) for letter in tag}:
                return tag
    return None


def is_protected_uri(uri: str, prefixes: Iterable[str]) -> bool:
    """Return whether a URI has a protected prefix, or is written like one of ours.

    Args:
        uri: URI or name of an asset, in any spelling.
        prefixes: Prefixes that the administrator protects beside our scheme.
    """
    seen = folded(uri)
    return seen.startswith((_SCHEME_NAME, *map(folded, prefixes)))


def source_of_uri(uri: str) -> str | None:
    """Return the source a URI stands for, or None if the URI is not one of ours.

    Raises:
        ConfigError: The URI has our scheme, in whatever spelling, but names no source.
    """
    if not folded(uri).startswith(_SCHEME_NAME):
        return None
    if uri[: len(ASSET_SCHEME)].lower() != ASSET_SCHEME:
        raise ConfigError(
            "not the URI of a source",
            locator=repr(uri[:160]),
            expected=f"{ASSET_SCHEME}NAME",
            next_step='Write verified_asset("NAME").',
        )
    # Airflow normalizes an empty path to "/", so "sluicegate://flights" comes back longer.
    return check_source_name(uri[len(ASSET_SCHEME) :].removesuffix("/"))
