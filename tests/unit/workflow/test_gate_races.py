"""Two gates on one batch, a batch that is still being written, and clocks that disagree."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, rows, write

from sluicegate.attest.timestamps import CLOCK_SKEW
from sluicegate.cli.options import now
from sluicegate.errors import EvidenceMissing, Expired, IntegrityError, SluicegateError
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.auditing.audit import audit
from sluicegate.workflow.judging.runners import evaluate_directly


def test_two_gates_at_once_on_one_batch_leave_one_sound_ledger(site):
    site.seal(site.clean)
    both_there = threading.Barrier(2, timeout=60)

    def meet(*arguments):
        found = evaluate_directly(*arguments)
        both_there.wait()
        return found

    with ThreadPoolExecutor(2) as pool:
        issued = list(pool.map(lambda _: site.gate(runner=meet)[0], range(2)))
    assert {one.verdict.result for one in issued} == {Status.PASSED}
    assert audit(site.evidence(), at=AT).findings == ()
    # The same finding at the same time is one entry, not two that could disagree.
    assert len({one.envelope for one in issued}) == 1
    assert admit_training(site.home, ["src"], at=AT)


def test_gate_that_fails_beside_one_that_passes_blocks_training(site):
    site.seal(site.clean)
    site.gate()
    (strict := site.home.policy).write_text(
        strict.read_text(encoding="utf-8") + "contributors: {max_share: 0.05}\n", encoding="utf-8"
    )
    later = AT + timedelta(seconds=1)
    assert site.gate(at=later)[0].verdict.result is Status.FAILED
    with pytest.raises(SluicegateError, match="CONTRIBUTOR_LIMIT"):
        admit_training(site.home, ["src"], at=later)


def test_policy_changed_while_the_gate_command_judges_counts_from_training_on(site, monkeypatch):
    """One gate run goes by one reading of the policy; the guard reads the one in force."""
    from sluicegate.cli.main import main
    from sluicegate.workflow.judging import runners

    def meanwhile(*arguments):
        with site.home.policy.open("a", encoding="utf-8") as file:
            file.write("contributors: {max_share: 0.05}\n")
        return evaluate_directly(*arguments)

    monkeypatch.setattr(runners, "evaluate_directly", meanwhile)
    home = ["--home", str(site.home.root)]
    assert main(["gate", "src", "--seal", str(site.clean), *home]) == 0
    with pytest.raises(SluicegateError, match="under policy"):
        admit_training(site.home, ["src"], at=now())


def test_batch_that_is_still_being_written_is_never_judged(site):
    place = write(rows(21), site.root / "growing")
    site.seal(place)
    whole = (place / "part.parquet").read_bytes()
    (place / "part.parquet").write_bytes(whole + b"more")
    with pytest.raises(IntegrityError):
        site.gate()
    (place / "part.parquet").write_bytes(whole)
    (place / "late.parquet").write_bytes(whole)
    # A file that came after the seal is no part of the batch, and is not read.
    assert site.gate()[1].manifest.entries[0].path == "part.parquet"


def test_baseline_directory_that_is_gone_could_not_be_checked(site):
    site.seal(site.clean)
    site.home.baseline_dir("src").rename(site.root / "moved")
    with pytest.raises(EvidenceMissing):
        site.gate()


def test_batch_sealed_and_judged_by_a_clock_that_runs_ahead_trains_within_the_skew(site):
    ahead = AT + CLOCK_SKEW
    site.home.policy.write_text(
        site.home.policy.read_text(encoding="utf-8") + "freshness: {sealed_hours: 1}\n",
        encoding="utf-8",
    )
    site.seal(site.clean, at=ahead)
    site.gate(at=ahead)
    assert admit_training(site.home, ["src"], at=AT)
    with pytest.raises(Expired, match="a clock is wrong"):
        admit_training(site.home, ["src"], at=AT - timedelta(seconds=1))
