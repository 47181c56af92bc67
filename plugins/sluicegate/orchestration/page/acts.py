"""What a person may do about a source, and what it would do.

Nothing is done here. The browser asks Airflow's own API to start a run of the source's response
DAG, or to answer a question that one of its tasks asks, as the person who is logged in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    AssetDetails,
    DagAccessEntity,
    DagDetails,
)
from airflow.models.asset import AssetModel, TaskOutletAssetReference
from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import select

from sluicegate.errors import SluicegateError
from sluicegate.orchestration.answers import ABOUT, READING_S
from sluicegate.orchestration.responding.response import (
    PROMOTE,
    PROMOTED,
    PROMOTES_TAG,
    RESPONSE_TAG,
    WAIVE,
)
from sluicegate.workflow.admission.protected import ASSET_SCHEME
from sluicegate.workflow.auditing.history import last_trusted
from sluicegate.workflow.baselines.inputs import passed_batches
from sluicegate.workflow.overview.source_state import State
from sluicegate.workflow.response.waiver_question import question_about

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session

    from sluicegate.workflow.overview.overview import Question

RECENT: Final = 5
"""Runs of the response DAG that are shown."""


def shown_acts(
    question: Question, name: str, waiting: list[str], user: BaseUser, session: Session
) -> dict[str, Any]:
    """Return what this person may do about a source.

    Args:
        question: One look at the installation.
        name: Of the source; the person may read it.
        waiting: DAGs that wait for it.
        user: Who asks.
        session: Airflow's database.
    """
    assets, dags = _around(name, session)
    manager = get_auth_manager()
    may_change = bool(assets) and all(
        manager.is_authorized_asset(method="PUT", details=AssetDetails(id=str(i)), user=user)
        for i in assets
    )
    responding = [dag for dag, tags in dags.items() if RESPONSE_TAG in tags]
    dag = responding[0] if len(responding) == 1 else None
    may_start = (
        may_change
        and dag is not None
        and manager.is_authorized_dag(
            method="POST",
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=dag),
            user=user,
        )
    )
    questions = _questions(list(dags), user, session)
    promotes = dag is not None and PROMOTES_TAG in dags[dag]
    found = _acts(question, name, waiting, promotes=promotes) if may_start else []
    return {
        "dag": dag if may_start else None,
        "why_not": _why_not(may_change=may_change, dags=responding, may_start=may_start),
        # People are asked already: a second question about the same batch helps nobody.
        "acts": [one for one in found if one["action"] != WAIVE or not questions],
        "questions": questions,
        "runs": _runs(dag, session) if may_start and dag is not None else [],
        "reading_s": READING_S,
    }


def _around(name: str, session: Session) -> tuple[list[int], dict[str, set[str]]]:
    """Return the numbers of a source's asset, and the DAGs that announce it with their tags."""
    found = session.execute(
        select(AssetModel.id, TaskOutletAssetReference.dag_id, DagTag.name)
        .outerjoin(TaskOutletAssetReference, TaskOutletAssetReference.asset_id == AssetModel.id)
        .outerjoin(DagModel, DagModel.dag_id == TaskOutletAssetReference.dag_id)
        .outerjoin(DagTag, DagTag.dag_id == DagModel.dag_id)
        .where(AssetModel.uri.in_([ASSET_SCHEME + name, f"{ASSET_SCHEME}{name}/"]))
        .where(DagModel.dag_id.is_(None) | ~DagModel.is_stale)
    )
    assets: set[int] = set()
    dags: dict[str, set[str]] = {}
    for number, dag, tag in found:
        assets.add(number)
        if dag is not None:
            dags.setdefault(dag, set()).update({tag} - {None})
    return sorted(assets), dict(sorted(dags.items()))


def _why_not(*, may_change: bool, dags: list[str], may_start: bool) -> str | None:
    if may_start:
        return None
    if len(dags) > 1:
        return "Several DAGs act on this source, and one is wanted."
    if not dags:
        return "No DAG acts on this source. Add response() for it to a DAG file."
    if not may_change:
        return "Acting needs the right to change the source's asset in Airflow."
    return "Acting needs the right to start the DAG that acts on this source."


