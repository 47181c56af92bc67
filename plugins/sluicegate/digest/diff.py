"""What differs between two manifests, in words that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from sluicegate.digest.manifest import Manifest

_MAX_NAMED = 10  # names in one message; the fields hold all


@dataclass(frozen=True, slots=True)
class ManifestDiff:
    """Difference from an old manifest to a new one.

    Attributes:
        added: Paths that only the new one has.
        removed: Paths that only the old one has.
        changed: Paths in both with another content; two files that swapped names are both here.
        renamed: Pairs (old path, new path) whose content is the same.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.renamed)

    def __str__(self) -> str:
        parts = [
            _named("changed", [ascii(path) for path in self.changed]),
            _named("added", [ascii(path) for path in self.added]),
            _named("removed", [ascii(path) for path in self.removed]),
            _named("renamed", [f"{old!a} to {new!a}" for old, new in self.renamed]),
        ]
        return "; ".join(part for part in parts if part) or "no difference"


def diff_manifests(old: Manifest, new: Manifest) -> ManifestDiff:
    """Compare two manifests.

    Args:
        old: Manifest of what was sealed.
        new: Manifest of what is there now.

    Returns:
        The difference; false if there is none.

    Raises:
        ConfigError: The manifests are of different algorithms.

    Cost: linear in the number of files.
    """
    if old.algorithm != new.algorithm:
        raise ConfigError(
            "manifests of different algorithms cannot be compared",
            expected=old.algorithm,
            got=new.algorithm,
            next_step="Seal the newer data with the algorithm of the older seal.",
        )
    before = {path: value for path, value, _ in old.files}
    after = {path: value for path, value, _ in new.files}
    removed = {path: value for path, value in before.items() if path not in after}
    added = {path: value for path, value in after.items() if path not in before}
    renamed = _match_contents(removed, added)
    return ManifestDiff(
        added=tuple(sorted(added.keys() - {path for _, path in renamed})),
        removed=tuple(sorted(removed.keys() - {path for path, _ in renamed})),
        changed=tuple(
            path for path, value in before.items() if path in after and after[path] != value
        ),
        renamed=renamed,
    )


def _match_contents(removed: dict[str, str], added: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Pair removed with added paths of equal content, each path once, in path order."""
    by_content: dict[str, list[str]] = {}
    for path in sorted(added, reverse=True):
        by_content.setdefault(added[path], []).append(path)
    pairs = []
    for path in sorted(removed):
        candidates = by_content.get(removed[path])
        if candidates:
            pairs.append((path, candidates.pop()))
    return tuple(pairs)


def _named(label: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{label} {', '.join(names[:_MAX_NAMED])}{more}"
