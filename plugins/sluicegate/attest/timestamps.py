"""Times in signed text: RFC 3339, UTC, whole seconds, always ``Z``.

One spelling for one instant: `format(parse(text)) == text`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from sluicegate.errors import ConfigError, Expired, MalformedEnvelope

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clock that signed evidence may be ahead of the one that reads it."""

_FORMAT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z", re.ASCII
)


def format_timestamp(at: datetime) -> str:
    """Write a time.

    Args:
        at: Aware; fractions of a second are cut off, never rounded up into the future.

    Returns:
        For instance ``2026-03-01T12:00:00Z``.

    Raises:
        ConfigError: Naive datetime: nobody can say which instant it means.

    Example:
        >>> format_timestamp(datetime(2026, 3, 1, 12, tzinfo=UTC))
        '2026-03-01T12:00:00Z'
    """
    utc = require_aware(at).astimezone(UTC)
    # strftime("%Y") does not pad years below 1000 on every platform; isoformat does.
    return utc.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_timestamp(text: object, *, locator: str = "timestamp") -> datetime:
    """Read a time that `format_timestamp` wrote.

    Args:
        text: From a parsed document; anything but such a string is refused.
        locator: Field name for the message.

    Returns:
        Aware UTC.

    Raises:
        MalformedEnvelope: Another format or offset, a leap second, or no such day.
    """
    match = _FORMAT.fullmatch(text) if isinstance(text, str) else None
    if match:
        try:
            year, month, day, hour, minute, second = map(int, match.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            pass  # 30 February, 25:00 or :60; reported below like any other bad text
    raise MalformedEnvelope(
        "is not a time",
        locator=locator,
        expected="YYYY-MM-DDTHH:MM:SSZ",
        got=repr(text)[:40],
    )


def require_aware(at: datetime) -> datetime:
    """Return the time if it is aware.

    Raises:
        ConfigError: Naive datetime.
    """
    if at.utcoffset() is None:
        raise ConfigError("time has no time zone", got=at.isoformat(), expected="aware datetime")
    return at


def require_dated(since: datetime, *, at: datetime, locator: str) -> None:
    """Return unless evidence was signed in the future by more than clocks differ.

    Args:
        since: What the clock of the signer said, aware.
        at: What the clock of the reader says, aware.
        locator: What the evidence is about.

    Raises:
        Expired: It was.
    """
    if since - at <= CLOCK_SKEW:
        return
    raise Expired(
        "evidence is dated in the future: a clock is wrong",
        locator=locator,
        expected=f"at most {CLOCK_SKEW.total_seconds():g} s after {format_timestamp(at)}, "
        "the time here",
        got=f"{format_timestamp(since)}, the time where it was signed",
        next_step="Set both clocks, then sign again.",
    )


def require_in_force(
    what: str, since: datetime, until: datetime, *, at: datetime, locator: str, next_step: str
) -> None:
    """Return if signed evidence counts now.

    Clocks may differ about its first instant; its last one is strict.

    Args:
        what: What it is, for the message.
        since: When it was signed, aware.
        until: First instant at which it counts no more, aware.
        at: Aware.
        locator: What it is about.
        next_step: What to do once it is over.

    Raises:
        Expired: Over, or signed in the future by more than clocks differ.
    """
    require_dated(since, at=at, locator=locator)
    if at >= until:
        raise Expired(
            f"{what} is not valid any more",
            locator=locator,
            expected=f"{format_timestamp(since)} to {format_timestamp(until)}",
            got=format_timestamp(at),
            next_step=next_step,
        )
