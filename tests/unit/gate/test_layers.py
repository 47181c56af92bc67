"""Each layer of a policy may only tighten the one below, and files cannot extend each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.gate.test_monotonic import admitted, policies, records
from tests.unit.gate.test_verdict import POLICY

from sluicegate.adapters.policy_file import load_yaml, read_policy
from sluicegate.errors import ConfigError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import Mode, Severity, parse_policy
from sluicegate.gate.policy_lint import warnings
from sluicegate.gate.policy_sections import Freshness
from sluicegate.gate.promotion import Lane
from sluicegate.gate.weakening import weakened
from sluicegate.signals.contributors.names import ContributorNames
from sluicegate.signals.contributors.rules import ContributorLimits
from sluicegate.signals.decision.record import Status

if TYPE_CHECKING:
    from pathlib import Path


def write(directory: Path, name: str, value) -> Path:
    path = directory / name
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value), encoding="utf-8")
    return path


@pytest.fixture
def organisation(tmp_path: Path) -> Path:
    return write(tmp_path, "organisation.yaml", DEFAULT_POLICY)


def layer(organisation: Path, **changes) -> Path:
    value = {"extends": organisation.name, **changes}
    return write(organisation.parent, "project.yaml", value)


def test_layer_names_only_what_it_tightens_and_inherits_the_rest(organisation):
    project = layer(
        organisation, verdict_ttl_hours=24, signals={"DRIFT_NUMERIC": {"severity": "block"}}
    )
    policy = read_policy(project)
    assert policy.verdict_ttl_s == 24 * 3600
    assert policy.signals["DRIFT_NUMERIC"].severity is Severity.BLOCK
    assert not policy.signals["DRIFT_NUMERIC"].required
    assert policy.signals["SCHEMA"] == read_policy(organisation).signals["SCHEMA"]


def test_kept_bytes_of_layers_give_the_whole_policy_again(organisation):
    policy = read_policy(layer(organisation, freshness={"sealed_hours": 0.00001}))
    assert parse_policy(load_yaml(policy.raw, locator="x"), policy.raw, locator="x") == policy


def test_digest_changes_with_any_layer(organisation):
    project = layer(organisation, verdict_ttl_hours=24)
    before = read_policy(project).digest
    organisation.write_text(DEFAULT_POLICY.replace("0.01", "0.02"), encoding="utf-8")
    assert read_policy(project).digest != before


def test_layer_may_hide_names_and_none_above_it_shows_them_again(organisation):
    assert not read_policy(organisation).naming.hidden
    project = layer(organisation, sources={"flights": {"contributor_names": "hidden"}})
    policy = read_policy(project)
    assert policy.for_source("flights").naming.hidden
    assert not policy.for_source("other").naming.hidden
    team = {"extends": project.name, "sources": {"flights": {"contributor_names": "shown"}}}
    with pytest.raises(ConfigError, match="source flights: contributor_names hidden -> shown"):
        read_policy(write(organisation.parent, "team.yaml", team))


def test_source_does_not_show_what_the_policy_hides(tmp_path):
    value = {**yaml.safe_load(DEFAULT_POLICY), "contributor_names": "hidden"}
    value["sources"] = {"flights": {"contributor_names": "shown"}}
    with pytest.raises(ConfigError, match="contributor_names hidden -> shown"):
        read_policy(write(tmp_path, "p.yaml", value))


def test_showing_names_is_no_weakening_between_two_verdicts():
    """It lets no batch pass, and the audit reports what does."""
    hidden = replace(POLICY, naming=ContributorNames(hidden=True))
    assert weakened(hidden, POLICY) == weakened(POLICY, hidden) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mode": "shadow"}, "mode"),
        ({"verdict_ttl_hours": 169}, "verdict_ttl_hours"),
        ({"false_block_budget": 0.001}, "false_block_budget"),
        ({"signals": {"LABEL_FLIPS": {"severity": "warn"}}}, "LABEL_FLIPS"),
        ({"signals": {"COMPLETENESS": {"required": False}}}, "required"),
        ({"signals": {"LABEL_FLIPS": {"not_evaluated": "no labels"}}}, "unevaluated"),
        ({"waiver": {"allow": ["SCHEMA"], "max_hours": 1}}, "waivers allowed"),
    ],
)
def test_layer_and_source_that_weaken_are_refused(organisation, change, said):
    with pytest.raises(ConfigError, match=said):
        read_policy(layer(organisation, **change))
    value = yaml.safe_load(DEFAULT_POLICY) | {"sources": {"flights": change}}
    with pytest.raises(ConfigError, match=said):
        parse_policy(value, b"", locator="p")


def test_third_layer_cannot_undo_what_the_second_tightened(organisation):
    layer(organisation, verdict_ttl_hours=24)
    team = write(
        organisation.parent, "team.yaml", {"extends": "project.yaml", "verdict_ttl_hours": 48}
    )
    with pytest.raises(ConfigError, match="24 -> 48"):
        read_policy(team)


def test_files_that_extend_each_other_or_themselves_are_refused(tmp_path):
    write(tmp_path, "a.yaml", {"extends": "b.yaml", "mode": "enforce"})
    write(tmp_path, "b.yaml", {"extends": "./a.yaml", "mode": "enforce"})
    with pytest.raises(ConfigError, match="extend each other"):
        read_policy(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="extend each other"):
        read_policy(write(tmp_path, "self.yaml", {"extends": "self.yaml", "mode": "enforce"}))


def test_too_many_layers_are_refused(organisation):
    below = organisation.name
    for number in range(9):
        name = f"layer{number}.yaml"
        write(organisation.parent, name, {"extends": below, "verdict_ttl_hours": 100 - number})
        below = name
    with pytest.raises(ConfigError, match="too many layers"):
        read_policy(organisation.parent / below)


@pytest.mark.parametrize("extends", ["", None, 3, ["organisation.yaml"], "missing.yaml", "a\0b"])
def test_unusable_extends_is_refused(organisation, extends):
    value = {"extends": extends, "mode": "enforce"}
    with pytest.raises(ConfigError):
        read_policy(write(organisation.parent, "project.yaml", value))


def test_layer_that_changes_nothing_is_refused(organisation):
    with pytest.raises(ConfigError, match="at least one entry"):
        read_policy(layer(organisation))


def test_rules_of_a_source_hold_for_it_alone():
    value = yaml.safe_load(DEFAULT_POLICY) | {"sources": {"flights": {"accept": ["PASSED"]}}}
    policy = parse_policy(value, b"", locator="p")
    assert policy.for_source("flights").accept == {Status.PASSED}
    assert policy.for_source("other") is policy


@pytest.mark.parametrize("change", [{}, {"version": 1}, {"sources": {}}, {"x": 1}, None])
def test_unusable_rules_of_a_source_are_refused(change):
    value = yaml.safe_load(DEFAULT_POLICY) | {"sources": {"flights": change}}
    with pytest.raises(ConfigError, match="sources"):
        parse_policy(value, b"", locator="p")


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ({"freshness": {}}, "freshness"),
        ({"freshness": {"sealed_hours": 0}}, "sealed_hours"),
        ({"freshness": {"sealed_days": 1}}, "sealed_days"),
        ({"contributors": {"max_share": 1.5}}, "max_share"),
        ({"contributors": {"max_share": True}}, "max_share"),
        ({"contributors": {"period_hours": 24}}, "together"),
        ({"promoted": ["weekly"]}, "promoted"),
        ({"promoted": []}, "promoted"),
    ],
)
def test_unusable_section_is_refused_by_name(section, names):
    with pytest.raises(ConfigError, match=names):
        parse_policy(yaml.safe_load(DEFAULT_POLICY) | section, b"", locator="p")


limits = st.builds(
    ContributorLimits,
    max_share=st.sampled_from([None, 0.2, 0.5]),
    max_new_share=st.sampled_from([None, 0.1]),
)
deep = st.builds(
    replace,
    policies,
    freshness=st.none() | st.builds(Freshness, sealed_s=st.sampled_from([None, 60, 3600])),
    contributors=st.none() | limits,
    promoted=st.frozensets(st.sampled_from(Lane)),
    sources=st.just({}) | st.fixed_dictionaries({"src": policies, "flights": policies}),
)


@given(policy=deep)
def test_policy_is_never_weaker_than_itself(policy):
    assert weakened(policy, policy) == ()


FIELDS = ["accept", "signals", "freshness", "contributors", "promoted", "sources"]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(old=deep, other=deep, names=st.sets(st.sampled_from(FIELDS), max_size=2), found=records)
def test_tightened_policy_admits_nothing_that_the_looser_one_refuses(old, other, names, found):
    new = replace(old, **{name: getattr(other, name) for name in names})
    assume(not weakened(old, new))
    old, new = (replace(p.for_source("flights"), digest=POLICY.digest) for p in (old, new))
    assert admitted(found, old, frozenset()) or not admitted(found, new, frozenset())


@pytest.mark.parametrize(
    "change",
    [
        {"freshness": None},
        {"freshness": Freshness(sealed_s=61)},
        {"contributors": None},
        {"contributors": ContributorLimits(max_share=0.3)},
        {"contributors": ContributorLimits(max_new_share=0.2)},
        {"promoted": frozenset()},
        {"sources": {"src": POLICY}},
    ],
)
def test_dropping_or_widening_a_section_counts_as_weakened(change):
    strict = replace(
        POLICY,
        freshness=Freshness(sealed_s=60),
        contributors=ContributorLimits(max_share=0.2),
        promoted=frozenset({Lane.ROLLING}),
    )
    assert weakened(strict, replace(strict, **change))


def test_lint_says_what_a_reviewer_should_ask():
    value = yaml.safe_load(DEFAULT_POLICY)
    value["mode"] = "shadow"
    value["signals"]["LABEL_FLIP"] = {"severity": "warn"}
    value["signals"]["LEAKAGE"] = {"severity": "block", "tolerance": 1}
    value["waiver"] = {"allow": ["SCHEMA"], "max_hours": 1}
    found = "\n".join(warnings(parse_policy(value, b"", locator="p")))
    said_of = ("shadow stops nothing", "LABEL_FLIP: no such", "keys alone", "SCHEMA may be")
    for said in (*said_of, "LEAKAGE: a tolerance of 1 lets every batch pass"):
        assert said in found
    assert Mode.SHADOW.value in found
