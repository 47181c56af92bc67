"""Text from data cannot move a terminal's cursor, forge a line or hide in what is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import GateBlocked, LedgerConflict, SluicegateError
from sluicegate.gate.verdict import Reason
from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.untrusted import MOST, visible

HOSTILE = "col\x1b[2J\x1b]0;x\x07\r\n2026-01-01 INFO admitted\u202e\u200b\u2028\ud800"
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def harmless(text):
    return not any(unicodedata.category(character) in FORBIDDEN for character in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1bb", r"a\x1bb"),
        ("a\nb", r"a\nb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb", r"a\u200bb"),
        ("a\u3164b", r"a\u3164b"),
        ("a\ud800b", r"a\ud800b"),
        ("a\U000e0041b", r"a\U000e0041b"),
        ("a\x9bb", r"a\x9bb"),
    ],
)
def test_what_the_eye_does_not_see_is_written_out(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    "name", ["Müller & Söhne", "株式会社", "Ελλάς", "علي", "a b", r"C:\data", "🙂", ""]
)
def test_name_of_any_language_stays_as_it_is(name):
    assert visible(name) == name


@given(st.text(alphabet=st.characters(), max_size=80), st.sampled_from([None, 60, MOST]))
@settings(max_examples=300, deadline=None)
def test_shown_text_is_harmless_and_may_pass_twice(text, most):
    shown = visible(text, most)
    assert harmless(shown)
    assert visible(shown, most) == shown


@given(st.integers(60, 300), st.integers(0, 4000))
@settings(deadline=None)
def test_long_text_is_cut_and_says_how_long_it_was(most, length):
    for character in ("x", "\n"):
        shown = visible(character * length, most)
        assert len(shown) <= most
        assert (f"({length} characters)" in shown) == (
            len(visible(character * length, None)) > most
        )


@pytest.mark.parametrize("part", ["what", "locator", "expected", "got", "next_step"])
def test_no_part_of_an_error_forges_a_line(part):
    error = SluicegateError(**{"what": "failed", part: HOSTILE})
    assert harmless(str(error))
    assert r"\x1b[2J" in str(error)
    assert error.to_dict()[part] == HOSTILE, "a field holds what it was given"


def test_errors_with_their_own_constructor_are_escaped_too():
    assert harmless(str(LedgerConflict(1, HOSTILE, locator=HOSTILE)))
    assert harmless(str(GateBlocked(None, HOSTILE, locator=HOSTILE, next_step=HOSTILE)))


def test_message_of_a_record_or_a_reason_is_visible():
    record = SignalRecord(
        code="X", family=Family.DRIFT, status=Status.FAILED, column=HOSTILE, message=HOSTILE
    )
    assert record.message == visible(HOSTILE)
    assert record.column == HOSTILE, "rules and baselines find the column by its own name"
    assert Reason("X", HOSTILE, Status.FAILED, HOSTILE).message == visible(HOSTILE)
