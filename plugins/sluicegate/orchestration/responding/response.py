"""The DAG by which people act on a source: from the page, from Airflow's form or by REST.

The page starts a run of it as the person who is logged in, so Airflow decides who may, and its
audit log says who did. Keys are with the workers of these tasks, as for every gate; see
docs/adr/0030-the-page-starts-tasks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sluicegate.orchestration.operators_rollback import RollbackOperator
from sluicegate.orchestration.operators_waiver import waiver
from sluicegate.orchestration.responding.operators import (
    PromoteOperator,
    QuarantineOperator,
    ReleaseOperator,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import DAG

RESPONSE_TAG: Final = "sluicegate-response"
"""By this tag the page knows the DAG, and by its outlet the source."""

PROMOTES_TAG: Final = "sluicegate-promotes"
"""Says that its workers have the key of the role ``baseline``."""

PROMOTED: Final = 3
"""Batches behind a rolling baseline, unless somebody says otherwise."""

WAIVE: Final = "waive"
PROMOTE: Final = "promote"
ACTIONS: Final = ("quarantine", "release", "rollback", WAIVE)


def response(
    source: str,
    *,
    promotes: bool = False,
    dag_id: str | None = None,
    doc_md: str | None = None,
    **options: Any,
) -> DAG:
    """Return the DAG that sets a batch aside, lets it back, rolls back, or asks for a waiver.

    Args:
        source: Name of the source.
        promotes: Whether a rolling baseline may be built, too. Then the workers need the key of the
            role ``baseline``: whoever holds it decides what counts as clean.
        dag_id: Id of the DAG; ``sluicegate_response_SOURCE`` when None.
        doc_md: What Airflow's page shows of it.
        **options: For every task: ``queue``, ``executor_config``, ... The queue's workers need the
            keys of gate, source and ledger, and those of approvers if they shall waive.

    Returns:
        A DAG without schedule; assign it to a global name of the DAG file.

    Example::

        respond = response("flights", queue="sealing")
    """
    from airflow.sdk import DAG, Param, task

    actions = [*ACTIONS, *([PROMOTE] if promotes else [])]
    params = {
        "action": Param(type="string", enum=actions),
        "batch": Param(
            "",
            type="string",
            description="digest; without one the newest, for a rollback the last trusted",
        ),
        "reason": Param("", type="string", maxLength=2000, description="why; signed and kept"),
    }
    with DAG(
        dag_id or f"sluicegate_response_{source}",
        schedule=None,
        catchup=False,
        tags=[RESPONSE_TAG, *([PROMOTES_TAG] if promotes else [])],
        params=params,
        default_args=options,
        doc_md=doc_md,
    ) as dag:
        batch, reason = "{{ params.batch }}", "{{ params.reason }}"

        @task.branch
        def choose(params: Mapping[str, str] | None = None) -> str:
            """Name the task of an action; Airflow gives the parameters."""
            action = (params or {})["action"]
            return {WAIVE: "waiver.request"}.get(action, action)

        chosen = choose()
        if promotes:
            chosen >> PromoteOperator(task_id=PROMOTE, source=source, last=PROMOTED)
        chosen >> [
            QuarantineOperator(task_id="quarantine", source=source, batch=batch, reason=reason),
            ReleaseOperator(task_id="release", source=source, batch=batch, reason=reason),
            RollbackOperator(task_id="rollback", source=source, to=batch),
            waiver(source),
        ]
    return dag
