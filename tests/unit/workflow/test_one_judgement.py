"""The same policy on the same bytes: check, gate, replay and Great Expectations answer alike."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import yaml
from tests.unit.workflow.conftest import AT, RUN, Site, flipped, rows, write

from sluicegate.adapters.policy_file import read_policy
from sluicegate.cli import main as cli
from sluicegate.errors import ConfigError
from sluicegate.gate.judgement import asks
from sluicegate.workflow.auditing.policy_replay import replay
from sluicegate.workflow.judging.check import check
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly, suite_runner

pytestmark = pytest.mark.slow  # a gate and a check for each of many policies

N_POLICIES = 24
SIGNALS = ("COMPLETENESS", "DRIFT_NUMERIC", "DRIFT_NUMERIC:y", "LABEL_PRIOR", "LABEL_FLIPS")
SHARES = (None, 0.0, 0.05, 0.5)
LIMITS = (
    {"max_share": 0.05},
    {"max_share": 0.9},
    {"max_new_share": 0.01, "max_class_share": 0.3},
    {"max_period_share": 0.1, "period_hours": 240},
)


def policy_of(seed):
    """Draw a policy: rules, tolerances, limits, and rules of signals that need no baseline."""
    draw = random.Random(seed)

    def rule(code):
        said = {"severity": draw.choice(["warn", "block"]), "required": draw.random() < 0.8}
        share = draw.choice(SHARES)
        if share is not None and not code.startswith(("PARTS", "CONTRIBUTOR_LIMIT")):
            said["tolerance"] = share
        if draw.random() < 0.3:
            said["not_evaluated"] = "known to be so"
        return said

    codes = ["SCHEMA", *(code for code in SIGNALS if draw.random() < 0.6)]
    codes += [code for code in ("SCHEMA:extra", "LEAKAGE") if draw.random() < 0.2]
    alone = ("CONTRIBUTOR_LIMIT", "CONTRIBUTOR_LIMIT:max_share", "PARTS", "SEQUENCE")
    codes += [code for code in alone if draw.random() < 0.3]
    value = {
        "version": 1,
        "mode": draw.choice(["enforce", "enforce", "shadow"]),
        "accept": draw.choice([["PASSED"], ["PASSED", "WARNED"]]),
        "false_block_budget": draw.choice([0.01, 0.2]),
        "verdict_ttl_hours": 24,
        "signals": {code: rule(code) for code in codes},
    }
    if draw.random() < 0.6:
        value["contributors"] = draw.choice(LIMITS)
    elif draw.random() < 0.5:
        value["sources"] = {"src": {"contributors": draw.choice(LIMITS)}}
    return value


def mixed(*, bad):
    """A clean batch, or one with flips, a newcomer and a column too many."""
    if not bad:
        return rows(10, 600)
    table = flipped(rows(9, 600), "c1")
    names = ["new" if i % 9 == 0 else name for i, name in enumerate(table["who"].to_pylist())]
    table = table.set_column(table.schema.get_field_index("who"), "who", [names])
    return table.append_column("more", table["x"])


def said(reasons):
    return [(r.code, r.column, r.result, r.message) for r in reasons]


class Stage:
    """One sealed batch, and every way to judge it."""

    def __init__(self, site, *, bad):
        self.site = site
        self.past = site.root / "past"
        self.past.mkdir()
        self.batch = write(mixed(bad=bad), site.root / "mixed")
        site.seal(self.batch)

    def use(self, value):
        self.site.home.policy.write_text(yaml.safe_dump(value), encoding="utf-8")
        return self.site.home.policy

    def gated(self, runner=evaluate_directly):
        signers = GateSigners(self.site.signer("gate"), self.site.signer("ledger"))
        how = {"signers": signers, "at": AT, "run": RUN, "runner": runner}
        return gate_source(self.site.home, "src", **how)[0].verdict

    def checked(self, policy):
        # The gate asks the ledger for earlier batches where the policy does; there are none.
        past = self.past if asks(read_policy(policy).for_source("src"), "SEQUENCE") else None
        baseline = self.site.home.baseline_dir("src")
        how = {"policy": policy, "history": past, "rows": False, "source": "src"}
        return check(self.batch, baseline=baseline, **how)


@pytest.fixture(scope="module")
def stages(built_site, tmp_path_factory):
    made = []
    for bad in (False, True):
        root = tmp_path_factory.mktemp("judged") / "site"
        shutil.copytree(built_site, root)
        made.append(Stage(Site(root), bad=bad))
    return made


@pytest.fixture(scope="module")
def judged(stages):
    """What gate and check say under each policy; odd ones judge the bad batch."""
    found = {}
    for seed in range(N_POLICIES):
        stage = stages[seed % 2]
        policy = stage.use(policy_of(seed))
        found[seed] = stage.gated(), stage.checked(policy), read_policy(policy)
    return found


@pytest.mark.parametrize("seed", range(N_POLICIES))
def test_check_and_gate_give_one_verdict_for_one_list_of_reasons(judged, seed):
    verdict, checked, policy = judged[seed]
    assert (checked.verdict, said(checked.reasons)) == (verdict.result, said(verdict.reasons))
    assert checked.accepted is policy.for_source("src").starts(verdict.result)


def test_the_policies_of_this_law_differ_in_what_they_answer(judged):
    answers = {(v.result, tuple(said(v.reasons))) for v, _, _ in judged.values()}
    assert {result for result, _ in answers} == {"FAILED", "WARNED", "PASSED"}
    assert len(answers) > N_POLICIES / 2
    codes = {reason.code for verdict, _, _ in judged.values() for reason in verdict.reasons}
    assert {"SCHEMA", "LABEL_FLIPS", "CONTRIBUTOR_LIMIT", "PARTS", "SEQUENCE"} <= codes


@pytest.mark.parametrize("first", [0, 1])
def test_replay_says_what_the_gate_said_or_that_it_cannot_know(stages, judged, first):
    """Each kept verdict under each policy; under its own, nothing may be unknown."""
    seeds, n_known = range(first, N_POLICIES, 2), 0
    for seed in seeds:
        verdict, _, policy = judged[seed]
        tried = list(replay(stages[first].site.evidence(), policy, "src", at=AT))
        kept = dict(zip(seeds, tried, strict=False))
        worst = verdict.reasons[0].message if verdict.reasons else "no signal fired"
        assert (kept[seed].would_be, kept[seed].why) == (verdict.result, worst)
        for other, found in kept.items():
            assert found.would_be in (None, verdict.result), (seed, other, found.why)
            n_known += found.would_be is not None
    assert n_known > 2 * len(seeds)


@pytest.mark.parametrize("code", ["PARTS", "CONTRIBUTOR_LIMIT", "NO_SUCH_SIGNAL", "PARTS:x"])
def test_policy_that_the_gate_stops_on_stops_every_command_alike(stages, code, capsys):
    stage = stages[0]
    value = policy_of(0)
    value["signals"][code] = {"severity": "block", "tolerance": 0.1}
    policy = stage.use(value)
    ways = (
        stage.gated,
        lambda: stage.checked(policy),
        lambda: list(replay(stage.site.evidence(), read_policy(policy), at=AT)),
    )
    for way in ways:
        with pytest.raises(ConfigError, match="takes none") as raised:
            way()
        assert raised.value.locator == code
    for action in ("lint", "explain"):
        assert cli.main(["policy", action, str(policy)]) == 64
        assert "takes none" in capsys.readouterr().err


def test_great_expectations_leads_to_the_verdict_of_the_core(stages, judged):
    pytest.importorskip("great_expectations")
    suite = Path(__file__).parents[3] / "expectations" / "tabular.json"
    for seed in range(4):
        stages[seed % 2].use(policy_of(seed))
        verdict, (expected, _, _) = stages[seed % 2].gated(suite_runner(suite)), judged[seed]
        assert (verdict.result, said(verdict.reasons)) == (expected.result, said(expected.reasons))
