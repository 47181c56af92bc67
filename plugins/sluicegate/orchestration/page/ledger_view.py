"""The ledger as a person sees it: how far it reaches, who saw it, and what was logged last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads these
from airflow.api_fastapi.core_api.security import GetUserDep  # noqa: TC002
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.orchestration.page.access import readable
from sluicegate.orchestration.page.asking import (
    IfNoneMatch,
    Index,
    overview_of,
    tag,
)
from sluicegate.orchestration.page.guard_view import shown_audits
from sluicegate.orchestration.page.shown import shown_head, without_directories
from sluicegate.workflow.overview.logged import newest_leaves, witnessed

if TYPE_CHECKING:
    from sluicegate.workflow.overview.logged import Logged, Witnessed

NEWEST: Final = 5
"""Leaves that are looked at for the newest stated time; an append has no more."""

Leaves = Annotated[int, Query(ge=1, le=100)]


def add_to(app: FastAPI) -> None:
    """Give the application its route.

    Args:
        app: All whose routes ask who is there.
    """
    app.get("/api/ledger")(ledger)


def ledger(
    *,
    request: Request,
    user: GetUserDep,
    session: SessionDep,
    before: Index | None = None,
    limit: Leaves = 25,
    if_none_match: IfNoneMatch = "",
) -> Response:
    """Return checkpoint, witnesses, and the newest leaves about sources that the asker may read.

    Args:
        request: Is part of the answer's tag.
        user: Who asks.
        session: Airflow's database.
        before: Leaves from this one on are left out.
        limit: Most places of the log to look at.
        if_none_match: Tag of an answer that the browser has.
    """
    with overview_of(request).question() as question:
        evidence, size = question.evidence, question.head.size
        leaves = newest_leaves(evidence, size, before=before, limit=limit)
        allowed = readable({one.leaf.source for one in leaves}, user, session)
        etag = tag(request, question, sorted(allowed))
        if etag == if_none_match:
            return Response(status_code=304)
        head = (
            newest_leaves(evidence, size, before=None, limit=NEWEST)
            if before is not None
            else leaves
        )
        stated = [one.claimed for one in head if one.claimed is not None]
        body = {
            "newest_stated": format_timestamp(max(stated)) if stated else None,
            "leaves": [_shown_leaf(one) for one in leaves if one.leaf.source in allowed],
            "hidden": sum(one.leaf.source not in allowed for one in leaves),
            "older": leaves[-1].index if leaves and leaves[-1].index else None,
            "witnesses": _shown_witnessed(
                witnessed(evidence, question.home.cosigned, at=question.at)
            ),
            "audits": shown_audits(question, user, session),
            "ledger": shown_head(question.head, question.at),
        }
    return JSONResponse(body, headers={"ETag": etag, "Cache-Control": "private, no-cache"})


def _shown_leaf(one: Logged) -> dict[str, Any]:
    return {
        "index": one.index,
        "kind": one.leaf.kind,
        "source": one.leaf.source,
        "subject": one.leaf.subject,
        "envelope": one.leaf.envelope,
        "claimed": one.claimed and format_timestamp(one.claimed),
    }


def _shown_witnessed(found: Witnessed) -> dict[str, Any]:
    return {
        "needed": found.needed,
        "size": found.size,
        "times": [format_timestamp(time) for time in found.times],
        "finding": without_directories(found.finding),
    }
