"""The asset that says "this source has a verdict", and nothing more than that.

An asset event tells Airflow *when* to start training. It proves nothing: whoever may call
the REST API can post one. So its extra only points to evidence in the ledger.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sluicegate.workflow.admission.protected import ASSET_SCHEME, source_of_uri
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from airflow.sdk import Asset

_log = logging.getLogger("sluicegate.assets")


def verified_asset(source: str) -> Asset:
    """Return the asset of a gated source, for ``outlets``, ``inlets`` and ``schedule``.

    Its name is the URI too. So a reference by name (``Asset.ref(name=...)``) still shows the guard
    what it refers to, without a database.

    Args:
        source: Name of the source, see ``check_source_name``.

    Raises:
        ConfigError: ``source`` is not a source name.
    """
    from airflow.sdk import Asset

    uri = ASSET_SCHEME + check_source_name(source)
    return Asset(name=uri, uri=uri)


def announce(context: Mapping[str, Any], source: str, pointer: dict[str, str]) -> None:
    """Emit the event that starts what is scheduled on a source.

    An event inherits the partition key of its run, and Airflow starts no DAG with a plain
    ``schedule=[asset]`` by an event that has one. Whoever waits for it would wait for ever, so the
    log says so.

    Args:
        context: Of the task that judged the batch.
        source: Name of the source.
        pointer: Where the evidence lies.
    """
    asset = verified_asset(source)
    context["outlet_events"][asset].extra = pointer
    if (key := getattr(context.get("dag_run"), "partition_key", None)) is not None:
        _log.warning(
            "The event of %s has its run's partition key %r: it starts DAGs with "
            "schedule=PartitionedAssetTimetable(assets=verified_asset(%r)) only.",
            asset.uri,
            key,
            source,
        )


def source_of(asset: object) -> str | None:
    """Return the source that an asset or asset reference stands for.

    Args:
        asset: Anything with ``uri`` or ``name``: asset, reference, or their serialized form.

    Returns:
        The source name, or None if the asset is not one of ours.

    Raises:
        ConfigError: The URI has our scheme but names no source.
    """
    return source_of_uri(uri_of(asset))


def uri_of(asset: object) -> str:
    """Return the URI of an asset; its name if it has only a name; "" if it has neither."""
    return str(getattr(asset, "uri", None) or getattr(asset, "name", None) or "")
