"""Which sources a task reads when only its run can tell: aliases, names and asset events.

Only Airflow knows what a reference stands for, and only while a task runs. The task's process asks
through the Execution API, as Airflow itself does to build the context of such a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.orchestration.assets import uri_of
from sluicegate.orchestration.protecting.pointers import triggering_sources
from sluicegate.orchestration.protecting.protection import is_protected, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.orchestration.protecting.protection import Protection
    from sluicegate.orchestration.settings import Settings


def sources_at_run(
    protection: Protection, context: Mapping[str, Any], settings: Settings
) -> tuple[str, ...]:
    """Return every source whose verdict this run of a task needs, sorted.

    If asset events started the run, the sources of these events count. If nothing did, as in a run
    started by hand, every source counts that a reference of the schedule may stand for.

    Args:
        protection: Why the task is protected, and the references that only a run resolves.
        context: Airflow's task context.
        settings: Which assets are protected.

    Raises:
        ConfigError: A protected asset stands for no source.
        AirflowRuntimeError: Airflow does not answer.

    Cost: one request for each reference.
    """
    found = {*protection.sources, *_stands_for(protection.inlets, settings)}
    if protection.schedule:
        found.update(
            triggering_sources(context, settings) or _stands_for(protection.schedule, settings)
        )
    return tuple(sorted(found))


def _stands_for(references: tuple[Any, ...], settings: Settings) -> tuple[str, ...]:
    uris = {uri_of(asset) for reference in references for asset in _assets(reference)}
    return sources_of(sorted(uri for uri in uris if is_protected(uri, settings)))


def _assets(reference: Any) -> Iterator[Any]:
    from airflow.sdk import AssetAlias
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetAssetByName, GetAssetsByAlias
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    is_alias = isinstance(reference, AssetAlias)
    answer: Any = SUPERVISOR_COMMS.send(
        GetAssetsByAlias(alias_name=reference.name)
        if is_alias
        else GetAssetByName(name=reference.name)
    )
    if isinstance(answer, ErrorResponse):
        if answer.error is ErrorType.ASSET_NOT_FOUND:
            return  # it stands for nothing, so nothing can be read through it
        raise AirflowRuntimeError(answer)
    yield from answer.assets if is_alias else (answer,)
