"""On clean batches p-values are no smaller than chance allows, and runs stay silent."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.signals.conftest import make_rows

from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

pytestmark = pytest.mark.slow  # a hundred batches are judged

RUNS = 60


def test_clean_batches_raise_no_alarm_and_p_values_are_not_too_small(baseline):
    """60 fresh batches: at a budget of 1 % a run, two or more alarms have a chance of 12 %."""
    alarms, p_values = 0, []
    for seed in range(RUNS):
        found = evaluate(baseline, make_rows(800, 1000 + seed).to_batches(), tolerances={})
        alarms += any(r.status is not Status.PASSED for r in found.records)
        p_values += [r.p_value for r in found.records if r.p_value is not None]
    assert alarms <= 1
    p = np.array(p_values)
    for level in (0.01, 0.05, 0.2):
        assert (p < level).mean() <= 1.5 * level


def test_batch_score_of_poison_exceeds_that_of_clean(baseline):
    clean = [
        evaluate(baseline, make_rows(800, 2000 + s).to_batches(), tolerances={}).batch_score
        for s in range(10)
    ]
    rows = make_rows(800, 3000)
    labels = [1 - v if i % 12 == 0 else v for i, v in enumerate(rows["y"].to_pylist())]
    index = rows.schema.get_field_index("y")
    poisoned = rows.set_column(index, "y", [labels])
    assert evaluate(baseline, poisoned.to_batches(), tolerances={}).batch_score > max(clean)
