"""Where the guard stands, and what it decided: Airflow's records beside the ledger's word.

Airflow's tables are not signed. So each part of an answer that follows from them lies under
``airflow``, and the page says whose word it is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads these
from airflow.api_fastapi.core_api.security import GetUserDep  # noqa: TC002
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.ledger.entry import is_source_name
from sluicegate.orchestration.guard import settings
from sluicegate.orchestration.page.access import may_read_runs, readable, readable_dags
from sluicegate.orchestration.page.asking import Limit, Offset, overview_of
from sluicegate.orchestration.page.records import (
    Dags,
    armed_hosts,
    audits,
    notes,
    notes_of,
    training_hosts,
)
from sluicegate.orchestration.page.shown import shown_error, shown_head, shown_past
from sluicegate.workflow.overview.decided import issued_by, pointed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session

    from sluicegate.orchestration.page.records import AuditTask, Host, Noted, ProtectedTask
    from sluicegate.workflow.overview.overview import Question
    from sluicegate.workflow.overview.source_state import SourceState

WINDOW: Final = timedelta(days=30)
"""How far back Airflow's records are looked at."""
MOST_REFUSED: Final = 20
STRIP: Final = 20
"""Verdicts of a source that are looked at for those of a run."""
MOST_DECISIONS: Final = 50

_DAGS = Dags(settings)

Id = Annotated[str, Query(max_length=250)]
NEVER_KEPT: Final = {"Cache-Control": "no-store"}


def add_to(app: FastAPI) -> None:
    """Give the application its routes.

    Args:
        app: All whose routes ask who is there.
    """
    app.get("/api/guard")(guard)
    app.get("/api/decisions")(decisions)


def guard(
    *,
    request: Request,
    user: GetUserDep,
    session: SessionDep,
    search: Annotated[str, Query(max_length=255)] = "",
    offset: Offset = 0,
    limit: Limit = 50,
) -> Response:
    """Return protected tasks, where a guard spoke, what it refused, and what audits found.

    Args:
        request: To this application.
        user: Who asks.
        session: Airflow's database.
        search: Only tasks whose DAG, name or source holds this, in any case.
        offset: How many tasks to leave out.
        limit: Most tasks to return.
    """
    with overview_of(request).question() as question:
        dags = readable_dags(user, session)
        read, waiting = _DAGS.read(session, dags, question.has_time)
        every = [one for _, found in sorted(read.items()) for one in found.tasks]
        allowed = readable({name for one in every for name in one.sources}, user, session)
        tasks = [one for one in every if _is_meant(one, search.casefold(), allowed)]
        page = tasks[offset : offset + limit]
        names = sorted({name for one in page for name in one.sources if name in allowed})
        states = {found.source: found for found in question.states(names)}
        since = question.at - WINDOW
        armed = armed_hosts(session, dags, since=since)
        spoke = {one.host for one in armed}
        trained = training_hosts(session, every, since=since)
        refused = [one for one in notes(session, dags, since=since) if one.trace.refused]
        body = {
            "total": len(tasks),
            "waiting": waiting,
            "whole": not waiting and len(states) == len(names),
            "airflow": {
                "days": WINDOW.days,
                "tasks": [_shown_task(one, states, allowed) for one in page],
                "armed": [_shown_host(one) for one in armed],
                "unarmed": [_shown_host(one) for one in trained if one.host not in spoke],
                "refused": [_shown_note(one) for one in refused[:MOST_REFUSED]],
                "audits": [_shown_audit(one) for one in audits(session, read)],
            },
            "guarded_queues": list(settings().guarded_queues),
            "ledger": shown_head(question.head, question.at),
        }
    return JSONResponse(body, headers=NEVER_KEPT)


