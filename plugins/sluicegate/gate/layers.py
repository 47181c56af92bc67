"""Layers of a policy: organisation, project, source. Each may only tighten the one below.

A layer names only what it changes. Mappings are merged key by key; any other value is replaced.
The result is a whole policy. It is refused if it lets anything pass that the layer below stops.
The audit compares two verdicts in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError
from sluicegate.gate.weakening import weakened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.gate.policy import Policy


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lower layer with what the upper one changes.

    Args:
        below: Plain value of the lower layer.
        above: Plain value of the upper layer; it wins.

    Example:
        >>> merge({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}})
        {'a': 1, 'b': {'c': 4, 'd': 3}}
    """
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[key] = merge(under, value) if both and under is not None else value
    return merged


def require_tighter(below: Policy, above: Policy, *, locator: str) -> None:
    """Return if the upper layer lets nothing pass that the lower one stops, and shows no more.

    Args:
        below: Policy of the lower layer.
        above: Policy of both layers together, from `merge`.
        locator: Where the upper layer is, for messages.

    Raises:
        ConfigError: It is weaker, or shows names; the message says in what.
    """
    if clauses := (*weakened(below, above), *_revealed(below, above)):
        more = f" (and {len(clauses) - 3} more)" if len(clauses) > 3 else ""
        raise ConfigError(
            "a policy may only tighten the one below it",
            locator=locator,
            expected="nothing weaker",
            got="; ".join(clauses[:3]) + more,
            next_step="Change the lower layer, whose owner answers for it.",
        )


def _revealed(below: Policy, above: Policy) -> Iterator[str]:
    """Yield each place where names or rows that the lower layer hides are shown.

    This is no weakening, because it lets no batch pass. So an audit does not report it.
    """
    for source in ("", *sorted(below.sources.keys() | above.sources.keys())):
        under, over = below.for_source(source), above.for_source(source)
        if under.naming.hidden and not over.naming.hidden:
            yield f"{f'source {source}: ' if source else ''}contributor_names hidden -> shown"
        if over.worst_rows is not None and over.worst_rows.shows_more_than(under.worst_rows):
            yield f"{f'source {source}: ' if source else ''}worst_rows shows more"
