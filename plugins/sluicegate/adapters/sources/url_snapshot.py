"""Take a snapshot of a URL list: good items into a directory, the rest into quarantine.

The directory gets its name only after the whole list was judged, so nobody can seal half of a
snapshot. After that, it is sealed like any directory.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Final

from sluicegate.adapters.sources.url_fetch import Fetched, FetchLimits, State, fetch_item
from sluicegate.digest.canonical import dumps
from sluicegate.errors import ConfigError, ManifestMismatch, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import httpx

    from sluicegate.adapters.sources.url_list import UrlItem

REPORT_FILE: Final = "report.jsonl"
"""File in the quarantine directory: one line for the outcome of each item, good ones too."""

_PARTIAL: Final = ".partial"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What became of each item of a list.

    Attributes:
        outcomes: One for each item, in the order of the list.
    """

    outcomes: tuple[Fetched, ...]

    def count(self, state: State) -> int:
        """Return how many items ended in a state."""
        return Counter(outcome.state for outcome in self.outcomes)[state]

    @property
    def churn(self) -> float:
        """Share of items that are gone or changed."""
        return (self.count(State.GONE) + self.count(State.CHANGED)) / len(self.outcomes)

    def require_within(self, limits: FetchLimits, *, locator: str) -> None:
        """Raise unless the list kept its promises well enough.

        Args:
            limits: Their two budgets count here.
            locator: Name of the list, for messages.

        Raises:
            ManifestMismatch: More items are gone or changed than the churn budget allows.
            UnreadableData: More items are unreachable than their budget allows, or none is good.
        """
        n = len(self.outcomes)
        counts = ", ".join(f"{self.count(state)} {state.value}" for state in State)
        if self.churn > limits.churn_budget:
            raise ManifestMismatch(
                "the list's items are not what it promised",
                locator=locator,
                expected=f"at most {limits.churn_budget:.2%} of {n} gone or changed",
                got=counts,
                next_step="Look into the quarantine before raising the churn budget.",
            )
        good = self.count(State.OK)
        if self.count(State.UNREACHABLE) > limits.unreachable_budget * n or not good:
            raise UnreadableData(
                "too many items could not be fetched",
                locator=locator,
                expected=f"at most {limits.unreachable_budget:.2%} of {n} unreachable",
                got=counts,
                next_step="Try again later.",
            )


def take_snapshot(
    items: Sequence[UrlItem],
    into: Path,
    *,
    quarantine: Path,
    limits: FetchLimits | None = None,
    client: httpx.Client | None = None,
    clock: Callable[[], float] = time.monotonic,
    locator: str = "URL list",
) -> Snapshot:
    """Fetch each item of a list once.

    Args:
        items: From `read_url_list`; shuffle them to hide the order from a frontrunner.
        into: Directory to create. It gets the items whose digests matched.
        quarantine: Directory to create, closed to other users. It gets the bytes of changed
            items, and the report.
        limits: Bounds and budgets; None for the defaults of `FetchLimits`.
        client: Client with the caller's proxies and certificates; it must not follow redirects.
            None makes one.
        clock: Returns seconds that never go back.
        locator: Name of the list, for messages.

    Raises:
        ConfigError: A directory exists already, or the promised sizes exceed the total.
        ManifestMismatch: The churn budget is exceeded; ``into`` is then not created.
        UnreadableData: The budget of unreachable items is exceeded; ``into`` is then not created.

    Cost:
        One request for each item and redirect, ``limits.parallel`` in flight.
    """
    limits = limits or FetchLimits()
    if sum(item.size_bytes or 0 for item in items) > limits.total_bytes:
        raise ConfigError("the list promises more bytes than the limit", locator=locator)
    partial = into.with_name(into.name + _PARTIAL)
    for directory in (into, partial, quarantine):
        if directory.exists():
            raise ConfigError("exists already", locator=str(directory))
    partial.mkdir(parents=True)
    quarantine.mkdir(parents=True, mode=0o700)
    outcomes = _fetch_all(items, _Places(partial, quarantine), limits, client, clock)
    snapshot = Snapshot(tuple(outcomes))
    lines = (dumps(outcome.to_json()) + b"\n" for outcome in outcomes)
    (quarantine / REPORT_FILE).write_bytes(b"".join(lines))
    snapshot.require_within(limits, locator=locator)
    partial.rename(into)
    return snapshot


@dataclass(frozen=True, slots=True)
class _Places:
    """Where items go: good ones, and all others until their digest matched."""

    good: Path
    quarantine: Path

    def open_waiting(self, item: UrlItem) -> tuple[Path, BinaryIO]:
        waiting = self.quarantine / f"{item.name.replace('/', '%2F')[-200:]}.bin"
        descriptor = os.open(waiting, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        return waiting, os.fdopen(descriptor, "wb")

    def settle(self, outcome: Fetched, waiting: Path) -> None:
        if outcome.state is State.OK:
            target = self.good / outcome.item.name
            target.parent.mkdir(parents=True, exist_ok=True)
            waiting.chmod(0o644)
            waiting.rename(target)
        elif outcome.state is not State.CHANGED:
            waiting.unlink()


def _fetch_all(
    items: Sequence[UrlItem],
    places: _Places,
    limits: FetchLimits,
    client: httpx.Client | None,
    clock: Callable[[], float],
) -> list[Fetched]:
    import httpx

    own = client or httpx.Client(timeout=limits.idle_s, follow_redirects=False)
    left = limits.total_bytes
    lock = Lock()

    def fetch(item: UrlItem) -> Fetched:
        nonlocal left
        if left <= 0:
            return Fetched(item, State.UNREACHABLE, "the list is longer than its total limit")
        waiting, file = places.open_waiting(item)
        with file:
            outcome = fetch_item(own, item, file, limits=limits, clock=clock)
        places.settle(outcome, waiting)
        with lock:
            left -= outcome.size_bytes
        return outcome

    try:
        with ThreadPoolExecutor(limits.parallel, thread_name_prefix="sluicegate-fetch") as pool:
            return list(pool.map(fetch, items))
    finally:
        if client is None:
            own.close()
