"""What a training worker loads: admission and what is below it, however an import is written."""

from __future__ import annotations

import grimp
import pytest

ENTRANCES = ("sluicegate.workflow.admission.read", "sluicegate.workflow.admission.admit")
BELOW = ("admission", "baselines", "evidence", "sealing")
JUDGING = {"sluicegate.signals.evaluate", "sluicegate.signals.registry", "sluicegate.signals.scan"}


@pytest.fixture(scope="module")
def reached():
    """Every module that the entrances import, at once or later, imports in functions included."""
    graph = grimp.build_graph("sluicegate", exclude_type_checking_imports=True, cache_dir=None)
    found = set(ENTRANCES)
    for entrance in ENTRANCES:
        found |= graph.find_upstream_modules(entrance)
    return found


def test_training_reaches_only_the_rooms_below_admission(reached):
    rooms = {name.split(".")[2] for name in reached if name.startswith("sluicegate.workflow.")}
    assert rooms == set(BELOW)


def test_training_reaches_nothing_that_judges_or_learns(reached):
    assert not reached & JUDGING
    assert not {name for name in reached if name.startswith("sluicegate.signals.baseline")}
    assert "sluicegate.gate.decide" not in reached


def test_imports_in_functions_are_seen(reached):
    assert "sluicegate.adapters.files.tabular" in reached
