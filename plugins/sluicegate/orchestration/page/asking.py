"""What every route of the page has in common: its parameters, and the tag of its answer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

from fastapi import Header, Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from sluicegate.workflow.overview.overview import Overview, Question

Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=200)]
Index = Annotated[int, Query(ge=0, lt=2**63)]  # what a database numbers rows with
Name = Annotated[str, Query(min_length=1, max_length=255)]
IfNoneMatch = Annotated[str, Header()]


def overview_of(request: Request) -> Overview:
    """Return what answers questions about the installation.

    Args:
        request: To the application that was built with it.
    """
    found: Overview = request.app.state.overview()
    return found


def tag(request: Request, question: Question, allowed: Sequence[object]) -> str:
    """Return what an answer follows from: the question, the evidence, who asks, and the minute.

    Args:
        request: The question as the browser put it.
        question: The look at the installation.
        allowed: What the asker may see, in order, and whatever else the answer follows from.
    """
    minute = int(question.at.timestamp() // 60)
    asked = (request.url.path, request.url.query, minute, question.head, question.policy.digest)
    return f'W/"{hashlib.sha256(repr((*asked, allowed)).encode()).hexdigest()[:32]}"'
