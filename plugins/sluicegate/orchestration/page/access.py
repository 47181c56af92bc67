"""Who may see what: Airflow's own answer about the asset of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AssetDetails
from airflow.models.asset import AssetModel, DagScheduleAssetReference
from sqlalchemy import select

from sluicegate.workflow.admission.protected import ASSET_SCHEME

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session


def readable(names: Collection[str], user: BaseUser, session: Session) -> dict[str, list[str]]:
    """Return the sources that a person may read, each with the DAGs that wait for it.

    Args:
        names: Names of sources.
        user: Who asks; may read assets in general.
        session: Airflow's database.

    Returns:
        Name to the ids of DAGs, in order. A source without an asset in Airflow is shown to
        everybody who may read assets.

    Cost: one query for all names.
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
    return {
        name: sorted(dags[name])
        for name, numbers in assets.items()
        if all(
            allowed(method="GET", details=AssetDetails(id=str(number)), user=user)
            for number in numbers
        )
    }
