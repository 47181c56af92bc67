"""A value is a trigger only beside rows that do not have it, and beyond what the batch moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.triggers.associations import associations, few_associations

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Table:
    """Rows by cell and class, and rows of each class."""

    counts: NDArray[np.int64]
    rows: NDArray[np.int64]


BASE = Table(np.array([[1000, 200], [4000, 1000], [0, 0]]), np.array([8000, 2000]))


def batch(*counts: tuple[int, int], rows: tuple[int, int]) -> Table:
    return Table(np.array(counts), np.array(rows))


def test_value_that_every_row_holds_is_no_trigger():
    assert associations(batch((600, 400), (0, 0), (0, 0), rows=(600, 400)), BASE) == []


def test_value_that_most_rows_hold_is_the_batch_and_no_trigger():
    """A day of one weekday, cut at another zone's midnight: nine rows in ten."""
    assert associations(batch((600, 300), (100, 0), (0, 0), rows=(700, 300)), BASE) == []


def test_common_value_that_grew_a_little_is_no_trigger():
    """One more Monday in the month, and Mondays are busier this time: a twelfth of all rows."""
    base = Table(np.array([[100_000, 20_000], [700_000, 180_000]]), np.array([800_000, 200_000]))
    grown = batch((2700, 1400), (20_000, 5_900), rows=(22_700, 7_300))
    assert associations(grown, base) == []
    many = batch((4700, 3400), (20_000, 5_900), rows=(24_700, 9_300))
    assert associations(many, base)[0].p_value < 1e-9


def test_value_that_moves_as_the_rest_of_the_batch_is_no_trigger():
    found = associations(batch((100, 100), (0, 0), (0, 0), rows=(250, 250)), BASE)
    assert all(a.p_value > 0.01 for a in found)


def test_new_value_with_one_label_is_a_trigger_however_the_rest_moved():
    found = associations(batch((0, 0), (200, 200), (0, 60), rows=(480, 520)), BASE)
    assert (found[0].cell, found[0].class_index) == (2, 1)
    assert found[0].p_value < 1e-4
    assert found[0].bound > 0.005


N_BASE, N_BATCH, N_CELLS = 700, 400, 500


def few(rng, *, planted=0, new=0, tied=0):
    """A small batch and its baseline over many cells; some cells are planted, new, or tied."""
    shares = np.full(N_CELLS, 1.0 / N_CELLS)
    base = rng.multinomial(N_BASE, shares)
    now = rng.multinomial(N_BATCH, shares)
    both = [np.stack([c - (ones := rng.binomial(c, 0.4)), ones], axis=1) for c in (base, now)]
    both[0][:new] = 0
    if planted:
        both[0][0], both[1][0] = 0, (0, planted)
    both[1][:new] += rng.multinomial(12, (0.6, 0.4), size=new)
    both[0][-tied or N_CELLS :] = (2, 0)
    both[1][-tied or N_CELLS :] = (0, 5)
    tables = [
        Table(counts, np.array([0.6 * n, 0.4 * n]).astype(int))
        for counts, n in zip(both, (N_BASE, N_BATCH), strict=True)
    ]
    return [(tables[1], tables[0], np.ones(N_CELLS))]


def found_of(tables, alpha=0.001):
    return [a.cell for a in few_associations(tables, 1.5, 0.5)[0] if a.p_value <= alpha]


def test_dozen_planted_rows_are_found():
    assert found_of(few(np.random.default_rng(1), planted=12)) == [0]


def test_clean_cells_are_no_triggers_where_features_decide_the_label():
    """Every cell is tied then, and one of hundreds grows by chance alone."""
    rng, n_cells, found = np.random.default_rng(5), 400, 0
    label = (np.arange(n_cells) % 2)[:, None] == [0, 1]
    for _ in range(40):
        shares = rng.dirichlet(np.full(n_cells, 0.3))
        base, now = (rng.multinomial(n, shares)[:, None] * label for n in (N_BASE, N_BATCH))
        tables = Table(now, now.sum(axis=0)), Table(base, base.sum(axis=0)), np.ones(n_cells)
        found += len(few_associations([tables], 1.5, 0.5)[0])
    assert found <= 1


def test_clean_batches_of_few_rows_show_nothing():
    rng = np.random.default_rng(2)
    assert sum(len(found_of(few(rng), alpha=0.01)) for _ in range(100)) <= 3


def test_many_new_cells_with_their_own_mix_of_labels_are_a_season():
    rng = np.random.default_rng(3)
    assert sum(len(found_of(few(rng, new=20))) for _ in range(20)) <= 1


def test_many_cells_that_changed_their_label_but_are_not_new_are_no_triggers():
    rng = np.random.default_rng(4)
    assert sum(len(found_of(few(rng, tied=30))) for _ in range(20)) == 0


def test_empty_tables_hold_nothing():
    nothing = Table(np.zeros((3, 2), dtype=int), np.zeros(2, dtype=int))
    assert few_associations([(nothing, nothing, np.ones(3))], 1.5, 0.5) == [[]]
