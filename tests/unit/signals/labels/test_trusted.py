"""LABEL_TRUSTED and the table of known rows: redelivery with another label is a flip."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows, put

from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.copies.known_rows import KnownRows, agreed, learn_known_rows, packed
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.labels.known_ids import TRUSTED
from sluicegate.signals.registry import expected_codes

CODE = "LABEL_TRUSTED"


def again(n_rows, *, flipped, seed=1, source=3000):
    """Rows that were delivered before, the first of them with the other label."""
    rows = make_rows(source, seed).slice(0, n_rows)
    labels = rows["y"].to_pylist()
    labels[:flipped] = [1 - y for y in labels[:flipped]]
    return put(rows, "y", labels)


def judge(baseline, table, **settings):
    found = evaluate(
        baseline, table.to_batches(), tolerances=settings.pop("tolerances", {}), **settings
    )
    (record,) = [r for r in found.records if r.code == CODE]
    return record, found


def test_nothing_redelivered_passes_and_says_so(baseline, batch):
    record, _ = judge(baseline, batch)
    assert record.status is Status.PASSED
    assert record.p_value is None
    assert "n = 0" in record.message
    assert record.evidence["known_rows"] == 0


def test_flipped_rows_are_named_and_no_others(baseline, batch):
    table = pa.concat_tables([batch, again(300, flipped=20)])
    record, found = judge(baseline, table)
    assert record.status is Status.FAILED
    assert record.evidence["contradicting"] == 20
    assert sum(count for _, count in record.evidence["contributors"]) <= 20
    named = [i for i, codes in enumerate(found.row_reasons) if CODE in codes]
    assert named == list(range(1500, 1520))
    assert found.row_scores[1500:1520].min() > 0.9


def test_label_of_the_golden_set_is_trusted_too(baseline, batch):
    golden = again(40, flipped=15, seed=77, source=400)
    record, _ = judge(baseline, pa.concat_tables([batch, golden]))
    assert record.status is Status.FAILED
    assert record.evidence["contradicting"] == 15


def test_one_relabelled_row_in_a_thousand_is_a_correction(baseline, batch):
    record, _ = judge(baseline, pa.concat_tables([batch, again(1500, flipped=1)]))
    assert record.status is Status.PASSED


@pytest.mark.slow
def test_unknown_class_on_a_known_row_contradicts_and_a_lost_label_does_not(baseline, batch):
    rows = again(200, flipped=0)
    new = put(rows, "y", [7] * 20 + rows["y"].to_pylist()[20:])
    lost = put(rows, "y", [None] * 20 + rows["y"].to_pylist()[20:])
    assert judge(baseline, pa.concat_tables([batch, new]))[0].evidence["contradicting"] == 20
    record, _ = judge(baseline, pa.concat_tables([batch, lost]))
    assert record.evidence["contradicting"] == 0
    assert record.evidence["known_rows"] == 180


def test_policy_may_tolerate_more(baseline, batch):
    table = pa.concat_tables([batch, again(300, flipped=20)])
    record, _ = judge(baseline, table, tolerances={f"{CODE}:id": 0.1})
    assert record.status is Status.PASSED


@pytest.mark.slow
def test_source_that_relabels_by_itself_has_its_own_rate():
    """Every id twice, a tenth of the second labels changed: as many in a batch are no alarm."""
    rows = make_rows(1500, 5)
    order = np.random.default_rng(0).permutation(1500)
    changed = set(order[:150].tolist())
    labels = rows["y"].to_pylist()
    second = put(rows, "y", [1 - y if i in changed else y for i, y in enumerate(labels)])
    baseline = build_baseline(
        [b for t in (rows, second) for b in t.to_batches()], SCHEMA, created=CREATED, seed=1
    )
    known = TRUSTED.of(baseline)
    assert known.keys.size == 1350
    natural = judge(baseline, again(1000, flipped=0, seed=5, source=1500))[0]
    assert natural.status is Status.PASSED
    usual, many = (judge(baseline, _shaken(rows, share))[0] for share in (0.1, 0.4))
    assert usual.status is Status.PASSED
    assert many.status is Status.FAILED


def _shaken(rows, share):
    hit = np.random.default_rng(3).random(rows.num_rows) < share
    return put(
        rows, "y", [1 - y if h else y for h, y in zip(hit, rows["y"].to_pylist(), strict=True)]
    )


@pytest.mark.slow
def test_no_id_no_classes_or_nested_ids_ask_nothing():
    rows = make_rows(600, 1)
    lists = rows.set_column(0, "id", pa.array([[i] for i in range(600)]))
    for table, schema in (
        (rows, BatchSchema(label="y")),
        (rows, BatchSchema(id="id")),
        (rows, BatchSchema(id="id", label="x0")),
        (lists, BatchSchema(id="id", label="y")),
    ):
        baseline = build_baseline(table.to_batches(), schema, created=CREATED, seed=1)
        assert TRUSTED.of(baseline) is None
        assert CODE not in expected_codes(baseline)


def test_too_many_rows_to_remember_leave_a_sample_that_says_its_size():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 10_000, dtype=np.uint64)
    cells, blocks = rng.integers(0, 3, 10_000).astype(np.uint8), np.arange(10_000) % 5
    known, _ = learn_known_rows(hashes, cells, blocks, kept=1000)
    assert known.keys.size == 1000
    assert known.coverage == pytest.approx(0.1, rel=0.15)
    order = rng.permutation(10_000)
    mixed, _ = learn_known_rows(hashes[order], cells[order], blocks[order], kept=1000)
    assert np.array_equal(mixed.keys, known.keys)
    assert np.array_equal(
        known.cells(hashes)[known.cells(hashes) >= 0], cells[known.cells(hashes) >= 0]
    )


def test_hash_without_a_clear_class_is_forgotten():
    keys = packed(
        np.array([256, 256, 512, 512, 512], np.uint64), np.array([0, 1, 2, 2, 2], np.uint8)
    )
    assert agreed(keys).tolist() == [512 + 2]
    assert KnownRows(agreed(keys), 1.0, 0, 0).cells(
        np.array([256, 512, 768], np.uint64)
    ).tolist() == [
        -1,
        2,
        -1,
    ]
