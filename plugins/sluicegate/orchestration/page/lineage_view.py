"""Where a batch came from, and what was made of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads these
from airflow.api_fastapi.core_api.security import GetUserDep  # noqa: TC002
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.gate.verdict import MODEL
from sluicegate.ledger.entry import is_source_name
from sluicegate.orchestration.page.access import readable, seen_run
from sluicegate.orchestration.page.asking import IfNoneMatch, Name, overview_of, tag
from sluicegate.orchestration.page.shown import shown_error, shown_head
from sluicegate.workflow.exporting.lineage import trace
from sluicegate.workflow.overview.made import Made

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

    from sluicegate.workflow.auditing.uses import Use
    from sluicegate.workflow.exporting.lineage import Step

MOST_STEPS: Final = 20
"""Steps that a request follows, some 3 ms of CPU each; `sluicegate lineage` has 1,000."""

_MADE = Made()


def add_to(app: FastAPI) -> None:
    """Give the application its route.

    Args:
        app: All whose routes ask who is there.
    """
    app.get("/api/lineage")(lineage)


def lineage(
    *,
    request: Request,
    name: Name,
    user: GetUserDep,
    session: SessionDep,
    if_none_match: IfNoneMatch = "",
) -> Response:
    """Return what the newest batch of a source was made of, and what was made of the source.

    Args:
        request: Is part of the answer's tag.
        name: Of the source.
        user: Who asks.
        session: Airflow's database.
        if_none_match: Tag of an answer that the browser has.

    Raises:
        HTTPException: 403 if the user may not read it, 404 if it is not there.
    """
    with overview_of(request).question() as question:
        names = question.sources()
        if name not in names:
            raise HTTPException(404, "no such source")
        allowed = set(readable(names, user, session))
        if name not in allowed:
            raise HTTPException(403, "Forbidden")
        etag = tag(request, question, sorted(allowed))
        if etag == if_none_match:
            return Response(status_code=304)
        made = _MADE.of(question.evidence, names, name, at=question.at, has_time=question.has_time)
        top = None
        if not name.startswith(MODEL):
            top = trace(question.evidence, name, at=question.at, most=MOST_STEPS)
            # An input may be one that was never sealed here.
            inputs = {one.source for _, one in top.walk() if is_source_name(one.source)}
            allowed |= set(readable(inputs - allowed - set(names), user, session))
        body = {
            "source": name,
            "batch": None if top is None else _shown_step(top, allowed, user),
            "made": [_shown_use(use, allowed, user) for use in made.found if use.source in allowed],
            "hidden": sum(use.source not in allowed for use in made.found),
            "unverified": len(made.unverified),
            "waiting": made.waiting,
            "whole": not made.waiting,
            "ledger": shown_head(question.head, question.at),
        }
    kept = {"ETag": etag, "Cache-Control": "private, no-cache"}
    return JSONResponse(body, headers=kept if body["whole"] else {"Cache-Control": "no-store"})


def _shown_step(step: Step, allowed: Collection[str], user: BaseUser) -> dict[str, Any]:
    """Return a step; of a source that the asker may not read, only that it is there."""
    if step.source not in allowed:
        return {"source": None, "inputs": []}
    said = step.provenance
    return {
        "source": step.source,
        "digest": str(step.digest or ""),
        "refusal": None if step.error is None else shown_error(step.error),
        "version": said and said.version,
        "sealed": said and format_timestamp(said.sealed_at),
        "run": {} if said is None else seen_run(said.run, user),
        "inputs": [_shown_step(one, allowed, user) for one in step.inputs],
    }


def _shown_use(use: Use, allowed: Collection[str], user: BaseUser) -> dict[str, Any]:
    return {
        "name": use.source.removeprefix(MODEL) if use.is_model else use.source,
        "source": use.source,
        "digest": use.digest,
        "model": use.is_model,
        "of": [{"source": name, "digest": digest} for name, digest in use.of if name in allowed],
        "run": seen_run(use.run, user),
        "index": use.index,
    }
