"""Promote a rolling baseline from the newest batches that passed.

    airflow dags trigger flights_promotion --conf '{"key": "/keys/mine.pem"}'

Only batches with a PASSED, enforced verdict are taken, and the gate checks them again each time it
judges. If the trust policy wants two signatures of the role ``baseline``, this DAG only proposes,
and another person confirms with ``sluicegate baseline promote flights --confirm``.
"""

from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

PROMOTE = 'sluicegate baseline promote flights --lane rolling --last "$LAST" --key "$KEY"'

with DAG(
    "flights_promotion",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"last": Param(3, type="integer", minimum=1), "key": Param(type="string", minLength=1)},
    doc_md=__doc__,
):
    BashOperator(
        task_id="promote",
        bash_command=PROMOTE,
        env={"KEY": "{{ params.key }}", "LAST": "{{ params.last }}"},
        append_env=True,
    )