def _acts(
    question: Question, name: str, waiting: list[str], *, promotes: bool
) -> list[dict[str, str]]:
    """Return what can be done now, each with what it would do."""
    state = question.state(name)
    newest = question.evidence.newest_provenance(name)
    if newest is None:
        return []
    batch = question.evidence.latest_seal(name, at=question.at)
    digest, short = str(batch.digest), batch.digest.short
    starts = f" DAGs that wait for it: {', '.join(waiting)}." if waiting else ""
    found = []
    if state.state is State.QUARANTINED:
        does = (
            f"The gate judges batch {short} again. Only if it passes, the quarantine ends and "
            f"training may start on it.{starts}"
        )
        found.append(_act("release", "Release", does, digest))
    else:
        does = (
            f"Nothing trains on batch {short} from then on, whatever its verdict. Its bytes, "
            "evidence and your reason are kept."
        )
        found.append(_act("quarantine", "Quarantine", does, digest))
    found += _rollback(question, name, digest, starts)
    if state.state is State.BLOCKED:
        found += _waiver(question, name, short)
    if promotes:
        found += _promotion(question, name)
    return found


def _act(action: str, label: str, does: str, batch: str) -> dict[str, str]:
    return {"action": action, "label": label, "does": does, "batch": batch}


def _rollback(question: Question, name: str, newest: str, starts: str) -> list[dict[str, str]]:
    policy = question.policy.for_source(name)
    try:
        batch = last_trusted(question.evidence, policy, name, at=question.at)
    except SluicegateError:
        return []
    if str(batch.digest) == newest:
        return []
    does = (
        f"Batch {batch.digest.short}, version {batch.version}, was the last that could be trained "
        "on. It becomes the newest again, if its bytes are those that were sealed. If its verdict "
        f"no longer counts, the gate judges it again.{starts}"
    )
    return [_act("rollback", "Roll back", does, str(batch.digest))]


def _waiver(question: Question, name: str, short: str) -> list[dict[str, str]]:
    try:
        asked = question_about(question.home, name, at=question.at)
    except SluicegateError:
        return []  # no waiver could let it pass: the state says why it is blocked
    if asked is None:
        return []
    does = (
        f"Two of these people may let training start on batch {short} although "
        f"{', '.join(asked.codes)} failed: {', '.join(asked.people)}. The first gives the reason "
        f"and at most {asked.max_hours:g} hours, the second confirms. Both sign with their keys."
    )
    return [_act(WAIVE, "Ask for a waiver", does, "")]


def _promotion(question: Question, name: str) -> list[dict[str, str]]:
    evidence = question.evidence
    passed = passed_batches(evidence, name, last=PROMOTED, at=question.at)
    if not passed:
        return []
    newest = ", ".join(digest.short for digest in passed)
    does = (
        f"A rolling baseline is built from the newest batches that passed ({newest}) and signed. "
        "Where the trust policy asks for one signature, gates judge by it from then on, beside the "
        "anchored one; where it asks for more, it waits for other people's."
    )
    return [_act(PROMOTE, "Promote a baseline", does, "")]


def _questions(dags: list[str], user: BaseUser, session: Session) -> list[dict[str, Any]]:
    """Return the questions of Sluicegate's tasks that this person may see."""
    manager = get_auth_manager()
    seen = [
        dag
        for dag in dags
        if manager.is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.HITL_DETAIL,
            details=DagDetails(id=dag),
            user=user,
        )
    ]
    found = session.execute(
        select(HITLDetail, TaskInstance)
        .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
        .where(TaskInstance.dag_id.in_(seen), HITLDetail.responded_at.is_(None))
        .where(TaskInstance.state == "awaiting_input")
        .order_by(HITLDetail.created_at)
    )
    return [
        {
            "dag": task.dag_id,
            "run": task.run_id,
            "task": task.task_id,
            "map_index": task.map_index,
            "subject": detail.subject,
            "body": detail.body,
            "asked": detail.created_at.isoformat(),
            "about": _value(detail.params[ABOUT]),
            "fields": [
                {"name": key, "value": _value(param), "label": _label(key, param)}
                for key, param in detail.params.items()
                if key != ABOUT
            ],
            "people": [person["name"] for person in detail.assigned_users],
            "mine": user.get_id() in {person["id"] for person in detail.assigned_users},
        }
        for detail, task in found
        if ABOUT in detail.params
    ]


def _value(param: Any) -> Any:
    return param["value"] if isinstance(param, dict) and "value" in param else param


def _label(name: str, param: Any) -> str:
    about = param.get("description") if isinstance(param, dict) else None
    return f"{name}: {about}" if about else name


def _runs(dag: str, session: Session) -> list[dict[str, Any]]:
    found = session.scalars(
        select(DagRun)
        .where(DagRun.dag_id == dag)
        .order_by(DagRun.queued_at.desc(), DagRun.id.desc())
        .limit(RECENT)
    )
    return [
        {
            "run": run.run_id,
            "state": str(run.state),
            "action": str((run.conf or {}).get("action", "")),
            "by": run.triggering_user_name,
            "at": run.queued_at.isoformat() if run.queued_at else None,
        }
        for run in found
    ]
