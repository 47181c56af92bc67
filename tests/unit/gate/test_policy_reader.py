"""Each reader takes what it names, and refuses everything else by the field's name alone."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import ConfigError
from sluicegate.gate.policy import Mode
from sluicegate.gate.policy_reader import PolicyReader, kind_of

READER = PolicyReader("policy.yaml")
SECRET = "4111-1111"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
)
READ = {
    "mapping": lambda value: READER.mapping(value, "field"),
    "items": lambda value: READER.items(value, "field"),
    "text": lambda value: READER.text(value, "field"),
    "number": lambda value: READER.number(value, "field", 10),
    "share": lambda value: READER.share(value, "field"),
}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@given(value=JSON)
def test_any_value_is_returned_as_it_is_or_refused(read, value):
    with contextlib.suppress(ConfigError):
        assert read(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("mapping", [SECRET]),
        ("mapping", {}),
        ("mapping", {1: SECRET}),
        ("items", SECRET),
        ("items", []),
        ("text", [SECRET]),
        ("text", " \n"),
        ("number", SECRET),
        ("number", True),
        ("share", False),
    ],
)
def test_refusal_names_file_and_field_and_never_the_value(kind, value):
    with pytest.raises(ConfigError) as caught:
        READ[kind](value)
    assert "policy.yaml: field of the policy is not usable" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 10.001, math.inf, math.nan])
def test_number_is_above_zero_and_at_most_the_most(value):
    with pytest.raises(ConfigError, match="above 0 and at most 10"):
        READER.number(value, "field", 10)


def test_share_includes_zero_and_one():
    assert [READER.share(value, "field") for value in (0, 0.0, 0.5, 1)] == [0, 0, 0.5, 1]


def test_choice_is_a_member_or_lists_the_members():
    assert READER.choice("shadow", Mode, "mode") is Mode.SHADOW
    with pytest.raises(ConfigError, match=" or ".join(Mode)):
        READER.choice("off", Mode, "mode")


def test_unknown_key_is_refused_before_a_missing_one():
    known, required = frozenset({"a", "b"}), frozenset({"a"})
    READER.only({"a": 1}, known, required=required, where="here")
    with pytest.raises(ConfigError, match=r"here of the policy.*only a, b.*also c"):
        READER.only({"c": 1}, known, required=required, where="here")
    with pytest.raises(ConfigError, match="a key a"):
        READER.only({"b": 1}, known, required=required, where="here")


@pytest.mark.parametrize(("value", "kind"), [(None, "nothing"), ({}, "nothing"), (SECRET, "str")])
def test_kind_says_what_a_value_is(value, kind):
    assert kind_of(value) == kind
