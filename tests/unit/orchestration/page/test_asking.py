"""A tag stands for one answer: whatever the answer follows from changes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from sluicegate.ledger.checkpoint import Checkpoint
from sluicegate.orchestration.page.asking import tag

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = Checkpoint("example.com/ledger", 3, bytes(32))


def made(
    *, path="/api/ledger", query="limit=2", at=AT, head=HEAD, policy="sha256:1", allowed=("a",)
):
    request = SimpleNamespace(url=SimpleNamespace(path=path, query=query))
    asked = SimpleNamespace(at=at, head=head, policy=SimpleNamespace(digest=policy))
    return tag(request, asked, list(allowed))


def test_the_same_question_has_the_same_tag_within_a_minute():
    assert made() == made(at=AT + timedelta(seconds=59))


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/api/guard"},
        {"query": "limit=3"},
        {"at": AT + timedelta(minutes=1)},
        {"head": replace(HEAD, size=4)},
        {"head": replace(HEAD, root=b"\1" * 32)},
        {"policy": "sha256:2"},
        {"allowed": ("a", "b")},
        {"allowed": ()},
    ],
)
def test_whatever_an_answer_follows_from_changes_its_tag(other):
    assert made(**other) != made()
