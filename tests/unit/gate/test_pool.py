"""What a pool says, and which batches may stand in one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sluicegate.digest.algorithms import Digest
from sluicegate.errors import MalformedEnvelope
from sluicegate.gate.pool import Earlier, Left, Of, Pool, both, lacks_only_rows, poolable
from sluicegate.signals.decision.record import Family, SignalRecord, Status

AT = datetime(2026, 1, 2, tzinfo=UTC)
SHARED = frozenset({"LABEL_FLIPS", "OUTLIERS"})


def digest(number: int) -> Digest:
    return Digest("dirHash1", f"{number:064x}")


def earlier(number: int, *, counts=True, left=Left.JUDGED, behind=(), of=Of.ROWS) -> Earlier:
    pool = Pool(60, tuple(map(digest, behind)), left, of=of)
    return Earlier(digest(number), AT, counts, pool)


def record(code: str, status: Status, column: str = "", n: int = 0) -> SignalRecord:
    return SignalRecord(code=code, family=Family.LABEL, status=status, column=column, n_batch=n)


def names(found) -> list[int]:
    return [int(one.digest.hex, 16) for one in found]


@pytest.mark.parametrize(
    "pool",
    [
        Pool(12),
        Pool(36, (digest(1), digest(2)), Left.WAITING),
        Pool(60, (digest(1),), Left.SPENT, "batch 1 is gone"),
        Pool(0, (), Left.WAITING, of=Of.LABELS),
    ],
    ids=["alone", "waiting", "spent", "labels"],
)
def test_pool_survives_json(pool):
    assert Pool.from_json(pool.to_json()) == pool


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "60"},
        {"rows": True},
        {"rows": 0},
        {"batches": ["no digest"]},
        {"left": "open"},
        {"ended": None},
        {"of": "columns"},
        {"of": "labels", "rows": -1},
    ],
    ids=str,
)
def test_pool_that_nobody_writes_is_refused(change):
    with pytest.raises((MalformedEnvelope, TypeError, ValueError)):
        Pool.from_json({**Pool(60, (digest(1),)).to_json(), **change})


def test_pool_of_an_older_verdict_is_one_of_rows():
    value = Pool(60, (digest(1),)).to_json()
    del value["of"]
    assert Pool.from_json(value).of is Of.ROWS


def test_pool_says_with_what_and_how_many_rows():
    assert Pool(78, tuple(map(digest, range(6)))).text == (
        "judged together with the 6 batches before it, 78 rows"
    )


@pytest.mark.parametrize(
    ("n_rows", "need"), [(12, "38 more rows"), (49, "1 more row is"), (60, "up to 200 rows")]
)
def test_pool_that_waits_says_how_many_rows_are_needed(n_rows, need):
    assert need in Pool(n_rows, (), Left.WAITING).text


@pytest.mark.parametrize(
    ("n_known", "need"), [(0, "50 more labels"), (49, "1 more label is"), (60, "up to 200 labels")]
)
def test_pool_of_labels_that_waits_says_how_many_labels_are_needed(n_known, need):
    assert need in Pool(n_known, (), Left.WAITING, of=Of.LABELS).text


@pytest.mark.parametrize("of", Of)
@pytest.mark.parametrize("left", Left)
def test_only_a_batch_that_waits_has_a_next_step_of_its_own(left, of):
    """Nobody can correct a batch to which only rows are lacking."""
    assert bool(Pool(60, (digest(1),), left, of=of).next_step) is (left is Left.WAITING)


def test_batches_that_count_stand_in_a_pool_newest_first():
    found = poolable([earlier(3), earlier(2, counts=False), earlier(1)])
    assert names(found) == [3, 1]


def test_batch_that_was_judged_alone_stands_in_no_pool():
    """Ten thousand judged rows would hide twelve that nobody looked at."""
    assert names(poolable([Earlier(digest(2), AT, True, None), earlier(1)])) == [1]


def test_batch_with_few_labels_lends_its_labels_and_not_its_rows():
    """All rows of one that only lacked labels would outweigh a small batch; its labels do not."""
    found = [earlier(2, of=Of.LABELS), earlier(1)]
    assert names(poolable(found, Of.ROWS)) == [1]
    assert names(poolable(found, Of.LABELS)) == [2, 1]


def test_batches_of_a_spent_pool_stay_out_and_older_ones_do_not():
    spent = earlier(4, counts=False, left=Left.SPENT, behind=(2, 3))
    assert names(poolable([earlier(5), spent, earlier(3), earlier(2), earlier(1)])) == [5, 1]


def test_each_signal_speaks_once_of_the_batch_or_of_the_pool():
    own = [record("LEAKAGE", Status.FAILED, n=12), record("OUTLIERS", Status.NOT_EVALUATED, n=12)]
    pooled = [record("LEAKAGE", Status.PASSED, n=60), record("OUTLIERS", Status.PASSED, n=60)]
    assert both(own, pooled, SHARED) == (own[0], pooled[1])


@pytest.mark.parametrize(
    ("against", "waits"),
    [
        ([("LABEL_FLIPS", "y")], True),
        ([("LABEL_FLIPS", "y"), ("SEQUENCE", "")], True),
        ([("OUTLIERS", "")], False),  # it was judged, and is bad
        ([("LABEL_FLIPS", "z")], False),  # nobody left a finding
        ([("LEAKAGE", "")], False),  # one row is enough for it
    ],
    ids=str,
)
def test_only_signals_that_lack_rows_let_a_batch_wait(against, waits):
    records = [
        record("LABEL_FLIPS", Status.NOT_EVALUATED, "y"),
        record("OUTLIERS", Status.FAILED),
        record("LEAKAGE", Status.NOT_EVALUATED),
        record("SEQUENCE", Status.NOT_EVALUATED),
    ]
    assert lacks_only_rows(against, records, SHARED) is waits


def test_finding_that_failed_beside_one_that_lacks_rows_does_not_wait():
    """Two baselines: what one of them found is not excused by what the other could not see."""
    records = [record("OUTLIERS", Status.NOT_EVALUATED), record("OUTLIERS", Status.FAILED)]
    assert not lacks_only_rows([("OUTLIERS", "")], records, SHARED)
