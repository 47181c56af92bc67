"""Derive features from sealed flights, and seal them together with what they were made of.

    airflow dags trigger flights_features --conf '{"out": "/data/features"}'

``sluicegate lineage --source flights.features`` then draws the chain back to the source, and
``sluicegate uses flights`` lists what was made of a batch. If Sluicegate is installed as a
provider, the decorator is also called ``@task.sealed``.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, Param

from sluicegate.orchestration.lineage import sealed_task

with DAG(
    "flights_features",
    schedule=None,
    catchup=False,
    params={"out": Param(type="string", minLength=1, description="directory to write")},
    doc_md=__doc__,
):

    @sealed_task(output="flights.features", inputs=["flights"])
    def build(params: dict[str, str] | None = None) -> str:
        """Write the delay by carrier and weekday."""
        from sluicegate import load_verified

        assert params is not None  # noqa: S101 - Airflow passes the params
        flights = load_verified("flights")
        by = flights.groupby(["carrier", "day_of_week"], as_index=False)["dep_delay"].mean()
        out = Path(params["out"])
        out.mkdir(parents=True, exist_ok=True)
        by.to_parquet(out / "features.parquet")
        return str(out)

    build()
