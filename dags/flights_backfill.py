"""Seal and judge a month of flights each month, and the months before by a backfill.

The month is the run's logical date, so a backfill reads the same files as the live run would
have, and is judged by the baseline that was in force on that date:

    airflow backfill create --dag-id flights_backfill --from-date 2013-01-01 --to-date 2013-12-31

Each run judges the batch that it sealed itself, however many run at once. ``tell`` sends a message
when months begin to be blocked, and another when they pass again. It uses Airflow's own SMTP
notifier with the connection ``smtp_default``; its provider is imported only to send.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import DAG

from sluicegate.orchestration.notifier import IncidentNotifier
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

if TYPE_CHECKING:
    from airflow.sdk.bases.notifier import BaseNotifier

DATA = os.environ.get("FLIGHTS_DATA", "/data/flights")


def mail(subject: str, text: str) -> BaseNotifier:
    """Return the notifier that sends a message.

    Args:
        subject: One line.
        text: HTML.
    """
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(
        from_email="sluicegate@example.com",
        to="data-owner@example.com",
        subject=subject,
        html_content=text,
    )


tell = IncidentNotifier(source="flights", send=mail, as_html=True)

with DAG(
    "flights_backfill",
    schedule="0 0 1 * *",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    end_date=datetime(2013, 12, 31, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
):
    seal = SealSourceOperator(
        task_id="seal",
        source="flights",
        path=DATA + "/month={{ logical_date.strftime('%m') }}",
    )
    TrainingGateOperator(
        task_id="gate",
        source="flights",
        batch=seal.output,
        on_failure_callback=tell,
        on_success_callback=tell,
    )
