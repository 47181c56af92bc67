"""What counts as the same name, for everything that asks whether a task is protected.

The guard and the audit ask here, so that neither can be passed by a spelling the other knows.
A person who reads a tag on a page sees no case, no surrounding space, no width and no invisible
character; nor does the comparison.
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
"""What is written like our scheme, slashes or not, was meant for us."""

_INVISIBLE: Final = frozenset({"Cf", "Cc"})
"""Unicode categories that a page does not show: zero-width spaces, marks of direction."""


def folded(text: str) -> str:
    """Return what two spellings of one name have in common.

    Args:
        text: A tag, a URI, or the administrator's setting.

    Returns:
        Compatibility forms, case, invisible characters and spare space taken away.
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

    ``DAG(tags="training")`` gives Airflow 3.3 a tag for each letter; that is the tag too.

    Args:
        tags: Tags of a DAG.
        protected: Tags of the setting.
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
    """Return whether a URI has a protected prefix, or was meant to have ours."""
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
