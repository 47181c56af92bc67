"""Columns that moved as a whole, and columns in which a batch is narrow."""

from types import SimpleNamespace

import numpy as np
import pytest

from sluicegate.signals.columns.moved import explained, moved, shared_features
from sluicegate.signals.decision.finding import Candidate
from sluicegate.signals.decision.record import Status


def beside(baseline, before, now, learned=0.0):
    """A batch beside a baseline whose one feature has these rows by category."""
    column = next(c for c in baseline.layout.features if c.name == "kind")
    pad = column.n_cells - len(before)
    sides = [np.array([*side, *[0] * pad]) for side in (before, now)]
    of = [SimpleNamespace(marginal=lambda _, side=side: side) for side in sides]
    layout = SimpleNamespace(features=[column])
    comparison = SimpleNamespace(
        baseline=SimpleNamespace(profile=of[0], layout=layout),
        profile=of[1],
        learned=lambda _: learned,
    )
    return comparison, column


def test_column_that_all_rows_share_moved_as_a_whole(baseline):
    assert moved(*beside(baseline, (300, 300, 300), (90, 0, 0)))


def test_column_that_blocks_like_the_batch_share_too_did_not_move(baseline):
    """A day has one weekday, and so had each day of the baseline."""
    assert not moved(*beside(baseline, (300, 300, 300), (90, 0, 0), learned=0.7))


@pytest.mark.parametrize(
    ("before", "now", "shared"),
    [
        ((300, 300, 300), (90, 10, 0), ("kind",)),
        ((300, 300, 300), (40, 30, 30), ()),
        ((800, 50, 50), (90, 10, 0), ()),
    ],
)
def test_batch_is_narrow_where_most_of_its_rows_and_not_of_the_baseline_agree(
    baseline, before, now, shared
):
    assert shared_features(beside(baseline, before, now)[0]) == shared


def test_what_a_changed_column_may_explain_warns_and_names_the_column():
    asked = Candidate(effect=0.2, bound=0.1, tolerance=0.0, p_value=1e-9, hint="Look at the rows.")
    (found,) = explained([asked], ["lead_time", "agent"])
    assert found.severity is Status.WARNED
    assert "changed as a whole: agent, lead_time. Look at the rows." in found.hint
    assert (found.effect, found.bound, found.p_value) == (0.2, 0.1, 1e-9)
