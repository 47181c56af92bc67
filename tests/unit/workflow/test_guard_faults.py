"""Each thing that evidence can lack stops admission, or the gate before it, and says why.

tests/airflow/test_guard_matrix.py plays the same faults on every way to start a task.
"""

from __future__ import annotations

import shutil

import pytest
from tests.support.guard_faults import FAULTS, UNJUDGED, build_faulty_site
from tests.support.waiver_site import name_approvers
from tests.unit.workflow.conftest import AT, RUN, Site

from sluicegate.errors import SluicegateError
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.overview.overview import Overview
from sluicegate.workflow.overview.source_state import State

# Each fault is an installation of its own.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faulty(built_site, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("faulty") / "site")
    shutil.copytree(built_site, site.root)
    name_approvers(site, "alice", "bob")
    build_faulty_site(site)
    return site


def test_source_with_all_its_evidence_is_admitted(faulty):
    assert admit_training(faulty.home, ["good"], at=AT)


@pytest.mark.parametrize("source", FAULTS)
def test_faulty_evidence_admits_nothing_and_says_why(faulty, source):
    fault = FAULTS[source]
    with pytest.raises(SluicegateError) as caught:
        admit_training(faulty.home, [source], at=AT)
    assert caught.value.code == fault.code
    assert fault.text in f"[{caught.value.code}] {caught.value}"


STATES = {
    "EVIDENCE_MISSING": State.NOT_JUDGED,
    "EXPIRED": State.STALE,
    "GATE_BLOCKED": State.BLOCKED,
}


@pytest.mark.parametrize("source", ["good", *FAULTS])
def test_the_page_says_of_a_source_what_the_guard_says(faulty, source):
    with Overview(lambda: faulty.home, lambda: AT).question() as question:
        found = question.state(source)
    if source == "good":
        assert (found.state, found.refusal) == (State.TRUSTED, None)
    else:
        code = FAULTS[source].code
        expected = STATES.get(code, State.NOT_VERIFIED)
        assert found.state is (State.NOT_SEALED if source == "unsealed" else expected)
        assert (found.refusal.code, found.admission) == (code, None)


@pytest.mark.parametrize("source", UNJUDGED)
def test_faulty_baseline_judges_nothing_says_why_and_leaves_no_verdict(faulty, source):
    signers = GateSigners(faulty.signer("gate"), faulty.signer("ledger"))
    with pytest.raises(SluicegateError) as caught:
        gate_source(faulty.home, source, signers=signers, at=AT, run=RUN, runner=evaluate_directly)
    fault = UNJUDGED[source]
    assert caught.value.code == fault.code
    assert fault.text in str(caught.value)
    with pytest.raises(SluicegateError, match="no verdict of this batch"):
        admit_training(faulty.home, [source], at=AT)


def test_every_item_is_missing_stale_forged_nan_and_erroring_somewhere():
    """A verdict that is NaN in its findings never comes to be; a waiver missing is a block."""
    kinds = {}
    for fault in (*FAULTS.values(), *UNJUDGED.values()):
        kinds.setdefault(fault.item, set()).add(fault.kind)
    for item in ("seal", "verdict", "baseline"):
        assert {"missing", "stale", "forged", "NaN", "erroring"} <= kinds[item]
    assert {"stale", "forged", "NaN", "erroring"} <= kinds["waiver"]
