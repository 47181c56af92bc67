"""What the guard is for: a training DAG whose author forgot, or avoided, the gate.

It reads a directory that it was given, and names no verified asset. The administrator protects the
tag ``training``, so the guard refuses it at the first try, although it asks for three retries.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

with DAG(
    "ungated_training",
    schedule=None,
    catchup=False,
    tags=["training"],
    default_args={"retries": 3},
    params={"path": Param(type="string", minLength=1)},
    doc_md=__doc__,
):

    @task
    def train_on_whatever_is_there(params: dict[str, str] | None = None) -> int:
        """Count the rows it would have trained on; under the guard this never runs."""
        import pandas as pd

        assert params is not None  # noqa: S101 - Airflow passes the params
        return len(pd.read_parquet(params["path"]))

    train_on_whatever_is_there()
