"""Seal, gate, and make something new of what was sealed, as a user writes it."""

import shutil
from pathlib import Path

from airflow.sdk import DAG, Param

from sluicegate.orchestration.lineage import sealed_task
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

PATH = {"path": Param(type="string"), "out": Param(type="string")}

with DAG("chain", schedule=None, params=PATH):

    @sealed_task(output="features", inputs=["src"], retries=3, retry_delay=0)
    def build(out: str) -> str:
        shutil.copytree(Path(out).parent / "clean", out)
        return out

    @sealed_task(output="report", inputs=["features", "src"])
    def report(features: dict, **context: object) -> Path:
        written = Path(str(context["params"]["out"]) + ".txt")
        written.write_text(features["digest"])
        return written

    seal = SealSourceOperator(task_id="seal", source="src", path="{{ params.path }}")
    gate = TrainingGateOperator(task_id="gate", source="src")
    features = build("{{ params.out }}")
    seal >> gate >> features
    report(features)

with DAG("refused", schedule=None, params=PATH):

    @sealed_task(output="features", inputs=["never-sealed"], retries=1, retry_delay=0)
    def lacks_input() -> str:
        raise AssertionError("must not run")

    @sealed_task(output="features", inputs=["src"], retries=3, retry_delay=0)
    def returns_no_path() -> int:
        return 1

    lacks_input()
    SealSourceOperator(task_id="seal", source="src", path="{{ params.path }}") >> returns_no_path()
