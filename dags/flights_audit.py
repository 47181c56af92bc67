"""Audit the ledger every night, and fail when something was rewritten or is missing.

``SLUICEGATE_AUDIT_MEMORY`` names the file that keeps the checkpoint seen last; put it where nobody
who can write the ledger can write. Give the operator ``airflow_conn_id`` too, and it compares
what Airflow ran with what the verdicts allowed; see docs/audit.md.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.sdk import DAG

from sluicegate.orchestration.operators_audit import LedgerAuditOperator

with DAG(
    "flights_audit",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,  # by the clock: whoever copies it decides when it begins
    doc_md=__doc__,
):
    LedgerAuditOperator(
        task_id="audit",
        memory=os.environ.get("SLUICEGATE_AUDIT_MEMORY", "/var/lib/sluicegate-audit/checkpoint"),
    )
