"""What the audit says of one run, with what Airflow recorded read by an administrator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sluicegate.workflow.auditing.audit import audit, open_for_audit
from sluicegate.workflow.auditing.collect_records import collect_records
from sluicegate.workflow.auditing.runs import RunRules

SLACK = timedelta(seconds=1)
"""One machine, one clock: a minute would forgive what happens in seconds here."""


def findings_of(airflow, site, run_id):
    """Return code, task and message of each finding about a run, in the audit's order."""
    now = datetime.now(UTC)
    records = collect_records(airflow.rest, collected=now)
    at = now.replace(microsecond=0) + SLACK
    evidence = open_for_audit(site.home, at=at)
    found = audit(evidence, at=at, records=records, rules=RunRules(slack=SLACK)).findings
    return [(item.code, item.locator, item.message) for item in found if run_id in item.locator]


def codes_of(airflow, site, run_id):
    """Return the codes of the findings about a run, sorted, each once."""
    return sorted({code for code, _, _ in findings_of(airflow, site, run_id)})
