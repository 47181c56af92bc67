"""A step is told once, with how it ended, and its error passes unchanged."""

from __future__ import annotations

import pytest

from sluicegate.errors import GateBlocked
from sluicegate.orchestration.observing import metrics, steps


@pytest.fixture
def told(monkeypatch):
    """Values that would be emitted, by metric."""
    found = []
    monkeypatch.setattr(
        steps, "emit", lambda metric, value=1, /, **tags: found.append((metric, value, tags))
    )
    return found


def of(told, metric):
    return [(value, tags) for found, value, tags in told if found is metric]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateBlocked(None, "blocked", locator="src"), "GATE_BLOCKED"),
        (MemoryError(), "SYSTEM"),
        (RuntimeError("row 3-17"), "INTERNAL"),
    ],
)
def test_a_step_that_fails_tells_the_code_and_raises_the_same(told, error, code):
    with pytest.raises(type(error)) as caught, steps.observed("gate", "src"):
        raise error
    assert caught.value is error
    ((_, tags),) = of(told, metrics.GATE_SECONDS)
    assert tags == {"source": "src", "result": code}


def test_an_interrupted_step_tells_so(told):
    with pytest.raises(KeyboardInterrupt), steps.observed("seal", "src"):
        raise KeyboardInterrupt
    ((_, tags),) = of(told, metrics.SEAL_SECONDS)
    assert tags["result"] == "INTERRUPTED"


def test_a_step_without_a_name_tells_only_its_appends(told):
    from sluicegate.workflow.evidence.append_time import timing

    with steps.observed("", "src"), timing():
        pass
    assert [metric for metric, _, _ in told] == [metrics.APPEND_SECONDS]


def test_guard_is_told_once_however_it_ends(told):
    steps.GuardWatch().refused("EXPIRED")
    assert of(told, metrics.REFUSED) == [(1, {"code": "EXPIRED"})]
    assert of(told, metrics.ADMITTED) == []
    assert len(of(told, metrics.GUARD_SECONDS)) == 1
