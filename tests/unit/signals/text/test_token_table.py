"""Tokens are counted alike by column and by list."""

import numpy as np
import pytest

from sluicegate.profiling.tokens import mix
from sluicegate.signals.text.token_table import TokenTable


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("n_classes", [1, 3])
def test_columns_count_like_a_list_of_tokens(n_classes, missing):
    rng, n = np.random.default_rng(1), 500
    class_index = rng.integers(-1 if missing else 0, n_classes, n)
    columns = [(rng.random(n) >= missing, mix(rng.integers(0, 9, n).astype(np.uint64)))] * 2
    columns.append((np.ones(n, dtype=bool), mix(np.arange(n, dtype=np.uint64))))
    one, other = TokenTable.empty(n_classes), TokenTable.empty(n_classes)
    one.add_columns(columns, class_index)
    rows = np.concatenate([np.flatnonzero(there) for there, _ in columns])
    hashes = np.concatenate([hashes[there] for there, hashes in columns])
    other.add(rows, other.cells(hashes), class_index)
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.rows, other.rows)
    assert one.counts.sum() == sum((there & (class_index >= 0)).sum() for there, _ in columns)


def test_cells_without_rows_weigh_like_any_unknown_token():
    table = TokenTable.empty(3)
    table.add(np.arange(6) // 2, np.array([4, 9, 4, 7, 9, 9], np.uint32), np.array([0, 1, 2]))
    weights = table.weights()
    rows = table.rows.astype(float)
    share = rows / rows.sum()
    inside = (table.counts + share) / rows
    others = table.counts.sum(axis=1, keepdims=True) - table.counts
    outside = (others + (1.0 - share)) / (rows.sum() - rows)
    np.testing.assert_array_equal(weights, np.clip(np.log(inside / outside), -3.0, 3.0))
    assert np.flatnonzero(np.ptp(weights, axis=0)).size == 3
