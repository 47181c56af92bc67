"""What Airflow's form returns counts only as one allowed person's answer to this question."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sluicegate.errors import ConfigError, GateBlocked, VerificationError
from sluicegate.orchestration.answers import READING_S, answer_of, people_of

ASKED = datetime(2026, 3, 1, 12, tzinfo=UTC)
ABOUT = "sha256:" + "a" * 64
PEOPLE = {"7": "alice", "bob": "bob"}


def event(**changes):
    said = {
        "chosen_options": ["Approve"],
        "params_input": {"about": ABOUT, "reason": "relabelled", "hours": 24},
        "responded_at": ASKED + timedelta(seconds=READING_S),
        "responded_by_user": {"id": "7", "name": "Alice A."},
        "timedout": False,
    }
    return said | changes


def read(said):
    return answer_of(said, about=ABOUT, asked_at=ASKED, people=PEOPLE)


def test_an_allowed_persons_answer_counts_under_the_policys_name():
    answer = read(event())
    assert (answer.by, answer.text("reason"), answer.number("hours", 48)) == (
        "alice",
        "relabelled",
        24.0,
    )


def test_a_time_as_text_is_read_too():
    assert read(event(responded_at="2026-03-01T13:00:00+01:00".replace("13:00:00", "13:00:09")))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"error": "no response", "error_type": "timeout"},
        event(timedout=True),
        event(responded_by_user=None),
        event(responded_at=None),
        event(responded_at=datetime(2026, 3, 1, 13)),  # noqa: DTZ001 - naive on purpose
        event(responded_at=ASKED + timedelta(seconds=READING_S - 0.01)),
        event(responded_at=ASKED - timedelta(days=1)),
        event(params_input=None),
        event(params_input={}),
        event(params_input={"about": ABOUT[:-1]}),
    ],
)
def test_a_timeout_an_early_and_a_stale_answer_do_not_count(said):
    with pytest.raises(VerificationError, match="nothing was waived"):
        read(said)


@pytest.mark.parametrize(
    "user",
    [
        {"id": "Anonymous", "name": "Anonymous"},
        {"id": "7", "name": "anonymous"},
        {"id": "7", "name": ""},
        {"id": "admin", "name": "admin"},
        {"id": "8", "name": "alice"},
        {},
    ],
)
def test_nobody_and_another_person_do_not_count(user):
    with pytest.raises(ConfigError):
        read(event(responded_by_user=user))


@pytest.mark.parametrize("options", [[], ["Reject"], ["Approve", "Reject"], "Approve", None])
def test_anything_but_one_yes_is_a_no(options):
    with pytest.raises(GateBlocked, match="rejected"):
        read(event(chosen_options=options))


@pytest.mark.parametrize("value", [None, "", "  ", 3])
def test_a_reason_is_text(value):
    answer = read(event(params_input={"about": ABOUT, "reason": value}))
    with pytest.raises(ConfigError, match="reason"):
        answer.text("reason")


@pytest.mark.parametrize("value", [None, "24", True, 0, -1, 49, float("nan"), float("inf")])
def test_hours_are_a_number_within_the_policys_limit(value):
    answer = read(event(params_input={"about": ABOUT, "hours": value}))
    with pytest.raises(ConfigError, match="hours"):
        answer.number("hours", 48)


def test_a_user_id_belongs_to_one_person():
    assert people_of(("alice", "bob"), {"alice": "7"}) == PEOPLE
    with pytest.raises(ConfigError, match="one user id"):
        people_of(("alice", "bob"), {"alice": "bob"})
