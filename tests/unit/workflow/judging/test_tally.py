"""A tally travels as bytes: what it reads it writes again, and it refuses everything else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.test_corpus import mutated
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows

from sluicegate.adapters.files.bounds import Meter
from sluicegate.adapters.files.formats import Unjudged
from sluicegate.digest.canonical import dumps, loads
from sluicegate.errors import MalformedEnvelope, UnreadableData
from sluicegate.gate.limits import Limits
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.contributors.limits import LimitCounts
from sluicegate.signals.contributors.rules import ContributorLimits
from sluicegate.signals.scan import scan_beside
from sluicegate.workflow.judging.tally import Tally

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = make_rows(300, 5)


@pytest.fixture(scope="module")
def case():
    """As much of a case as a tally asks for."""
    baseline = build_baseline(make_rows(600, 1).to_batches(), SCHEMA, created=CREATED, seed=1)
    limits = ContributorLimits(max_class_share=0.5)
    return SimpleNamespace(
        baselines=[baseline],
        policy=SimpleNamespace(limits=Limits()),
        batch=SimpleNamespace(location="here"),
        limit_counts=lambda: LimitCounts(baseline.schema, limits),
    )


def tally_of(case, table: pa.Table, *unjudged: Unjudged) -> Tally:
    counts = case.limit_counts()
    counts.update(table)
    meter = Meter(locator="here", n_rows=table.num_rows, n_bytes=table.nbytes, on_disk=99)
    scans = scan_beside(case.baselines, table.to_batches())
    return Tally(ROWS.schema, table.schema, scans, counts, meter, list(unjudged))


def read(case, data: bytes) -> Tally:
    return Tally.from_bytes(data, case, locator="x")


@pytest.fixture(scope="module")
def written(case):
    return tally_of(case, ROWS, Unjudged("a.bin", "unknown")).to_bytes()


def test_bytes_give_the_tally_again_and_parts_are_the_whole(case, written):
    assert read(case, written).to_bytes() == written
    parts = [tally_of(case, ROWS[:100], Unjudged("a.bin", "unknown")), tally_of(case, ROWS[100:])]
    parts[1].meter.on_disk = 0
    parts[1].meter.n_bytes = ROWS.nbytes - parts[0].meter.n_bytes
    start = Tally.start(case, ROWS.schema)
    sent = [read(case, part.to_bytes()) for part in (start, *parts)]
    assert sent[0].merge(sent[1]).merge(sent[2]).to_bytes() == written
    assert sent[0].merge(sent[1].merge(sent[2])).to_bytes() == written


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_edited_bytes_are_refused_or_are_another_tally(case, written, data):
    edited = data.draw(st.one_of(mutated(written), st.binary(max_size=64)))
    try:
        found = read(case, edited)
    except MalformedEnvelope:
        return
    assert found.to_bytes() == edited


@pytest.mark.parametrize("key", ["columns", "seen", "scans", "contributors", "meter", "unjudged"])
@pytest.mark.parametrize("token", [b"null", b"[]", b"{}", b'"x"', b"-1", b"[1,2]"])
def test_field_of_another_kind_is_refused(case, written, key, token):
    if (key, token) == ("unjudged", b"[]"):
        return
    value = loads(written, locator="x")
    value[key] = loads(token, locator="x")
    with pytest.raises(MalformedEnvelope):
        read(case, dumps(value))


def test_tally_of_another_baseline_is_refused(case, written):
    other = build_baseline(
        make_rows(600, 2).drop_columns(["x3"]).to_batches(), SCHEMA, created=CREATED, seed=2
    )
    with pytest.raises(MalformedEnvelope):
        read(SimpleNamespace(**{**vars(case), "baselines": [other]}), written)
    with pytest.raises(MalformedEnvelope):
        read(SimpleNamespace(**{**vars(case), "baselines": [*case.baselines, other]}), written)


def test_more_rows_together_than_the_limits_are_refused(case):
    parts = [tally_of(case, ROWS[:150]), tally_of(case, ROWS[150:])]
    for part in parts:
        part.meter.limits = replace(Limits(), max_rows=200)
    with pytest.raises(UnreadableData, match="max_rows"):
        parts[0].merge(parts[1])


def test_no_message_quotes_what_was_counted(case, written):
    edited = written.replace(b'"c0"', b'["secret"]', 1)
    with pytest.raises(MalformedEnvelope) as caught:
        read(case, edited)
    assert "secret" not in str(caught.value)