def decisions(
    *,
    request: Request,
    user: GetUserDep,
    session: SessionDep,
    dag: Annotated[str, Query(min_length=1, max_length=250)],
    run: Id = "",
    task: Id = "",
    map_index: Annotated[int | None, Query(ge=-1, lt=2**31)] = None,
) -> Response:
    """Return what was admitted, refused and judged in a DAG, a run or a task.

    Args:
        request: To this application.
        user: Who asks.
        session: Airflow's database.
        dag: Id of the DAG.
        run: Id of its run; "" for all.
        task: Id of a task; "" for all.
        map_index: Of a mapped task; None for all.

    Raises:
        HTTPException: 403 if the user may not read the DAG and its runs.
    """
    if "\0" in dag + run + task:  # no database can be asked for that
        raise HTTPException(404, "no such run")
    with overview_of(request).question() as question:
        if dag not in readable_dags(user, session) or not may_read_runs(dag, user):
            raise HTTPException(403, "Forbidden")
        read, _ = _DAGS.read(session, {dag}, question.has_time)
        declared = read[dag].sources if dag in read else frozenset()
        every = [one for found in read.values() for one in found.tasks]
        tasks = [one for one in every if task in ("", one.task)]
        noted = notes_of(session, dag, run, task, map_index)[:MOST_DECISIONS]
        # Whoever held the task's token wrote the note: it may name anything.
        named = {name for one in noted for name in one.trace.verdicts if is_source_name(name)}
        allowed = readable(named | declared, user, session)
        own = sorted(name for one in tasks for name in one.sources if name in allowed)
        names = sorted(set(own) if task and own else allowed)
        states = {found.source: found for found in question.states(names)}
        strips = question.strips(sorted(allowed), limit=STRIP)
        judged = [one for past in strips.values() for one in issued_by(past, dag, run, task)]
        judged.sort(key=lambda one: -one.index)
        body = {
            "whole": len(states) == len(names) and len(strips) == len(allowed),
            "sources": [
                {"source": name, "state": found.state.value} for name, found in states.items()
            ],
            "judged": [{**shown_past(one), "source": one.source} for one in judged],
            "airflow": {
                "tasks": [_shown_task(one, states, allowed) for one in tasks],
                "noted": [
                    {**_shown_note(one), "verdicts": _pointed(question, one, allowed)}
                    for one in noted
                ],
            },
            "ledger": shown_head(question.head, question.at),
        }
    return JSONResponse(body, headers=NEVER_KEPT)


def shown_audits(question: Question, user: BaseUser, session: Session) -> list[dict[str, Any]]:
    """Return what became of the audits that somebody may see, as Airflow recorded it.

    Args:
        question: The look at the installation.
        user: Who asks.
        session: Airflow's database.
    """
    read, _ = _DAGS.read(session, readable_dags(user, session), question.has_time)
    return [_shown_audit(one) for one in audits(session, read)]


def _is_meant(task: ProtectedTask, search: str, allowed: Collection[str]) -> bool:
    shown = (task.dag, task.task, *(name for name in task.sources if name in allowed))
    return any(search in text.casefold() for text in shown)


def _shown_task(
    task: ProtectedTask, states: Mapping[str, SourceState], allowed: Collection[str]
) -> dict[str, Any]:
    shown = [name for name in task.sources if name in allowed]
    return {
        "dag": task.dag,
        "task": task.task,
        "queue": task.queue,
        "certain": task.certain,
        "hidden": len(task.sources) - len(shown),
        "sources": [
            {"source": name, "state": states[name].state.value if name in states else None}
            for name in shown
        ],
        "refusal": None if task.refusal is None else shown_error(task.refusal),
    }


def _shown_host(host: Host) -> dict[str, Any]:
    return {
        "host": host.host,
        "queue": host.queue,
        "first": format_timestamp(host.first),
        "last": format_timestamp(host.last),
        "count": host.count,
    }


def _shown_note(note: Noted) -> dict[str, Any]:
    trace = note.trace
    return {
        "dag": trace.dag_id,
        "run": trace.run_id,
        "task": trace.task_id,
        "map_index": trace.map_index,
        "refused": trace.refused,
        "n_verdicts": len(trace.verdicts),
        "version": trace.version,
        "host": note.host,
        "queue": note.queue,
        "when": format_timestamp(note.when),
    }


def _shown_audit(task: AuditTask) -> dict[str, Any]:
    return {
        "dag": task.dag,
        "task": task.task,
        "state": task.state,
        "ended": task.ended and format_timestamp(task.ended),
        "findings": task.findings,
    }


def _pointed(question: Question, note: Noted, allowed: Collection[str]) -> Sequence[dict[str, Any]]:
    """Look up what a note points to, of the sources that the asker may read."""
    found = [
        pointed(question.evidence, question.past, source, envelope, at=question.at)
        for source, envelope in sorted(note.trace.verdicts.items())
        if source in allowed
    ]
    return [
        {
            "source": one.source,
            "verdict": one.verdict and shown_past(one.verdict),
            "refusal": None if one.refusal is None else shown_error(one.refusal),
        }
        for one in found
    ]
