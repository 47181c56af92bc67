"""Times in signed text: RFC 3339, UTC, whole seconds, always ``Z``.

Each instant has one spelling: `format(parse(text)) == text`.
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
        at: Aware. Fractions of a second are cut off, never rounded up into the future.

    Returns:
        For instance ``2026-03-01T12:00:00Z``.

    Raises:
        ConfigError: It is naive, so nobody can say which instant it means.

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
        locator: Name of the field, for messages.

    Returns:
        Aware UTC.

    Raises:
        MalformedEnvelope: It has another format or offset, is a leap second, or does not exist.
    """
    match = _FORMAT.fullmatch(text) if isinstance(text, str) else None
    if match:
        try:
            year, month, day, hour, minute, second = map(int, match.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            pass  # 30 February, 25:00 or :60 is reported below, like any other bad text
    raise MalformedEnvelope(
        "is not a time",
        locator=locator,
        expected="YYYY-MM-DDTHH:MM:SSZ",
        got=repr(text)[:40],
    )


def require_aware(at: datetime) -> datetime:
    """Return the time if it is aware.

    Raises:
        ConfigError: It is naive.
    """
    if at.utcoffset() is None:
        raise ConfigError("time has no time zone", got=at.isoformat(), expected="aware datetime")
    return at


def require_dated(since: datetime, *, at: datetime, locator: str) -> None:
    """Return unless evidence was signed in the future by more than clocks differ.

    Args:
        since: When it was signed by the signer's clock, aware.
        at: Now by the reader's clock, aware.
        locator: What the evidence is about, for messages.

    Raises:
        Expired: It was signed more than `CLOCK_SKEW` in the future.
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

    Clocks may differ about its first instant. Its last one is strict.

    Args:
        what: What it is, for messages, as "the verdict".
        since: When it was signed, aware.
        until: First instant at which it counts no more, aware.
        at: Now, aware.
        locator: What it is about, for messages.
        next_step: What a person should do once it is over.

    Raises:
        Expired: It is over, or was signed in the future by more than `CLOCK_SKEW`.
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
