"""One spelling for one instant."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest.timestamps import format_timestamp, parse_timestamp
from sluicegate.errors import ConfigError, MalformedEnvelope

TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001


@given(TIMES, st.integers(-23, 23))
def test_time_written_then_read_is_the_same_second(naive, hours):
    at = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert parse_timestamp(format_timestamp(at)) == at.replace(microsecond=0)


@given(st.text(max_size=25))
def test_any_text_is_read_to_itself_or_refused(text):
    with contextlib.suppress(MalformedEnvelope):
        assert format_timestamp(parse_timestamp(text)) == text


def test_fraction_is_cut_off_not_rounded_up():
    at = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    assert format_timestamp(at) == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:00z",
        "2026-03-01 12:00:00Z",
        "2026-03-01T12:00:00.5Z",
        "2026-03-01T12:00:60Z",
        "2026-02-30T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-03-01T12:00:00Z\n",
        "２026-03-01T12:00:00Z",  # noqa: RUF001
        "",
        None,
        1,
        ["2026-03-01T12:00:00Z"],
    ],
)
def test_other_spelling_is_refused(text):
    with pytest.raises(MalformedEnvelope, match="expires: is not a time"):
        parse_timestamp(text, locator="expires")


def test_naive_time_is_refused():
    with pytest.raises(ConfigError, match="no time zone"):
        format_timestamp(datetime(2026, 3, 1))  # noqa: DTZ001
