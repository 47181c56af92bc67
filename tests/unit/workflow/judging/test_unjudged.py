"""No column is silent: it is judged, or its name is in the verdict as not judged."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.counters.conftest import KINDS, build, dates, judged, table

from sluicegate.errors import ConfigError
from sluicegate.signals.baseline.stored import Baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.registry import OF_BATCHES, expected_findings
from sluicegate.workflow.judging.unjudged import column_records

EXTRA = {
    "days": lambda d, r, o: dates(r.permutation(d)),
    "wait": lambda d, r, o: pa.array(
        (r.gamma(2, 60, len(d)) * 1e6).astype("int64"), pa.duration("us")
    ),
    "at": lambda d, r, o: pa.array(r.integers(0, 86_400, len(d)).astype("int32"), pa.time32("s")),
    "bytes": lambda d, r, o: pa.array([b"\xff%d" % i for i in r.integers(0, 9, len(d))]),
    "words": lambda d, r, o: pa.array([b"a", b"b"] * (len(d) // 2)),
    "list": lambda d, r, o: pa.array([[1, 2]] * len(d)),
    "code": lambda d, r, o: pa.array([f"{i:x}" for i in r.integers(0, 2**40, len(d))]),
    "serial": lambda d, r, o: r.integers(0, 2**40, len(d)),
    "order": KINDS["numbers of orders"],
    "day": KINDS["date"],
}


def rows(part, seed):
    found = table(part, seed, KINDS["meter"])
    for i, (name, make) in enumerate(EXTRA.items()):
        other = table(part, seed + 10 * i, make)
        found = found.append_column(name, other["k"])
    return found


def named(baseline, batch):
    return {r.column: r for r in column_records(baseline, batch.schema)}


@pytest.fixture(scope="module")
def sources():
    base = rows("base", 1).append_column("loaded", pa.array(np.arange(3000.0)))
    batch = rows("batch", 2).append_column("loaded", pa.array(np.full(1000, 1e12)))
    return build(base, counter=("serial",), ignore=("list", "loaded")), batch


def test_every_column_is_judged_or_said_to_be_not_judged(sources):
    baseline, batch = sources
    quiet = {s.code for s in OF_BATCHES if s.code in ("SCHEMA", "COMPLETENESS")}
    keys = [key.partition(":") for key in expected_findings(baseline)]
    looked_at = {column for code, _, column in keys if column and code not in quiet}
    roles = {"id", "ts", "who", "y"}
    assert set(batch.schema.names) == looked_at | set(named(baseline, batch)) | roles
    assert set(named(baseline, batch)) == {"days", "bytes", "list", "code", "loaded"}


def test_ignored_column_may_be_anything_or_absent_and_is_named(sources):
    baseline, batch = sources
    for other in (batch, batch.drop_columns(["loaded"])):
        found = judged(baseline, other)
        assert [key for key, r in found.items() if r.status is not Status.PASSED] == []
        record = named(baseline, other)["loaded"]
        assert record.message == "UNJUDGED: column loaded is not judged: the schema ignores it."
        assert record.status is Status.PASSED


def test_ignored_column_enters_nothing_that_a_baseline_keeps(sources):
    baseline, _ = sources
    again = Baseline.from_bytes(baseline.to_bytes())
    assert "loaded" not in {c.name for c in again.layout.columns}
    assert again.schema.ignore == ("list", "loaded")


@pytest.mark.parametrize("role", ["ignore", "counter"])
def test_schema_that_names_a_column_which_is_not_there_is_refused(role):
    with pytest.raises(ConfigError, match="do not have"):
        build(table("base", 1, KINDS["meter"]), **{role: ("misspelt",)})
