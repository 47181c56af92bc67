"""The two operators as a user writes them, without and with a Great Expectations suite."""

import os
from datetime import timedelta

from airflow.sdk import DAG, Param, task, task_group

from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator
from sluicegate.orchestration.operators_portions import CountPortionOperator, CutBatchOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(0)}

VARIANTS = (
    ("direct", None, "sha256"),
    ("with_suite", os.environ["SUITE"], "sha256"),
    ("blake3", None, "blake3"),
)

for dag_id, suite, kind in VARIANTS:
    with DAG(dag_id, schedule=None, default_args=RETRIES, params={"path": Param(type="string")}):
        seal = SealSourceOperator(
            task_id="seal", source="src", path="{{ params.path }}", hash_type=kind
        )
        seal >> TrainingGateOperator(task_id="gate", source="src", suite=suite)


@task
def seal_elsewhere(path):
    """Seal another batch of the source as somebody outside Airflow would."""
    from datetime import UTC, datetime

    from sluicegate.orchestration.keys import signer_for
    from sluicegate.orchestration.settings import Settings
    from sluicegate.workflow.evidence.opening import open_evidence
    from sluicegate.workflow.sealing.seal import seal_into_ledger

    home, at = Settings.from_airflow(os.environ).home(), datetime.now(UTC).replace(microsecond=0)
    evidence = open_evidence(home, at=at, ledger_signer=signer_for("ledger", home))
    keys = {"evidence": evidence, "signer": signer_for("source", home)}
    seal_into_ledger(path, "src", at=at, run={"orchestrator": "elsewhere"}, **keys)


with DAG("overtaken", schedule=None, params={"path": Param(type="string"), "later": Param(None)}):
    seal = SealSourceOperator(task_id="seal", source="src", path="{{ params.path }}")
    later = seal_elsewhere("{{ params.later or params.path }}")
    seal >> later >> TrainingGateOperator(task_id="gate", source="src")

with DAG("mapped", schedule=None, params={"path": Param(type="string"), "later": Param(None)}):

    @task
    def paths(params=None):
        return [params["path"], params["later"]]

    @task_group
    def part(path):
        seal = SealSourceOperator(task_id="seal", source="src", path=path)
        seal >> TrainingGateOperator(task_id="gate", source="src")

    part.expand(path=paths())


@task
def edit(tallies, params=None):
    """Change one byte of a tally, if the scene says so."""
    from pathlib import Path

    if params["later"]:
        place = Path(next(iter(tallies))["tally"])
        data = place.read_bytes()
        place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


with DAG(
    "portions",
    schedule=None,
    default_args=RETRIES,
    params={"path": Param(type="string"), "later": Param(None)},
):
    seal = SealSourceOperator(task_id="seal", source="src", path="{{ params.path }}")
    cut = CutBatchOperator(
        task_id="cut", source="src", portions=4, place="{{ params.path }}-tallies"
    )
    count = CountPortionOperator.partial(task_id="count", source="src").expand(portion=cut.output)
    gate = TrainingGateOperator(task_id="gate", source="src", tallies=count.output)
    seal >> cut
    edit(count.output) >> gate
