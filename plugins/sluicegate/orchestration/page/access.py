"""Who may see what: Airflow's own answer about the asset of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    AssetDetails,
    DagAccessEntity,
    DagDetails,
)
from airflow.models.asset import AssetModel, DagScheduleAssetReference
from sqlalchemy import select

from sluicegate.workflow.admission.protected import ASSET_SCHEME

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session

_OF_A_DAG: Final = frozenset({"dag_id", "run_id", "task_id", "map_index", "try_number"})
"""What names a run of a DAG in a statement."""


def readable(names: Collection[str], user: BaseUser, session: Session) -> dict[str, list[str]]:
    """Return the sources that a person may read, each with the DAGs that wait for it.

    Args:
        names: Names of sources.
        user: Who asks; may read assets in general.
        session: Airflow's database.

    Returns:
        Name to the ids of those DAGs that the person may read, in order. A source without an asset
        in Airflow is shown to everybody who may read assets.

    Cost: one query for all names, and `readable_dags`.
    """
    # Airflow adds a slash to an address that has no path.
    uris = {ASSET_SCHEME + name + end: name for name in names for end in ("", "/")}
    # Columns only: making an object of each asset costs four times as much.
    found = session.execute(
        select(AssetModel.id, AssetModel.uri, DagScheduleAssetReference.dag_id)
        .outerjoin(AssetModel.scheduled_dags)
        .where(AssetModel.uri.in_(uris))
    )
    assets: dict[str, set[int]] = {name: set() for name in names}
    dags: dict[str, set[str]] = {name: set() for name in names}
    for number, uri, dag in found:
        assets[uris[uri]].add(number)
        dags[uris[uri]] |= {dag} - {None}
    allowed = get_auth_manager().is_authorized_asset
    seen = readable_dags(user, session) if any(dags.values()) else frozenset()
    return {
        name: sorted(dags[name] & seen)
        for name, numbers in assets.items()
        if all(
            allowed(method="GET", details=AssetDetails(id=str(number)), user=user)
            for number in numbers
        )
    }


def readable_dags(user: BaseUser, session: Session) -> frozenset[str]:
    """Return the ids of the DAGs that a person may read, by Airflow's own word.

    Args:
        user: Who asks.
        session: Airflow's database.

    Cost: one query, and a question to the auth manager for each DAG.
    """
    return frozenset(get_auth_manager().get_authorized_dag_ids(user=user, session=session))


def may_read_runs(dag: str, user: BaseUser) -> bool:
    """Return whether a person may read what the tasks of a DAG did.

    Args:
        dag: Id of the DAG.
        user: Who asks.
    """
    return all(
        get_auth_manager().is_authorized_dag(
            method="GET", access_entity=entity, details=DagDetails(id=dag), user=user
        )
        for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
    )


def seen_run(run: Mapping[str, str], user: BaseUser) -> dict[str, str]:
    """Return who ran something, without DAG, run and task if a person may not read that DAG.

    Args:
        run: As a statement names it. The DAG may be one that Airflow has forgotten.
        user: Who asks.
    """
    dag = run.get("dag_id")
    allowed = dag is None or get_auth_manager().is_authorized_dag(
        method="GET", details=DagDetails(id=dag), user=user
    )
    return {key: value for key, value in run.items() if allowed or key not in _OF_A_DAG}
