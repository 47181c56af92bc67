"""Train by the clock instead of by an event: wait for the night's verdict, then train.

``wait`` takes no worker slot: the triggerer checks the ledger. It ends when the newest batch of
flights passed or was waived, and fails if neither happens in time. The guard then asks for the
evidence of ``train`` as usual, so nothing starts if somebody skips ``wait`` or marks it successful.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from sluicegate.orchestration.guarded import guarded_task
from sluicegate.orchestration.operators_wait import WaitForVerdictOperator

with DAG(
    "flights_nightly",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,  # by the clock: whoever copies it decides when it begins
    max_active_runs=1,
    tags=["training"],
    doc_md=__doc__,
):

    @guarded_task(sources=["flights"], retries=0)
    def train() -> int:
        """Count the rows it trains on."""
        from sluicegate import load_verified

        return len(load_verified("flights"))

    wait = WaitForVerdictOperator(task_id="wait", source="flights", timeout=timedelta(hours=6))
    wait >> train()
