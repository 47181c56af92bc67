"""Compare a new model with the one in use on a sealed golden set; promote it only if it passes.

    airflow dags trigger flights_model_gate --conf '{"folder": "/data/models/new"}'

The folder holds ``model`` (the files), ``schema.yaml`` (the golden set's columns), and the answers
of both models on the golden set, ``champion.parquet`` and ``challenger.parquet``. The verdict is
bound to the exact files, so ``verify`` refuses any other; the policy needs a section ``model``.
See docs/model-gate.md.
"""

from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

CHECK = """sluicegate model check flights.late --model "$FOLDER/model" --golden flights.golden \
--schema "$FOLDER/schema.yaml" --champion "$FOLDER/champion.parquet" \
--challenger "$FOLDER/challenger.parquet" --trained-on flights"""
VERIFY = 'sluicegate model verify flights.late --model "$FOLDER/model"'

with DAG(
    "flights_model_gate",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"folder": Param(type="string", minLength=1)},
    default_args={"env": {"FOLDER": "{{ params.folder }}"}, "append_env": True},
    doc_md=__doc__,
):
    check = BashOperator(task_id="check", bash_command=CHECK)
    check >> BashOperator(task_id="promote", bash_command=VERIFY)
