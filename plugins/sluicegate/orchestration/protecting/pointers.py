"""What the asset events of a run point to: hints for the look-up, never evidence.

Anybody who may post an asset event writes its extra. So it is cut, turned into text and compared,
and nothing in it can admit a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError, VerificationError
from sluicegate.orchestration.assets import source_of, uri_of
from sluicegate.orchestration.protecting.protection import is_protected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.orchestration.settings import Settings

_FIELDS = ("source", "digest", "verdict")
_MAX_CHARS = 512
"""Longest text taken from an event; a digest with its algorithm has 71."""


def pointers_of(context: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return what the newest triggering event of each source points to.

    Returns:
        Source to ``{source, digest, verdict}`` as text; fields may be missing. Empty for a run that
        was started by hand or by time.

    Raises:
        VerificationError: An event points to evidence of another source.
    """
    events = context.get("triggering_asset_events") or {}
    found: dict[str, dict[str, str]] = {}
    for asset in events:
        source = source_of(asset)
        if source is None or not events[asset]:
            continue
        newest = max(events[asset], key=lambda event: event.timestamp)
        found[source] = _pointer(newest.extra or {}, source)
    return found


def _pointer(extra: Mapping[str, Any], source: str) -> dict[str, str]:
    pointer = {field: str(extra[field])[:_MAX_CHARS] for field in _FIELDS if field in extra}
    if pointer.get("source", source) != source:
        raise VerificationError(
            "the asset event points to evidence of another source",
            locator="triggering_asset_events",
            expected=source,
            got=pointer["source"][:64],
            next_step="Find out who posted the event; the audit log names the user.",
        )
    return pointer


def require_same_batch(pointer: Mapping[str, str], admitted: Mapping[str, str]) -> None:
    """Refuse a run that was started for another batch than the one admitted.

    Args:
        pointer: What the asset event points to; may lack any field.
        admitted: ``{source, digest, verdict}`` of the admission.

    Raises:
        VerificationError: Both name a digest, and the two differ.
    """
    if pointer.get("digest", admitted["digest"]) != admitted["digest"]:
        raise VerificationError(
            "the asset event points to another batch than the admitted one",
            locator=admitted["source"],
            expected=admitted["digest"][:21],
            got=pointer["digest"][:21],
            next_step="Find out who posted the event; the audit log names the user.",
        )


def triggering_sources(context: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    """Return the sources of the run's events, for schedules that name no URI.

    Args:
        context: Airflow's task context.
        settings: Which assets are protected.

    Raises:
        ConfigError: A protected asset that stands for no source triggered the run.
    """
    sources = set()
    for asset in context.get("triggering_asset_events") or {}:
        if not is_protected(uri_of(asset), settings):
            continue
        if (source := source_of(asset)) is None:
            raise ConfigError(
                "a protected asset that stands for no source triggered the run",
                locator=uri_of(asset),
                next_step='Declare inlets=[verified_asset("...")].',
            )
        sources.add(source)
    return tuple(sorted(sources))
