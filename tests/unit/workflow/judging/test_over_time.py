"""Slow poison in the gate: no batch is blocked alone, and the ledger's history adds them up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.workflow.conftest import AT, rows, write

from sluicegate.cli.main import main
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.signals.decision.record import SEQUENCE, Status
from sluicegate.workflow.auditing.audit import audit
from sluicegate.workflow.evidence.verified import Evidence

N_ROWS = 300


def slowly_flipped(seed: int, share: float = 0.06) -> pa.Table:
    """Too few flips for one batch of this size."""
    table = rows(seed, N_ROWS)
    labels = np.array(table["label"].to_pylist(), dtype="int8")
    bad = np.random.default_rng(seed).choice(N_ROWS, round(share * N_ROWS), replace=False)
    labels[bad] = 1 - labels[bad]
    return table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels))


@pytest.fixture
def patient(site):
    """An installation that tolerates a tenth of wrong labels in any one batch."""
    lax = "LABEL_FLIPS: {severity: block, tolerance: 0.1}"
    assert "LABEL_FLIPS: {severity: block, required: false}" in DEFAULT_POLICY
    policy = DEFAULT_POLICY.replace("LABEL_FLIPS: {severity: block, required: false}", lax)
    skew = "  CONTRIBUTOR_LABEL_SKEW: {severity: block, tolerance: 0.1}\n"
    site.home.policy.write_text(policy + skew, encoding="utf-8")
    return site


@pytest.fixture
def watched(patient):
    """The same, and its policy demands the sequence."""
    with patient.home.policy.open("a", encoding="utf-8") as file:
        file.write(f"  {SEQUENCE}: {{severity: block, tolerance: 0.02}}\n")
    return patient


def judge(site, number: int, table: pa.Table):
    at = AT + timedelta(minutes=number)
    site.seal(write(table, site.root / f"batch{number}"), at)
    return site.gate(at)[0].verdict


def reasons(verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons}


def test_slow_flips_add_up_over_verdicts_and_are_blocked(watched):
    verdicts = [judge(watched, i, slowly_flipped(50 + i)) for i in range(8)]
    assert verdicts[0].result is Status.PASSED
    blocked = [verdict for verdict in verdicts if verdict.result is Status.FAILED]
    assert set().union(*map(reasons, verdicts)) == {SEQUENCE}
    assert "batches" in blocked[0].reasons[0].message
    late = AT + timedelta(hours=1)
    assert audit(watched.evidence(late), at=late).findings == ()


def test_policy_that_does_not_name_it_asks_for_none(patient):
    verdicts = [judge(patient, i, slowly_flipped(50 + i)) for i in range(8)]
    assert {verdict.result for verdict in verdicts} == {Status.PASSED}


def test_honest_batches_pass_also_after_a_blocked_one(watched):
    poisoned = slowly_flipped(70, share=0.4)
    tables = [rows(60, N_ROWS), poisoned, *(rows(61 + i, N_ROWS) for i in range(3))]
    results = [judge(watched, i, table).result for i, table in enumerate(tables)]
    assert results == [Status.PASSED, Status.FAILED, *[Status.PASSED] * 3]


def test_batch_judged_again_counts_once(watched):
    first = judge(watched, 0, slowly_flipped(50))
    for minute in range(1, 6):
        again = watched.gate(AT + timedelta(minutes=minute))[0].verdict
        assert again.reasons == first.reasons
    assert again.result is Status.PASSED


def test_history_that_does_not_verify_blocks(watched, monkeypatch):
    """Evidence that is taken away must not make the batch look better."""
    judge(watched, 0, rows(60, N_ROWS))
    read = Evidence.statement

    def damaged(self, record, role, **when):
        found = read(self, record, role, **when)
        if "testResult" in str(found.predicate.get("sluicegate", {})):
            name = {"testResult": "sha256:" + "0" * 64}
            found = replace(
                found,
                predicate={
                    **found.predicate,
                    "sluicegate": {**found.predicate["sluicegate"], **name},
                },
            )
        return found

    monkeypatch.setattr(Evidence, "statement", damaged)
    at = AT + timedelta(minutes=1)
    watched.seal(write(rows(61, N_ROWS), watched.root / "next"), at)
    verdict = watched.gate(at)[0].verdict
    assert verdict.result is Status.FAILED
    assert "cannot be verified" in next(r.message for r in verdict.reasons if r.code == SEQUENCE)


def test_labels_that_nobody_judged_leave_no_sequence(watched):
    unlabelled = rows(60, N_ROWS).drop_columns(["label"])
    verdict = judge(watched, 0, unlabelled)
    assert verdict.result is Status.FAILED
    assert SEQUENCE in reasons(verdict)


def test_lint_knows_the_signals_that_no_baseline_supports(watched, capsys):
    assert main(["policy", "lint", str(watched.home.policy)]) == 0
    assert "no such signal" not in capsys.readouterr().out
