"""One hand delivers no more than the policy allows, and a newcomer weighs less."""

from __future__ import annotations

import itertools
import math
from functools import reduce

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest.canonical import dumps, loads
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.contributors.limits import (
    LimitCounts,
    limit_records,
    sampling_weights,
)
from sluicegate.signals.contributors.rules import ContributorLimits
from sluicegate.signals.decision.record import Status

SCHEMA = BatchSchema(contributor="who", label="label", timestamp="time")
HOUR_MS = 3_600_000


def batch(counts, *, label=0, hour=0):
    names = [name for name, n_rows in counts.items() for _ in range(n_rows)]
    times = pa.array([hour * HOUR_MS] * len(names), pa.timestamp("ms"))
    return pa.table({"who": names, "label": [label] * len(names), "time": times})


def found(table, known=("a", "b", "c"), schema=SCHEMA, **limits):
    records = limit_records(table, schema, set(known), ContributorLimits(**limits))
    return {record.column: record for record in records}


def test_share_at_the_limit_passes_and_above_it_fails():
    table = batch({"a": 300, "b": 300, "c": 400})
    assert found(table, max_share=0.4)["max_share"].status is Status.PASSED
    over = found(table, max_share=0.399)["max_share"]
    assert over.status is Status.FAILED
    assert "contributor c delivered 40.0%" in over.message


def test_share_within_one_class_is_found_although_the_whole_is_small():
    table = pa.concat_tables([batch({"a": 900, "b": 900}), batch({"c": 100, "a": 20}, label=1)])
    assert found(table, max_share=0.5)["max_share"].status is Status.PASSED
    over = found(table, max_class_share=0.6)["max_class_share"]
    assert over.status is Status.FAILED
    assert "class 1" in over.message


def test_burst_within_one_period_is_found():
    table = pa.concat_tables([batch({"a": 500, "b": 500}), batch({"c": 190, "a": 10}, hour=30)])
    limits = {"max_period_share": 0.6, "period_hours": 24}
    assert found(table, **limits)["max_period_share"].status is Status.FAILED
    assert found(table, max_share=0.6)["max_share"].status is Status.PASSED


def test_newcomers_and_nameless_rows_count_together():
    table = batch({"a": 80, "x": 10, None: 10})
    assert found(table, max_new_share=0.2)["max_new_share"].status is Status.PASSED
    assert found(table, max_new_share=0.19)["max_new_share"].status is Status.FAILED


@pytest.mark.parametrize(
    ("schema", "limits"),
    [
        (BatchSchema(), {"max_share": 0.5}),
        (BatchSchema(contributor="gone"), {"max_share": 0.5}),
        (BatchSchema(contributor="who"), {"max_class_share": 0.5}),
        (BatchSchema(contributor="who"), {"max_period_share": 0.5, "period_hours": 1}),
        (
            BatchSchema(contributor="who", timestamp="label"),
            {"max_period_share": 0.5, "period_hours": 1},
        ),
    ],
)
def test_limit_without_its_column_is_not_evaluated(schema, limits):
    records = found(batch({"a": 100}), schema=schema, **limits).values()
    assert Status.NOT_EVALUATED in {record.status for record in records}


@given(
    counts=st.dictionaries(st.sampled_from("abcdxyz"), st.integers(1, 200), min_size=3, max_size=7),
    share=st.sampled_from([0.34, 0.4, 0.5, 0.9]),
    probation=st.sampled_from([None, 0.1, 1.0]),
)
def test_nobody_holds_more_than_the_share_of_all_weight(counts, share, probation):
    limits = ContributorLimits(max_share=share, probation_weight=probation)
    table = batch(counts)
    weights = sampling_weights(table, SCHEMA, {"a", "b", "c", "d"}, limits)
    held = dict.fromkeys(counts, 0.0)
    for name, weight in zip(table["who"].to_pylist(), weights, strict=True):
        assert 0 < weight <= 1
        held[name] += weight
    assert max(held.values()) <= share * sum(held.values()) * (1 + 1e-9)


def test_newcomer_on_probation_weighs_less_and_a_known_one_whole():
    weights = sampling_weights(
        batch({"a": 2, "x": 1}), SCHEMA, {"a"}, ContributorLimits(probation_weight=0.25)
    )
    assert weights == [1.0, 1.0, 0.25]


def test_too_few_contributors_for_the_share_weigh_alike():
    weights = sampling_weights(
        batch({"a": 90, "b": 10}), SCHEMA, {"a", "b"}, ContributorLimits(max_share=0.3)
    )
    assert math.isclose(sum(weights[:90]), sum(weights[90:]))


@given(
    names=st.lists(st.sampled_from(["a", "b", "x", None]), min_size=200, max_size=400),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
def test_parts_that_travel_and_merge_are_held_against_limits_as_one_piece(names, cuts):
    limits = ContributorLimits(
        max_share=0.3, max_class_share=0.3, max_period_share=0.3, period_hours=1, max_new_share=0.1
    )
    n = len(names)
    times = pa.array([i % 3 * HOUR_MS for i in range(n)], pa.timestamp("ms"))
    table = pa.table({"who": names, "label": [i % 2 for i in range(n)], "time": times})
    ends = [0, *sorted(cuts), n]
    parts = []
    for a, b in itertools.pairwise(ends):
        counts = LimitCounts(SCHEMA, limits)
        counts.update(table[a:b])
        data = dumps(counts.to_json())
        parts.append(LimitCounts(SCHEMA, limits).read(loads(data, locator="test")))
        assert dumps(parts[-1].to_json()) == data
    merged = reduce(LimitCounts.merge, parts)
    assert merged.records({"a", "b"}) == limit_records(table, SCHEMA, {"a", "b"}, limits)
