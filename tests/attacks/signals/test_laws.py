"""A decision depends on what the rows say: not on order, partitions, columns or how many."""

from __future__ import annotations

import numpy as np
import pytest
from tests.attacks.signals import changes
from tests.attacks.signals.cases import CASES
from tests.unit.signals.conftest import make_rows

from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

ATTACKS = {code: case.change for code, case in CASES.items() if case.change is not None}
MANY = {
    "clean": [],
    "drift": [changes.column("x2", lambda _, v: v + 0.8)],
    "poison": [
        changes.flip(0.04, who="c2"),
        changes.words(0.02, "cf", y=1),
        changes.stamped(0.03, 1.2345, label=1),
        changes.every(50, "kind", None),
    ],
}
"""Changes of a share of the rows, however many rows there are."""
RATES = (0.0, 0.01, 0.04, 0.16)
DOSES = {
    "COMPLETENESS": lambda rate: changes.every(round(1 / rate), "x0", None),
    "LABEL_FLIPS": changes.flip,
    "CONTRIBUTOR_LABEL_SKEW": lambda rate: changes.newcomer(round(1 / rate), label=1),
    "DUPLICATES": lambda rate: changes.copied(round(600 * rate)),
    "LEAKAGE": lambda rate: changes.leaked(round(600 * rate)),
    "OUTLIERS": lambda rate: changes.far_out(round(600 * rate)),
    "TRIGGER_TOKENS": lambda rate: changes.words(rate, "cf", y=1),
    "TRIGGER_VALUES": lambda rate: changes.stamped(rate, 1.2345, label=1),
    "HIDDEN_UNICODE": lambda rate: changes.words(rate, "\u200b"),
}
"""The same attack at any share of a batch of 600 rows."""


def judged(world, table, size=None):
    found = evaluate(
        world.baseline, table.to_batches(max_chunksize=size), tolerances={}, rows=False
    )
    return {(r.code, r.column): (r.status, r.message) for r in found.records}


@pytest.mark.parametrize("code", ATTACKS)
def test_decision_unchanged_by_order_partitions_and_columns(world, code):
    """The rows of each attack, shuffled, in parts of 97, with their columns reversed."""
    world = CASES[code].place(world)
    table = ATTACKS[code](world.batch)
    order = np.random.default_rng(3).permutation(table.num_rows).tolist()
    mixed = table.take(order).select(table.column_names[::-1])
    assert judged(world, mixed, size=97) == judged(world, table)


@pytest.mark.parametrize("name", MANY)
def test_decision_unchanged_by_ten_and_a_hundred_times_the_rows(world, name):
    found = []
    for times in (1, 10, 100):
        table = make_rows(1500 * times, 40 + times)
        for change in MANY[name]:
            table = change(table)
        records = judged(world, table)
        found.append({k: s for k, (s, _) in records.items() if s is not Status.PASSED})
    assert found[0] == found[1] == found[2]
    assert bool(found[0]) is (name != "clean")


@pytest.mark.parametrize("code", DOSES)
def test_more_poison_is_more_suspicious_on_average(world, code):
    """The batch's score and the signal's effect, over four clean batches."""
    scores, effects = [], []
    for rate in RATES:
        own = []
        for seed in range(4):
            clean = make_rows(600, 700 + seed)
            table = DOSES[code](rate)(clean) if rate else clean
            done = evaluate(world.baseline, table.to_batches(), tolerances={}, rows=False)
            effect = max(r.effect for r in done.records if r.code == code)
            own.append((done.batch_score, effect))
        score, effect = np.mean(own, axis=0)
        scores.append(score)
        effects.append(effect)
    assert np.all(np.diff(effects) > 0), effects
    assert np.all(np.diff(scores) >= 0), scores
    assert scores[-1] > scores[0] + 2
