"""A batch that is counted in parts, each sent as bytes, is found what it is found in one piece."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.signals.conftest import CREATED, SCHEMA, make_prices, make_rows, put

from sluicegate.digest.canonical import dumps, loads
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.contributors.names import SHOWN
from sluicegate.signals.evaluate import results_of
from sluicegate.signals.scan import Scan, scan_beside

N_ROWS = 700
few = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def vectors(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    points = rng.normal(size=(n, 12)) + label[:, None]
    lists = pa.array([None if i % 50 == 7 else list(p) for i, p in enumerate(points)])
    return pa.table({"v": lists, "y": label, "who": [f"c{i % 3}" for i in range(n)]})


def poisoned(table: pa.Table) -> pa.Table:
    """Rows in which most signals have something to say."""
    n = table.num_rows
    changed = table
    if "x0" in table.schema.names:
        x0 = [60.0 if i % 11 == 0 else x for i, x in enumerate(table["x0"].to_pylist())]
        changed = put(changed, "x0", x0)
    if "note" in table.schema.names:
        notes = [
            f"{t} zyx\u200bw" if i % 9 == 0 else t for i, t in enumerate(table["note"].to_pylist())
        ]
        changed = put(changed, "note", notes)
    if "y" in table.schema.names:
        flipped = [1 - y if i % 7 == 0 else y for i, y in enumerate(table["y"].to_pylist())]
        changed = put(changed, "y", flipped)
    return pa.concat_tables([changed.slice(0, n - 60), changed.slice(20, 60)]).combine_chunks()


def _bare(table: pa.Table) -> pa.Table:
    return table.drop_columns(["y", "who", "at", "id"])


@pytest.fixture(scope="module")
def worlds(baseline, priced):
    """A baseline and a batch of each kind."""
    bare = replace(SCHEMA, id=None, label=None, contributor=None, timestamp=None)
    of_vectors = BatchSchema(label="y", contributor="who", embedding=("v",))
    made = {"created": CREATED, "seed": 1}
    return {
        "labels": (baseline, poisoned(make_rows(N_ROWS, 5))),
        "numbers": (priced, poisoned(make_prices(N_ROWS, 5))),
        "no labels": (
            build_baseline(_bare(make_rows(1500, 1)).to_batches(), bare, **made),
            _bare(poisoned(make_rows(N_ROWS, 5))),
        ),
        "vectors": (
            build_baseline(vectors(1500, 1).to_batches(), of_vectors, **made),
            poisoned(vectors(N_ROWS, 2)),
        ),
        "a column is missing": (
            baseline,
            poisoned(make_rows(N_ROWS, 6)).drop_columns(["x1", "who"]),
        ),
    }


WORLDS = ("labels", "numbers", "no labels", "vectors", "a column is missing")


def counted(baseline, table: pa.Table) -> Scan:
    scan = Scan.start(baseline, keep_rows=False)
    scan.update_all(table.to_batches(max_chunksize=97))
    return scan


def sent(scan: Scan, columns: pa.Schema) -> Scan:
    """Return what another machine reads."""
    data = dumps(scan.to_json())
    found = Scan.from_json(loads(data, locator="test"), scan.plan.baseline, columns)
    assert dumps(found.to_json()) == data
    return found


def found(scans) -> list[dict]:
    [result] = results_of(scans, tolerances={}, naming=SHOWN)
    return [record.to_dict() for record in result.records]


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@few
@given(data=st.data(), n_parts=st.sampled_from([1, 2, 7, 50]))
def test_parts_that_travel_and_merge_are_found_what_one_piece_is(worlds, world, data, n_parts):
    baseline, table = worlds[world]
    n = table.num_rows
    places = st.lists(st.integers(0, n), min_size=n_parts - 1, max_size=n_parts - 1)
    cuts = [0, *sorted(data.draw(places)), n]
    parts = [sent(counted(baseline, table[a:b]), table.schema) for a, b in itertools.pairwise(cuts)]
    [whole] = results_of(scan_beside([baseline], table.to_batches()), tolerances={})
    assert found([reduce(Scan.merge, parts)]) == [r.to_dict() for r in whole.records]
    again = reduce(lambda later, earlier: earlier.merge(later), reversed(parts))
    assert dumps(again.to_json()) == dumps(counted(baseline, table).to_json())


@pytest.mark.parametrize("world", WORLDS)
def test_rows_in_any_order_are_found_the_same(worlds, world):
    baseline, table = worlds[world]
    parts = [table[a : a + 101] for a in range(0, table.num_rows, 101)]
    order = np.random.default_rng(3).permutation(len(parts))
    [whole] = results_of(scan_beside([baseline], table.to_batches()), tolerances={})
    merged = reduce(Scan.merge, [counted(baseline, parts[i]) for i in order])
    assert found([merged]) == [r.to_dict() for r in whole.records]


def test_most_signals_fired_or_the_law_says_little(worlds):
    fired = set()
    for baseline, table in worlds.values():
        [whole] = results_of(scan_beside([baseline], table.to_batches()), tolerances={})
        fired |= {r.code for r in whole.records if r.status.value in ("FAILED", "WARNED")}
    assert len(fired) >= 6, fired


def test_counts_against_another_baseline_are_refused(worlds):
    (first, table), (second, _) = worlds["labels"], worlds["vectors"]
    value = counted(first, table).to_json()
    with pytest.raises((ValueError, KeyError)):
        Scan.from_json(value, second, table.schema)
    with pytest.raises(ValueError, match="other keys"):
        Scan.from_json({**value, "more": 1}, first, table.schema)
