"""All months of the flights, by a backfill in a real Airflow, against what live runs said."""

import shutil
from datetime import UTC, datetime

import pytest
from tests.support.flights_site import FlightsSite
from tests.unit.workflow.conftest import Site

from sluicegate.attest.keys import read_signer
from sluicegate.cli.demo.airflow_rest import wait_until
from sluicegate.gate.verdict import AS_OF
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger

pytestmark = pytest.mark.airflow

DAG_ID = "flights_backfill"
MONTHS = range(1, 13)


def said(verdict):
    """Return what a verdict says of a batch, whoever issued it and when."""
    reasons = [(reason.code, reason.column, reason.message) for reason in verdict.reasons]
    return verdict.result, verdict.baseline, reasons


@pytest.fixture(scope="module")
def live(real_airflow, tmp_path_factory):
    """What each month is judged when it comes, in an installation of its own."""
    _, original, _ = real_airflow
    data = FlightsSite(original.root.parent)
    site = Site(tmp_path_factory.mktemp("live") / "site")
    shutil.copytree(original.root, site.root)
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    found = {}
    for month in MONTHS:
        at = datetime.now(UTC).replace(microsecond=0)
        evidence = open_evidence(site.home, at=at, ledger_signer=signers.ledger)
        run = {"orchestrator": "live"}
        key = read_signer(site.home.key("source"))
        seal_into_ledger(
            data.month(month), "flights", evidence=evidence, signer=key, at=at, run=run
        )
        issued, batch = gate_source(
            site.home, "flights", signers=signers, at=at, run=run, runner=evaluate_directly
        )
        found[str(batch.digest)] = said(issued.verdict)
    return found


@pytest.fixture(scope="module")
def filled(real_airflow, live):
    """Backfill the year, and return what the ledger holds of each month, in order."""
    airflow, site, _ = real_airflow
    airflow.backfill(DAG_ID, "2013-01-01", "2013-12-31")

    def ended():
        runs = airflow.rest.call("GET", f"/dags/{DAG_ID}/dagRuns?limit=100")["dag_runs"]
        states = [run["state"] for run in runs if run["run_type"] == "backfill"]
        done = len(states) == len(MONTHS) and set(states) <= {"success", "failed"}
        return states if done else None

    wait_until(ended, timeout_s=900, what="twelve backfilled runs", locator=DAG_ID)
    evidence = open_evidence(site.home, at=datetime.now(UTC))
    at = datetime.now(UTC)
    seals = [
        evidence.sealed_by(evidence.ledger.get_verified(item.index), at=at)
        for item in evidence.ledger.find("provenance", "flights", newest_first=False)
    ]
    return [evidence.verdict_of("flights", seal.digest, at=at).verdict for seal in seals]


def test_backfill_gives_the_verdicts_that_the_live_runs_gave(filled, live):
    assert [said(verdict) for verdict in filled] == list(live.values())
    assert {verdict.result for verdict in filled} >= {Status.FAILED}
    days = [verdict.run[AS_OF][:7] for verdict in filled]
    assert days == [f"2013-{month:02d}" for month in MONTHS]


def test_each_run_judged_the_month_that_it_sealed_and_only_once(real_airflow, filled):
    _, site, _ = real_airflow
    ledger = open_evidence(site.home, at=datetime.now(UTC)).ledger
    assert len(list(ledger.find("verdict", "flights"))) == len(MONTHS)


def test_all_months_that_are_blocked_are_one_message(real_airflow, filled):
    airflow, _, _ = real_airflow
    blocked = [verdict.result is Status.FAILED for verdict in filled]
    assert sum(blocked) > 1
    assert len(filled) > sum(blocked)
    subjects = [mail["Subject"] for mail in airflow.mails]
    assert len(subjects) == 1, subjects
    assert subjects[0].startswith("flights: training is blocked by")
