"""The section on waivers: named signals, for a while, by at least two people."""

from __future__ import annotations

import pytest

from sluicegate.errors import ConfigError
from sluicegate.gate.policy_reader import PolicyReader
from sluicegate.gate.waiver_rules import MAX_HOURS, read_waiver_rules

SECTION = {"allow": ["LABEL_FLIPS", "SCHEMA"], "max_hours": 24}


def read(**changes):
    return read_waiver_rules(PolicyReader("policy.yaml"), {**SECTION, **changes})


def test_section_is_read():
    rules = read(persons={"Alice": ["a", "b"], "Bob": ["c"]})
    assert rules.allow == {"LABEL_FLIPS", "SCHEMA"}
    assert (rules.max_s, rules.approvers) == (24 * 3600, 2)
    assert rules.persons == {"a": "Alice", "b": "Alice", "c": "Bob"}


def test_without_persons_people_are_told_apart_by_their_keys():
    assert read().persons == {}


@pytest.mark.parametrize("n_people", [-1, 0, 1, 17, 2.0, True, "2", None])
def test_one_person_alone_never_waives(n_people):
    with pytest.raises(ConfigError, match=r"waiver\.approvers.*2 to 16"):
        read(approvers=n_people)


@pytest.mark.parametrize("hours", [0, -1, MAX_HOURS + 1, True, "24"])
def test_waiver_lasts_some_time_and_at_most_a_month(hours):
    with pytest.raises(ConfigError, match=r"waiver\.max_hours"):
        read(max_hours=hours)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"allow": []}, r"waiver\.allow"),
        ({"allow": "LABEL_FLIPS"}, r"waiver\.allow"),
        ({"allow": [""]}, r"waiver\.allow"),
        ({"allowed": ["SCHEMA"]}, "also allowed"),
        ({"persons": {}}, r"waiver\.persons"),
        ({"persons": {"Alice": []}}, r"waiver\.persons\.Alice"),
    ],
)
def test_section_that_is_not_understood_is_refused(change, field):
    with pytest.raises(ConfigError, match=field):
        read(**change)


def test_key_of_two_people_would_make_one_of_them_two():
    with pytest.raises(ConfigError, match="each key once"):
        read(persons={"Alice": ["a"], "Bob": ["a"]})


@pytest.mark.parametrize("missing", SECTION)
def test_section_without_signals_or_duration_is_refused(missing):
    section = {key: value for key, value in SECTION.items() if key != missing}
    with pytest.raises(ConfigError, match=f"a key {missing}"):
        read_waiver_rules(PolicyReader("policy.yaml"), section)
