"""A policy is read strictly: what is not understood stops training."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.adapters.policy_file import load_yaml, read_policy
from sluicegate.errors import ConfigError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import Mode, Severity, parse_policy
from sluicegate.signals.decision.record import Status

if TYPE_CHECKING:
    from pathlib import Path


def valid() -> dict:
    return yaml.safe_load(DEFAULT_POLICY)


def parse(value):
    return parse_policy(value, b"raw", locator="policy.yaml")


def test_default_policy_parses_and_enforces():
    policy = parse_policy(valid(), DEFAULT_POLICY.encode(), locator="default")
    assert policy.mode is Mode.ENFORCE
    assert policy.accept == {Status.PASSED, Status.WARNED}
    assert policy.signals["LABEL_FLIPS"].severity is Severity.BLOCK


@pytest.mark.parametrize("empty", [None, {}, [], "", 0])
def test_empty_policy_is_refused(empty):
    with pytest.raises(ConfigError, match="at least one entry"):
        parse(empty)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"extra": 1}, "extra"),
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"mode": "off"}, "mode"),
        ({"accept": []}, "accept"),
        ({"accept": ["FAILED"]}, "accept"),
        ({"accept": ["passed"]}, "accept"),
        ({"false_block_budget": 0}, "false_block_budget"),
        ({"false_block_budget": float("nan")}, "false_block_budget"),
        ({"false_block_budget": True}, "false_block_budget"),
        ({"verdict_ttl_hours": -1}, "verdict_ttl_hours"),
        ({"verdict_ttl_hours": float("inf")}, "verdict_ttl_hours"),
        ({"signals": {}}, "signals"),
        ({"signals": {"SCHEMA": {}}}, "signals.SCHEMA"),
        ({"signals": {"SCHEMA": {"severity": "ignore"}}}, "severity"),
        ({"signals": {"SCHEMA": {"severity": "block", "tolerence": 1}}}, "tolerence"),
        ({"signals": {"SCHEMA": {"severity": "block", "tolerance": -1}}}, "tolerance"),
        ({"signals": {"SCHEMA": {"severity": "block", "tolerance": 1.01}}}, "tolerance"),
        ({"signals": {"SCHEMA": {"severity": "block", "tolerance": False}}}, "tolerance"),
        ({"signals": {"SCHEMA": {"severity": "block", "tolerance": float("nan")}}}, "tolerance"),
        ({"signals": {"SCHEMA:": {"severity": "block"}}}, "SCHEMA:"),
        ({"signals": {":x": {"severity": "block"}}}, ":x"),
        ({"signals": {"SCHEMA": {"severity": "block", "required": "no"}}}, "required"),
        ({"signals": {"SCHEMA": {"severity": "block", "not_evaluated": " "}}}, "not_evaluated"),
    ],
)
def test_unusable_field_is_refused_by_name(change, names):
    with pytest.raises(ConfigError, match=names):
        parse({**valid(), **change})


def test_a_misspelt_key_is_named_beside_those_that_there_are():
    with pytest.raises(ConfigError, match=r"the top level of the policy .* mode.*, got also modes"):
        parse(valid() | {"modes": "enforce"})


@pytest.mark.parametrize("key", sorted(yaml.safe_load(DEFAULT_POLICY)))
def test_every_key_is_required(key):
    value = valid()
    del value[key]
    with pytest.raises(ConfigError, match=key):
        parse(value)


def test_duplicate_yaml_keys_are_refused():
    with pytest.raises(ConfigError, match="duplicate key"):
        load_yaml(b"mode: enforce\nmode: shadow\n", locator="policy.yaml")


def test_missing_file_names_the_next_step(tmp_path: Path):
    with pytest.raises(ConfigError, match="policy init"):
        read_policy(tmp_path / "none.yaml")


def test_digest_changes_with_any_byte_of_the_file(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    path.write_text(DEFAULT_POLICY, encoding="utf-8")
    before = read_policy(path).digest
    path.write_text(DEFAULT_POLICY + "# harmless\n", encoding="utf-8")
    assert read_policy(path).digest != before


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(raw):
    with contextlib.suppress(ConfigError):
        parse_policy(load_yaml(raw, locator="x"), raw, locator="x")
