"""The page's own API: each answer comes from verified evidence, and nobody asks without a name.

Airflow mounts a plugin's application outside its own authentication. So the dependency stands at
the application: there is no route without it, and no page about the routes.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads these
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_asset
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.errors import EvidenceMissing, SluicegateError
from sluicegate.foreign import coded
from sluicegate.gate.verdict import MODEL
from sluicegate.orchestration.guard import settings
from sluicegate.orchestration.page import guard_view, ledger_view, lineage_view
from sluicegate.orchestration.page.access import readable, seen_run
from sluicegate.orchestration.page.acts import shown_acts
from sluicegate.orchestration.page.asking import (
    IfNoneMatch,
    Index,
    Limit,
    Name,
    Offset,
    tag,
)
from sluicegate.orchestration.page.drawn import contributors_over_time, drawn_shapes
from sluicegate.orchestration.page.shown import (
    shown_around,
    shown_error,
    shown_findings,
    shown_head,
    shown_state,
    shown_verdict,
)
from sluicegate.workflow.overview.around import judged_by, models_of, promotions
from sluicegate.workflow.overview.overview import Overview, Question
from sluicegate.workflow.overview.source_state import URGENCY, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session

    from sluicegate.workflow.overview.past import PastVerdict

STRIP = 20
"""Verdicts that a row of a source shows, and columns of its heat map."""

_log = logging.getLogger("sluicegate.page")

_PROGRAMS = {path.name: path for path in Path(__file__).with_name("static").glob("*.js")}

_OVERVIEW = Overview(lambda: settings().home(), lambda: datetime.now(UTC))


def build(programs: str) -> FastAPI:
    """Build the application.

    Args:
        programs: Where the page's program lies in it, with a slash before and none behind.
    """
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_asset("GET"))],
    )
    for error in (SluicegateError, Exception):
        app.add_exception_handler(error, _refused)
    app.get(f"{programs}/{{name}}")(program)
    app.get("/api/sources")(sources)
    app.get("/api/source")(source)
    app.get("/api/acts")(acts)
    app.get("/api/verdict")(verdict)
    app.state.overview = lambda: _OVERVIEW
    for view in (ledger_view, guard_view, lineage_view):
        view.add_to(app)
    return app


def program(name: str) -> FileResponse:
    """Return a module of the page's program.

    Args:
        name: Of its file.

    Raises:
        HTTPException: 404 if there is no such file.
    """
    if name not in _PROGRAMS:
        raise HTTPException(404, "no such file")
    return FileResponse(
        _PROGRAMS[name],
        media_type="text/javascript",
        headers={"Cache-Control": "private, no-cache"},
    )


def sources(
    *,
    request: Request,
    user: GetUserDep,
    session: SessionDep,
    search: Annotated[str, Query(max_length=255)] = "",
    state: State | None = None,
    offset: Offset = 0,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = "",
) -> Response:
    """List sources, those that need somebody first, as far as a question has time to ask.

    Counts, order and filter are of the sources that were asked; `waiting` says how many were not.
    Whoever asks again gets more, until the answer is `whole`.

    Args:
        request: Is part of the answer's tag.
        user: Who asks.
        session: Airflow's database.
        search: Only names that hold this, in any case.
        state: Only these.
        offset: How many to leave out.
        limit: Most to return.
        if_none_match: Tag of an answer that the browser has.
    """
    with _OVERVIEW.question() as question:
        names = [name for name in question.sources() if search.casefold() in name.casefold()]
        allowed = readable(names, user, session)
        etag = tag(request, question, sorted(allowed.items()))
        if etag == if_none_match:
            return Response(status_code=304)
        states = sorted(
            question.states([*allowed]),
            key=lambda found: (URGENCY.index(found.state), found.source),
        )
        wanted = [found for found in states if state in (None, found.state)]
        page = wanted[offset : offset + limit]
        strips = question.strips([found.source for found in page], limit=STRIP)
        rows = [
            shown_state(found, strips.get(found.source), allowed[found.source]) for found in page
        ]
        counts = Counter(found.state for found in states)
        trusted = [one.admission.issued.verdict.issued for one in states if one.admission]
        body = {
            # In the order in which they need somebody.
            "counts": {one.value: counts[one] for one in URGENCY if counts[one]},
            "newest_trusted": format_timestamp(max(trusted)) if trusted else None,
            "total": len(wanted),
            "waiting": len(allowed) - len(states),
            "whole": len(states) == len(allowed) and len(strips) == len(page),
            "sources": rows,
            "ledger": shown_head(question.head, question.at),
        }
        # Another part of an answer is there a moment later, under the same tag.
        kept = {"ETag": etag, "Cache-Control": "private, no-cache"}
        return JSONResponse(body, headers=kept if body["whole"] else {"Cache-Control": "no-store"})


def source(name: Name, user: GetUserDep, session: SessionDep) -> dict[str, Any]:
    """Return one source, its newest verdicts and what each signal said in them.

    Args:
        name: Of the source.
        user: Who asks.
        session: Airflow's database.

    Raises:
        HTTPException: 403 if the user may not read it, 404 if it is not there.
    """
    with _OVERVIEW.question() as question:
        # First of all: a name from a URL may be one that Airflow's database cannot even be asked.
        if name not in question.sources():
            raise HTTPException(404, "no such source")
        allowed = _require_readable(name, user, session)
        past = _past(question, name)
        question.expect_findings(past)
        kept = [question.kept(one) for one in past]
        return {
            **shown_state(question.state(name), past, allowed),
            "findings": shown_findings([one.records for one in kept]),
            "contributors": contributors_over_time(kept),
            **_around(question, name, past, user, session),
            "ledger": shown_head(question.head, question.at),
        }


def acts(name: Name, user: GetUserDep, session: SessionDep) -> dict[str, Any]:
    """Return what the person may do about one source, and the questions that its tasks ask.

    Args:
        name: Of the source.
        user: Who asks.
        session: Airflow's database.

    Raises:
        HTTPException: 403 if the user may not read it, 404 if it is not there.
    """
    with _OVERVIEW.question() as question:
        if name not in question.sources():
            raise HTTPException(404, "no such source")
        waiting = _require_readable(name, user, session)
        return {
            **shown_acts(question, name, waiting, user, session),
            "ledger": shown_head(question.head, question.at),
        }


def verdict(index: Index, user: GetUserDep, session: SessionDep) -> dict[str, Any]:
    """Return one verdict with its findings.

    Args:
        index: Ledger entry.
        user: Who asks.
        session: Airflow's database.

    Raises:
        HTTPException: 403 if the user may not read its source, 404 if it is no verdict.
    """
    with _OVERVIEW.question() as question:
        try:
            found = question.past.one(question.evidence, index, at=question.at)
        except EvidenceMissing as missing:
            raise HTTPException(404, str(missing)) from missing
        _require_readable(found.source, user, session)
        kept = question.kept(found)
        shown = shown_verdict(found, kept.records)
        return {
            **shown,
            **({"run": seen_run(shown["run"], user)} if "run" in shown else {}),
            "shapes": drawn_shapes(kept),
            "rows": kept.rows and kept.rows.to_json(),
            "ledger": shown_head(question.head, question.at),
        }


def _around(
    question: Question, name: str, past: Sequence[PastVerdict], user: BaseUser, session: Session
) -> dict[str, Any]:
    """Return baselines, promotions, and those models of a source that somebody may see."""
    evidence, at = question.evidence, question.at
    models = models_of(evidence, question.past, question.sources(), name, at=at)
    seen = readable({MODEL + model.name for model in models}, user, session) if models else {}
    allowed = [model for model in models if MODEL + model.name in seen]
    return shown_around(judged_by(past), promotions(evidence, name, at=at), allowed)


def _require_readable(name: str, user: GetUserDep, session: SessionDep) -> list[str]:
    allowed = readable([name], user, session)
    if name not in allowed:
        raise HTTPException(403, "Forbidden")
    return allowed[name]


def _past(question: Question, name: str) -> list[PastVerdict]:
    return question.strips([name], limit=STRIP)[name]


def _refused(request: Request, error: Exception) -> JSONResponse:
    """Say why the installation gives no answer; where its files lie is said in the log only."""
    known = coded(error)
    _log.warning("Sluicegate's page has no answer to %s: %s", request.url.path, known)
    return JSONResponse({"error": shown_error(known)}, status_code=503)
