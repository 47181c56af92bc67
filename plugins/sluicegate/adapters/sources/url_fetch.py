"""Fetch one promised item over HTTP, within bounds; if other bytes come, say what came."""

from __future__ import annotations

import hashlib
import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import urljoin, urlsplit

from sluicegate.adapters.sources.url_list import UrlItem, check_url
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

_GONE: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS}
_REDIRECTS: Final = {301, 302, 303, 307, 308}


class State(StrEnum):
    """What became of a promised item."""

    OK = "ok"
    GONE = "gone"
    CHANGED = "changed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Bounds that hold whatever a server does.

    Attributes:
        item_bytes: Longest item; the download of a longer one is stopped.
        total_bytes: Sum over all items, by promised sizes before and by received bytes during
            the fetch.
        item_s: Seconds for one item, redirects included, even if bytes keep dripping.
        idle_s: Seconds to wait for a connection, and for the next byte.
        redirects: Most hops to follow.
        parallel: Requests in flight.
        churn_budget: Share of items, 0 to 1, that may be gone or changed. Beyond it the whole list
            is refused.
        unreachable_budget: Share of items, 0 to 1, that may be unreachable. Beyond it the fetch
            has to be tried again.

    Raises:
        ConfigError: A limit is not positive, or a budget is not between 0 and 1.
    """

    item_bytes: int = 256 * 1024 * 1024
    total_bytes: int = 1 << 40
    item_s: float = 120.0
    idle_s: float = 15.0
    redirects: int = 5
    parallel: int = 16
    churn_budget: float = 0.01
    unreachable_budget: float = 0.01

    def __post_init__(self) -> None:
        budgets = (self.churn_budget, self.unreachable_budget)
        bounds = (self.item_bytes, self.total_bytes, self.item_s, self.idle_s, self.parallel)
        if not all(0 <= budget <= 1 for budget in budgets) or min(bounds) <= 0:
            raise ConfigError("fetch limits must be positive, and budgets between 0 and 1")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one URL gave; a line of the report.

    Attributes:
        item: What was promised.
        state: What became of it.
        reason: Why, for a person; empty if all is well.
        status: Last HTTP status; 0 without an answer.
        redirects: URLs that were followed, in order.
        content_type: Content type that the server named, at most 200 characters.
        size_bytes: Bytes received; 0 if they did not end within bounds.
        got: Hexadecimal sha256 of those bytes; empty if they did not end within bounds.
    """

    item: UrlItem
    state: State
    reason: str = ""
    status: int = 0
    redirects: tuple[str, ...] = ()
    content_type: str = ""
    size_bytes: int = 0
    got: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the line of the report, in plain JSON types."""
        return {
            "url": self.item.url,
            "name": self.item.name,
            "expected": str(self.item.digest),
            "state": self.state.value,
            "reason": self.reason,
            "status": self.status,
            "redirects": list(self.redirects),
            "contentType": self.content_type,
            "size": self.size_bytes,
            "got": self.got,
        }


class _Stopped(Exception):
    def __init__(self, reason: str, state: State = State.UNREACHABLE) -> None:
        super().__init__(reason)
        self.reason, self.state = reason, state


def fetch_item(
    client: httpx.Client,
    item: UrlItem,
    into: BinaryIO,
    *,
    limits: FetchLimits,
    clock: Callable[[], float],
) -> Fetched:
    """Download one item and compare its digest.

    Args:
        client: Must not follow redirects by itself.
        item: What was promised.
        into: Empty file; it gets the bytes, also if they are not the promised ones.
        limits: Bounds of bytes, time and redirects.
        clock: Returns seconds that never go back.

    Returns:
        The outcome. Nothing that a server does raises an error.
    """
    import httpx

    seen: list[str] = []
    status, content_type, n_bytes, got = 0, "", 0, ""
    state, reason, url = State.OK, "", item.url
    check_time = _deadline(clock, limits.item_s)
    try:
        while True:
            with client.stream("GET", url, headers={"accept-encoding": "identity"}) as answer:
                status = answer.status_code
                content_type = answer.headers.get("content-type", "")[:200]
                if status in _REDIRECTS:
                    url = _next_url(url, answer.headers.get("location", ""), seen, item, limits)
                    check_time()
                    continue
                _check_status(status)
                n_bytes, got = _receive(answer, into, item, limits, check_time)
                break
        if got != item.digest.hex:
            state, reason = State.CHANGED, f"other bytes, sent as {content_type or 'no type'}"
    except _Stopped as stop:
        state, reason = stop.state, stop.reason
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
        state, reason = State.UNREACHABLE, type(error).__name__
    return Fetched(item, state, reason, status, tuple(seen), content_type, n_bytes, got)


def _check_status(status: int) -> None:
    if status in _GONE:
        raise _Stopped(f"HTTP {status}", State.GONE)
    if status != HTTPStatus.OK:
        raise _Stopped(f"HTTP {status}")


def _deadline(clock: Callable[[], float], seconds: float) -> Callable[[], None]:
    end = clock() + seconds

    def check() -> None:
        if clock() > end:
            raise _Stopped("slower than its time limit")

    return check


def _next_url(
    current: str, location: str, seen: list[str], item: UrlItem, limits: FetchLimits
) -> str:
    """Return where a redirect leads, if that may be followed."""
    target = urljoin(current, location)
    try:
        check_url(target)
    except ConfigError:
        raise _Stopped("redirect to what is not http or https") from None
    if target in seen or target == item.url:
        raise _Stopped("redirect loop")
    if len(seen) >= limits.redirects:
        raise _Stopped(f"more than {limits.redirects} redirects")
    if _is_internal(target) and not _is_internal(item.url):
        # The list's author may choose a host of ours; a redirecting server may not.
        raise _Stopped("redirect into a private network")
    seen.append(target)
    return target


def _is_internal(url: str) -> bool:
    """Return whether a host is local by its text; names are not resolved."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return not ipaddress.ip_address(host).is_global
    return host == "localhost" or host.endswith((".localhost", ".internal", ".local"))


def _receive(
    answer: httpx.Response,
    into: BinaryIO,
    item: UrlItem,
    limits: FetchLimits,
    check_time: Callable[[], None],
) -> tuple[int, str]:
    hasher = hashlib.sha256()
    n_bytes = 0
    # There is no chunk size: while a chunk fills slowly, the deadline would not be checked.
    for chunk in answer.iter_raw():
        n_bytes += len(chunk)
        if item.size_bytes is not None and n_bytes > item.size_bytes:
            raise _Stopped("longer than the list says", State.CHANGED)
        if n_bytes > limits.item_bytes:
            raise _Stopped(f"longer than the limit of {limits.item_bytes} bytes")
        hasher.update(chunk)
        into.write(chunk)
        check_time()
    return n_bytes, hasher.hexdigest()
