"""Judge a batch of flights; if it is blocked, ask two people, and tell everybody once.

Trigger it with the batch to judge:

    airflow dags trigger flights_waived_gate --conf '{"path": "/data/flights/month=05"}'

If the gate lets the batch through, the two tasks of the group ``waiver`` are skipped. If not, they
wait until two people whom the policy names have answered Airflow's form; see docs/response.md.
Either way only the asset event starts training, never the state of these tasks. ``tell`` writes one
message for each incident into the task's log; use a notifier of the Slack or SMTP provider instead.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param
from airflow.sdk.bases.notifier import BaseNotifier

from sluicegate.orchestration.notifier import IncidentNotifier
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator
from sluicegate.orchestration.operators_waiver import waiver


class LogNotifier(BaseNotifier):
    """Writes a message into the task's log."""

    def __init__(self, subject: str, text: str) -> None:
        super().__init__()
        self.subject = subject
        self.text = text

    def notify(self, _context: object) -> None:
        """Write it."""
        self.log.warning("%s\n%s", self.subject, self.text)


tell = IncidentNotifier(source="flights", send=LogNotifier)

with DAG(
    "flights_waived_gate",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"path": Param(type="string", minLength=1, description="file or directory to judge")},
    doc_md=__doc__,
):
    seal = SealSourceOperator(task_id="seal", source="flights", path="{{ params.path }}")
    gate = TrainingGateOperator(
        task_id="gate", source="flights", on_failure_callback=tell, on_success_callback=tell
    )
    seal >> gate >> waiver("flights")
