"""A value is a trigger only beside rows that do not have it, and beyond what the batch moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.triggers.associations import associations

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


def test_value_that_moves_as_the_rest_of_the_batch_is_no_trigger():
    found = associations(batch((100, 100), (0, 0), (0, 0), rows=(250, 250)), BASE)
    assert all(a.p_value > 0.01 for a in found)


def test_new_value_with_one_label_is_a_trigger_however_the_rest_moved():
    found = associations(batch((0, 0), (200, 200), (0, 60), rows=(480, 520)), BASE)
    assert (found[0].cell, found[0].class_index) == (2, 1)
    assert found[0].p_value < 1e-4
    assert found[0].bound > 0.005
