"""Judge a large batch of flights in portions: mapped tasks count, and the gate adds up.

Trigger it with a directory of many files, and where the tasks may leave what they counted:

    airflow dags trigger flights_mapped --conf '{"path": "/data/flights", "place": "/data/tallies"}'

Each mapped task reads only its portion of the files, verified against the seal, and leaves a signed
tally. The gate reads no row. It makes the verdict that it would make of the batch in one piece, or
none: a tally that is missing, doubled, foreign, stale or edited is refused.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator
from sluicegate.orchestration.operators_portions import CountPortionOperator, CutBatchOperator

with DAG(
    "flights_mapped",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "path": Param(type="string", minLength=1, description="directory of files to judge"),
        "place": Param(type="string", minLength=1, description="where tallies lie"),
    },
    doc_md=__doc__,
):
    seal = SealSourceOperator(task_id="seal", source="flights", path="{{ params.path }}")
    cut = CutBatchOperator(
        task_id="cut", source="flights", portions=8, place="{{ params.place }}", batch=seal.output
    )
    count = CountPortionOperator.partial(task_id="count", source="flights").expand(
        portion=cut.output
    )
    TrainingGateOperator(task_id="gate", source="flights", tallies=count.output)
