"""The published JSON Schema and the parser say the same of every policy."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import ConfigError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import parse_policy

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[3] / "docs/formats/policy.schema.json").read_bytes()
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
DEFAULT = yaml.safe_load(DEFAULT_POLICY)
FULL = {
    **DEFAULT,
    "signals": {
        **DEFAULT["signals"],
        "DRIFT_NUMERIC:delay": {"severity": "warn", "tolerance": 0.5, "required": False},
    },
    "waiver": {"allow": ["LABEL_FLIPS"], "max_hours": 24, "approvers": 2, "persons": {"A": ["k"]}},
    "freshness": {"sealed_hours": 48, "baseline_hours": 1000},
    "contributors": {
        "max_share": 0.5,
        "max_class_share": 0.5,
        "max_new_share": 0.1,
        "max_period_share": 0.9,
        "period_hours": 24,
        "probation_weight": 0.25,
    },
    "contributor_names": "hidden",
    "worst_rows": {"most": 50, "values": ["id", "label"]},
    "promoted": ["anchored"],
    "limits": {"max_rows": 5_000_000, "max_decoded_bytes": 10_000_000_000, "max_expansion": 50},
    "model": {
        "max_regression": 0.01,
        "max_class_regression": 0.03,
        "max_slice_regression": 0.05,
        "max_disagreement": 0.2,
        "max_leakage": 0.001,
        "slices": ["carrier"],
    },
    "sources": {"flights": {"verdict_ttl_hours": 24}},
}
junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2),
    st.integers(-3, 10_000),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
    st.sampled_from(
        ["", " ", "block", "warn", "shadow", "PASSED", "FAILED", "rolling", "shown", "hidden", "x"]
    ),
    # Not "k": no schema can say that two people may not share a key.
    st.lists(st.sampled_from(["PASSED", "FAILED", "anchored", "q", "", 1]), max_size=2),
    st.dictionaries(st.sampled_from(["severity", "x", "max_share"]), st.just("block"), max_size=2),
)


def paths(value, prefix=()):
    yield prefix
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*prefix, key))


PATHS = [path for path in paths(FULL) if path and path[0] != "sources"]


def changed(path, how, value):
    policy = copy.deepcopy(FULL)
    place = policy
    for key in path[:-1]:
        place = place[key]
    if how == "remove":
        del place[path[-1]]
    elif how == "replace":
        place[path[-1]] = value
    else:
        place["unknown"] = value
    return policy


def parses(policy) -> bool:
    try:
        parse_policy(policy, b"raw", locator="p")
    except ConfigError as error:
        # What one layer may say of another no schema can express.
        return "may only tighten" in error.what
    return True


def test_schema_is_itself_valid_and_takes_the_default_and_a_full_policy():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for policy in (yaml.safe_load(DEFAULT_POLICY), FULL):
        assert VALIDATOR.is_valid(policy)
        assert parses(policy)


@given(path=st.sampled_from(PATHS), how=st.sampled_from(["remove", "replace", "add"]), value=junk)
def test_schema_and_parser_accept_the_same_policies(path, how, value):
    policy = changed(path, how, value)
    assert VALIDATOR.is_valid(policy) == parses(policy)


@given(value=junk, key=st.sampled_from(["mode", "signals", "freshness", "version", "sources", "x"]))
def test_what_the_parser_takes_for_a_source_the_schema_takes_too(value, key):
    policy = {**FULL, "sources": {"flights": {key: value}}}
    assert VALIDATOR.is_valid(policy) or not parses(policy)


@pytest.mark.parametrize("value", [None, [], "text", 1, {}])
def test_neither_takes_anything_but_a_mapping(value):
    assert not VALIDATOR.is_valid(value)
    assert not parses(value)
