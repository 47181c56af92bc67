"""Lists of URLs with a digest for each item, and when to take a snapshot of them.

A web data set that is published as a list of URLs is a promise that somebody else keeps. Whoever
buys an expired domain serves other bytes to those who download later (split view). Whoever knows
when the snapshot is taken edits the page an hour before (frontrunning). The digest in the list
stops the first attack. A delayed snapshot at an unpredictable time stops the second.

Source: Carlini et al. 2024, "Poisoning Web-Scale Training Datasets is Practical", sections 4-6.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sluicegate.digest.algorithms import SHA256, Digest
from sluicegate.digest.names import check_paths
from sluicegate.errors import ConfigError, MalformedEnvelope, SluicegateError, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES: Final = frozenset({"http", "https"})
"""The only protocols: ``file:`` and ``ftp:`` would let a list read this machine or its network."""

MAX_LIST_BYTES: Final = 1 << 30  # ten million lines; a list is held in memory
_COLUMNS: Final = {"url", "sha256", "name", "size"}
_VISIBLE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class UrlItem:
    """One promised item.

    Attributes:
        url: Absolute http or https URL.
        digest: sha256 that its bytes must have.
        name: Path in the snapshot; the digest's hexadecimal text unless the list names one.
        size_bytes: Promised length; None if the list promises none.
    """

    url: str
    digest: Digest
    name: str
    size_bytes: int | None = None


def read_url_list(data: bytes, *, locator: str) -> tuple[UrlItem, ...]:
    """Read a list: CSV with the columns url and sha256, and optionally name and size.

    Args:
        data: UTF-8 with a header line, at most 1 GiB.
        locator: Where it came from, for messages.

    Returns:
        Items in the order of the list.

    Raises:
        MalformedEnvelope: A column is unknown or missing, a digest or size is malformed, an item
            stands twice, or a URL is not plain http(s). The message names the line, not its
            content.
        UnsafePath: An item has a name that no manifest may hold.
        UnreadableData: The list has no item, is not UTF-8, or is too large.
    """
    if len(data) > MAX_LIST_BYTES:
        raise UnreadableData("URL list is too large", locator=locator, got=f"{len(data)} bytes")
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        columns = set(rows.fieldnames or ())
        if not {"url", "sha256"} <= columns <= _COLUMNS:
            raise MalformedEnvelope(
                "URL list has other columns",
                locator=locator,
                expected="url and sha256, optionally name and size",
            )
        items = tuple(_items(rows, locator))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableData(
            "URL list is not CSV in UTF-8", locator=locator, got=type(error).__name__
        ) from None
    if not items:
        raise UnreadableData("URL list names no item", locator=locator)
    names = [item.name for item in items]
    if len(set(names)) != len(names):
        raise MalformedEnvelope("URL list names an item twice", locator=locator)
    check_paths(names, locator=locator)
    return items


def check_url(url: str) -> str:
    """Return ``url`` if it may be fetched.

    Raises:
        ConfigError: The URL is not absolute http or https, holds a user or password, or is not
            plain ASCII.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    good = parts.scheme in SCHEMES and host and (port is None or port > 0)
    if not good or parts.username or parts.password or not _VISIBLE.fullmatch(url):
        raise ConfigError(
            "URL may not be fetched",
            expected="absolute http or https, visible ASCII, without user and password",
            got=f"scheme {parts.scheme[:20]!r}",
        )
    return url


def snapshot_time(
    published: datetime, *, delay: timedelta, window: timedelta, entropy: bytes
) -> datetime:
    """Choose when to take a snapshot, so that nobody can edit a page just before it.

    Args:
        published: When the list was fixed, with a time zone. Digests cover all earlier edits.
        delay: Time for moderators to revert a malicious edit; not negative.
        window: Length of the span after the delay in which the moment is uniform; not negative.
        entropy: At least 16 secret random bytes. The same bytes give the same moment.

    Returns:
        Time before which the snapshot must not be taken, with a time zone.

    Raises:
        ConfigError: The time has no zone, a span is negative, or the entropy is too short.

    Source: Carlini et al. 2024, as above.
    """
    if published.tzinfo is None or min(delay, window) < timedelta(0) or len(entropy) < 16:
        raise ConfigError("snapshot needs an aware time, spans >= 0 and 16 bytes of entropy")
    draw = int.from_bytes(hashlib.sha256(b"sluicegate-snapshot\0" + entropy).digest()[:8], "big")
    return published + delay + window * (draw / 2**64)


def require_due(at: datetime, due: datetime) -> None:
    """Raise if a snapshot would be taken too early.

    Args:
        at: Now, with a time zone.
        due: From `snapshot_time`.

    Raises:
        UnreadableData: It is not time yet; try again later.
    """
    if at < due:
        raise UnreadableData("the snapshot is not due yet", next_step="Run it again later.")


def _items(rows: csv.DictReader[str], locator: str) -> Iterator[UrlItem]:
    for row in rows:
        place = f"{locator} line {rows.line_num}"
        if None in row or None in row.values():
            raise MalformedEnvelope("line has another number of fields", locator=place)
        try:
            digest = Digest(SHA256, row["sha256"].strip().lower())
            url = check_url(row["url"].strip())
            size = int(row["size"]) if row.get("size") else None
        except (SluicegateError, ValueError) as error:
            what = error.what if isinstance(error, SluicegateError) else "size is not a number"
            raise MalformedEnvelope(what, locator=place) from None
        if size is not None and size < 0:
            raise MalformedEnvelope("size is negative", locator=place)
        yield UrlItem(url, digest, row.get("name") or digest.hex, size)
