"""Who may see what: Airflow's own answer about the asset of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AssetDetails
from airflow.models.asset import AssetModel
from sqlalchemy import select
from sqlalchemy.orm import selectinload

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

    Cost: one query for all names, or two.
    """
    # Airflow adds a slash to an address that has no path.
    uris = {ASSET_SCHEME + name + end: name for name in names for end in ("", "/")}
    found = session.scalars(
        select(AssetModel)
        .where(AssetModel.uri.in_(uris))
        .options(selectinload(AssetModel.scheduled_dags))
    )
    assets = {uris[asset.uri]: asset for asset in found}
    allowed = get_auth_manager().is_authorized_asset
    return {
        name: sorted(reference.dag_id for reference in asset.scheduled_dags) if asset else []
        for name, asset in ((name, assets.get(name)) for name in names)
        if asset is None or allowed(method="GET", details=AssetDetails(id=str(asset.id)), user=user)
    }
