"""Every counter is a monoid that travels as bytes, so that many hands may count one batch."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.signals.conftest import make_prices, make_rows, put

from sluicegate.errors import MalformedEnvelope
from sluicegate.signals.chunk import Plan, chunk_of
from sluicegate.signals.contributors.names import SHOWN
from sluicegate.signals.registry import FINDINGS, OF_BATCHES
from sluicegate.signals.rows import row_scores
from sluicegate.signals.scan import Scan

N_ROWS = 240
COUNTINGS = tuple(dict.fromkeys(c for signal in OF_BATCHES for c in signal.counters))
few = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
cuts = st.lists(st.integers(0, N_ROWS), min_size=2, max_size=2).map(sorted)
by_name = pytest.mark.parametrize("counting", COUNTINGS, ids=lambda c: c.name.replace(" ", "_"))


@pytest.fixture(scope="module")
def rows(golden):
    """A batch in which every counter has something to count."""
    table = make_rows(N_ROWS, 5)
    table = put(
        table, "x0", [40.0 if i % 9 == 0 else x for i, x in enumerate(table["x0"].to_pylist())]
    )
    table = put(
        table,
        "note",
        [f"{t} в\u200bx" if i % 7 == 0 else t for i, t in enumerate(table["note"].to_pylist())],
    )
    table = put(
        table, "who", [None if i % 11 == 0 else w for i, w in enumerate(table["who"].to_pylist())]
    )
    table = put(
        table,
        "kind",
        [k.upper() if i % 13 == 0 else k for i, k in enumerate(table["kind"].to_pylist())],
    )
    known = make_rows(3000, 1).slice(0, 40)
    flipped = put(known, "y", [1 - y for y in known["y"].to_pylist()])
    whole = pa.concat_tables([table, known, flipped, golden.slice(0, 20)])
    return whole.append_column("price", make_prices(whole.num_rows, 6)["price"]).combine_chunks()


@pytest.fixture(scope="module")
def plans(baseline, priced):
    """What counters read of each baseline, computed once for all tests."""
    return [Plan(baseline), Plan(priced)]


@pytest.fixture
def plan(plans, counting):
    """The plan of the first baseline that asks for the counter."""
    wanted = [signal for signal in OF_BATCHES if counting in signal.counters]
    return next(p for p in plans if any(s.applies(p.baseline) for s in wanted))


def counted(counting, plan, *parts: pa.Table):
    """A counter after some tables, each one record batch."""
    counter = counting.start(plan.baseline)
    for part in parts:
        for batch in part.combine_chunks().to_batches():
            counter.update(chunk_of(plan, batch, 0))
    return counter


@by_name
def test_a_counter_counts_something(counting, plan, rows):
    assert counted(counting, plan, rows) != counting.start(plan.baseline)


@by_name
@few
@given(cut=cuts)
def test_counting_in_pieces_and_merging_is_counting_at_once(counting, plan, rows, cut):
    first, second = cut
    pieces = [rows[:first], rows[first:second], rows[second:]]
    a, b, c = (counted(counting, plan, piece) for piece in pieces)
    whole = counted(counting, plan, rows)
    assert counted(counting, plan, *pieces) == whole
    assert a.merge(b).merge(c) == whole
    assert a.merge(b.merge(c)) == whole


@by_name
def test_the_start_is_the_identity(counting, plan, rows):
    whole, start = counted(counting, plan, rows), counting.start(plan.baseline)
    assert whole.merge(start) == whole
    assert start.merge(whole) == whole
    assert start.merge(counting.start(plan.baseline)) == start


@by_name
def test_bytes_give_the_counter_again_and_it_goes_on_counting(counting, plan, rows):
    whole = counted(counting, plan, rows)
    again = counting.kind.from_bytes(whole.to_bytes())
    assert again == whole
    assert again.merge(whole) == whole.merge(whole)
    start = counting.start(plan.baseline)
    assert counting.kind.from_bytes(start.to_bytes()) == start


@by_name
@few
@given(data=st.data())
def test_other_bytes_are_refused_or_are_another_counter(counting, plan, rows, data):
    whole = counted(counting, plan, rows[:60]).to_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    new = data.draw(st.sampled_from([b"", b"0", b"9", b"-", b"A", b"}", b'"', b",", b"null"]))
    changed = whole[:place] + new + whole[place + 1 :]
    try:
        read = counting.kind.from_bytes(changed)
    except MalformedEnvelope:
        return
    assert read.to_bytes() == changed


@by_name
@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b'{"a":1}', b"1 ", b"\xff"])
def test_what_no_counter_writes_is_refused(counting, data):
    with pytest.raises(MalformedEnvelope):
        counting.kind.from_bytes(data)


@pytest.mark.parametrize("cut", [(0, 90), (70, 301)])
def test_merged_scans_find_what_one_scan_finds(baseline, rows, cut):
    pieces = [rows[: cut[0]], rows[cut[0] : cut[1]], rows[cut[1] :]]

    def scan(*tables: pa.Table) -> Scan:
        found = Scan.start(baseline)
        for table in tables:
            for batch in table.combine_chunks().to_batches():
                found.update(batch)
        return found

    def found(one: Scan):
        comparison = one.comparison({}, SHOWN)
        findings = [f for function in FINDINGS for f in function(comparison)]
        return findings, row_scores(one, comparison, ())[0].tolist()

    whole = scan(rows)
    merged = scan(pieces[0]).merge(scan(pieces[1])).merge(scan(pieces[2]))
    assert found(merged) == found(whole)
