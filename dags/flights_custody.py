"""Set the newest batch of flights aside, or let it back after the gate judged it again.

    airflow dags trigger flights_custody --conf '{"action": "quarantine", "reason": "hacked"}'
    airflow dags trigger flights_custody --conf '{"action": "release", "reason": "confirmed"}'

A quarantine keeps bytes and reasons, and stops every training task on that batch, whatever its
verdict. A release judges the same batch again, and lets it back only if it passes.
"""

from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

with DAG(
    "flights_custody",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "action": Param(type="string", enum=["quarantine", "release"]),
        "reason": Param(type="string", minLength=1),
    },
    doc_md=__doc__,
):
    BashOperator(
        task_id="change",
        # As environment, so that no reason can become a command.
        bash_command='sluicegate "$ACTION" flights --reason "$REASON"',
        env={"ACTION": "{{ params.action }}", "REASON": "{{ params.reason }}"},
        append_env=True,
    )
