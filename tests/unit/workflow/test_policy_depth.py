"""What a policy asks beyond signals is asked by the gate, and again when training starts."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import yaml
from tests.unit.workflow.conftest import AT, rows, write

from sluicegate.cli.main import main
from sluicegate.errors import EvidenceMissing, Expired, GateBlocked
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.admit import admit_training


def demand(site, **sections):
    value = yaml.safe_load(DEFAULT_POLICY) | sections
    site.home.policy.write_text(yaml.safe_dump(value), encoding="utf-8")


def admit(site, at=AT):
    return admit_training(site.home, ["src"], at=at)


def test_stale_seal_is_neither_judged_nor_trained_on(site):
    demand(site, freshness={"sealed_hours": 1})
    site.seal(site.clean)
    site.gate()
    assert admit(site, AT + timedelta(hours=1))
    with pytest.raises(Expired, match="sealed too long ago"):
        admit(site, AT + timedelta(hours=1, seconds=1))
    with pytest.raises(Expired, match="sealed too long ago"):
        site.gate(at=AT + timedelta(hours=2))


def test_seal_from_the_future_is_a_wrong_clock(site):
    demand(site, freshness={"sealed_hours": 1})
    site.seal(site.clean, at=AT + timedelta(minutes=10))
    with pytest.raises(Expired, match="clock"):
        site.gate(at=AT)


def test_old_baseline_does_not_judge(site):
    demand(site, freshness={"baseline_hours": 24})
    site.seal(site.clean)
    with pytest.raises(Expired, match="baseline is too old"):
        site.gate(at=AT + timedelta(hours=25))


def test_baseline_that_nobody_promoted_does_not_judge_if_the_policy_asks(site):
    demand(site, promoted=["anchored"])
    site.seal(site.clean)
    with pytest.raises(EvidenceMissing, match="promoted anchored"):
        site.gate()


def test_contributor_over_the_limit_blocks_and_within_it_passes(site):
    site.seal(site.clean)
    demand(site, contributors={"max_share": 0.9})
    assert site.gate()[0].verdict.result is Status.PASSED
    demand(site, contributors={"max_share": 0.05})
    verdict = site.gate()[0].verdict
    assert verdict.result is Status.FAILED
    assert {reason.code for reason in verdict.reasons} == {"CONTRIBUTOR_LIMIT"}
    with pytest.raises(GateBlocked, match="CONTRIBUTOR_LIMIT"):
        admit(site)


def test_rules_of_the_source_decide_for_it(site):
    demand(site, sources={"src": {"contributors": {"max_share": 0.05}}})
    site.seal(site.clean)
    assert site.gate()[0].verdict.result is Status.FAILED
    demand(site, sources={"other": {"contributors": {"max_share": 0.05}}})
    assert site.gate()[0].verdict.result is Status.PASSED


def test_layered_policy_judges_admits_and_is_kept_for_the_audit(site, capsys):
    organisation = site.home.root / "organisation.yaml"
    site.home.policy.rename(organisation)
    site.home.policy.write_text(
        "extends: organisation.yaml\nverdict_ttl_hours: 1\n", encoding="utf-8"
    )
    site.seal(site.clean)
    issued, _ = site.gate()
    assert issued.verdict.expires == AT + timedelta(hours=1)
    assert admit(site)
    assert main(["policy", "test", str(site.home.policy), "--home", str(site.home.root)]) == 0
    assert main(["audit", "--home", str(site.home.root)]) == 0


def test_command_writes_sampling_weights_of_the_newest_batch(site, capsys):
    import pyarrow.parquet as pq

    demand(site, contributors={"max_share": 0.3, "probation_weight": 0.5})
    site.seal(site.clean)
    out = site.root / "weights.parquet"
    policy = str(site.home.policy)
    home = ["--home", str(site.home.root)]
    arguments = ["policy", "weights", policy, "--source", "src", "--out", str(out), *home, "--json"]
    assert main(arguments) == 0
    table = pq.read_table(out)
    assert table.column_names == ["id", "weight"]
    assert table.num_rows == json.loads(capsys.readouterr().out)["rows"] == 3000


def test_batch_that_does_not_say_who_delivered_a_row_gets_no_weights(site, capsys):
    demand(site, contributors={"max_share": 0.3, "probation_weight": 0.5})
    site.seal(write(rows(2).drop_columns(["who"]), site.root / "nobody"))
    out = site.root / "weights.parquet"
    home = ["--home", str(site.home.root)]
    arguments = ["policy", "weights", str(site.home.policy), "--source", "src", "--out", str(out)]
    assert main([*arguments, *home]) == 2
    assert "who delivered a row" in capsys.readouterr().err
    assert not out.exists()


def test_lint_fails_on_warnings_only_when_asked(site):
    policy = str(site.home.policy)
    assert main(["policy", "lint", policy]) == 0
    assert main(["policy", "lint", policy, "--strict"]) == 1


def test_explain_says_what_each_section_demands_and_what_holds_for_a_source(site, capsys):
    shares = {f"max_{what}regression": 0.05 for what in ("", "class_", "slice_")}
    demand(
        site,
        freshness={"sealed_hours": 48},
        promoted=["rolling"],
        contributors={"max_share": 0.25},
        contributor_names="hidden",
        model=shares | {"max_disagreement": 0.5, "max_leakage": 0.001, "slices": ["carrier"]},
        waiver={"allow": ["LABEL_FLIPS"], "max_hours": 24},
        sources={"src": {"freshness": {"sealed_hours": 12}}},
    )
    policy = str(site.home.policy)
    assert main(["policy", "explain", policy]) == 0
    said = capsys.readouterr().out
    for line in (
        "sealed at most 48 h ago",
        "must be promoted: rolling",
        "max_share 0.25",
        "contributor names: hidden",
        "max_regression 0.05",
        "sliced by carrier",
        "2 people may waive LABEL_FLIPS for 24 h",
        "tighter rules for src",
        "SCHEMA:extra",
    ):
        assert line in said, line
    assert main(["policy", "explain", policy, "--source", "src"]) == 0
    assert "sealed at most 12 h ago" in capsys.readouterr().out
