"""The baseline file: canonical, strict, without rows, the same for the same input."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.signals.conftest import CREATED, SCHEMA, make_rows

from sluicegate.digest.canonical import dumps
from sluicegate.errors import ConfigError, InsufficientData, MalformedEnvelope, SchemaMismatch
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import Baseline, build_baseline
from sluicegate.signals.evaluate import evaluate


def test_bytes_round_trip_and_judge_alike(baseline, batch):
    read = Baseline.from_bytes(baseline.to_bytes())
    assert read.to_bytes() == baseline.to_bytes()
    assert read.digest == baseline.digest
    again = evaluate(read, batch.to_batches(), tolerances={})
    assert again.records == evaluate(baseline, batch.to_batches(), tolerances={}).records


@pytest.mark.slow
def test_same_rows_and_seed_give_the_same_bytes():
    first, second = (
        build_baseline(
            make_rows(500, 1).to_batches(max_chunksize=c), SCHEMA, created=CREATED, seed=3
        )
        for c in (500, 77)
    )
    assert first.to_bytes() == second.to_bytes()


def test_no_row_is_in_the_file(baseline):
    text = baseline.to_bytes().decode()
    rows = make_rows(3000, 1)
    assert "1-17" not in text
    assert not any(note in text for note in rows["note"].to_pylist()[:50])


def test_attributes_are_those_of_the_rows(baseline):
    assert baseline.n_rows == 3000
    assert baseline.schema == SCHEMA
    assert baseline.created == CREATED
    assert baseline.expires > baseline.created


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_edited_byte_is_refused_or_changes_the_digest(baseline, data):
    body = bytearray(baseline.to_bytes())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = (body[at] + data.draw(st.integers(1, 255))) % 256
    try:
        read = Baseline.from_bytes(bytes(body))
    except (MalformedEnvelope, ConfigError):
        return
    assert read.digest != baseline.digest


def edited(baseline, change) -> bytes:
    value = json.loads(baseline.to_bytes())
    change(value)
    return dumps(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("profile"),
        lambda v: v.update(extra=1),
        lambda v: v["profile"].update(n_rows=-1),
        lambda v: v["profile"]["cells"].pop("x0"),
        lambda v: v["layout"]["columns"][3].update(edges=[3.0, 2.0]),
        lambda v: v["layout"]["columns"].append(v["layout"]["columns"][0]),
        lambda v: v["layout"]["schema"].update(label="x0", contributor="x0"),
        lambda v: v["labels"]["model"]["forests"][0].update(leaves="AAAA"),
        lambda v: v["labels"]["model"]["forests"][0].update(order="!"),
        lambda v: v["labels"]["model"].update(classes=[0]),
        lambda v: v["labels"]["scale"].update(own=[[1]]),
        lambda v: v["contamination"]["values"].update(cells="AAAA"),
        lambda v: v["contamination"].update(golden=["AQAAAAAAAAAAAAAAAAAAAA=="]),
        lambda v: v["contamination"]["trusted"].update(keys="AQAAAAAAAAABAAAAAAAAAA=="),
        lambda v: v["contamination"]["trusted"].update(coverage=0.0),
        lambda v: v["contamination"]["arrival"].update(level=-1),
        lambda v: v["contamination"]["arrival"].update(cells="AAAAAAAAAAA="),
        lambda v: v["contamination"]["arrival"].update(who_shift=[0.5]),
        lambda v: v["contamination"]["conflicts"][0].update(spectrum=[[1, 0, 0.0]]),
        lambda v: v["contamination"]["conflicts"][1].update(spectrum=[[2, 1, 3.0]]),
        lambda v: v["contamination"]["trusted"].update(contradicted=1, met=0),
        lambda v: v.update(created="yesterday"),
        lambda v: v.update(tolerances=[]),
        lambda v: v.update(labels=7),
    ],
)
def test_malformed_part_is_refused(baseline, change):
    with pytest.raises(MalformedEnvelope, match="MALFORMED"):
        Baseline.from_bytes(edited(baseline, change))


def test_unknown_version_asks_for_a_rebuild(baseline):
    data = edited(baseline, lambda v: v.update(type="https://sluicegate.dev/baseline-profile/v9"))
    with pytest.raises(ConfigError, match="unknown version"):
        Baseline.from_bytes(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\x00", b'{"type":3}'])
def test_other_bytes_are_no_baseline(data):
    with pytest.raises(MalformedEnvelope):
        Baseline.from_bytes(data)


def test_pretty_printed_file_is_refused(baseline):
    pretty = json.dumps(json.loads(baseline.to_bytes()), indent=1).encode()
    with pytest.raises(MalformedEnvelope, match="canonical"):
        Baseline.from_bytes(pretty)


def test_parts_drawn_at_random_teach_no_budget():
    """Without times they differ by chance, which p-values know; with times they may be seasons."""
    rng = np.random.default_rng(1)
    rows = {
        "x": rng.normal(size=800) + np.repeat([0.0, 2.0, 0.0, 2.0], 200),
        "y": np.where(np.repeat([0.1, 0.6, 0.1, 0.6], 200) > rng.random(800), "a", "b"),
        "at": pa.array(np.arange(800) * 3_600_000, pa.timestamp("ms")),
    }
    timed, drawn = (
        build_baseline(
            pa.table({k: v for k, v in rows.items() if k != left_out}).to_batches(),
            BatchSchema(label="y", timestamp=None if left_out else "at"),
            created=CREATED,
            seed=1,
        )
        for left_out in ("", "at")
    )
    assert timed.tolerances["DRIFT_NUMERIC:x"] > 0.1
    assert {v for k, v in drawn.tolerances.items() if k.startswith("DRIFT")} == {0.0}


def test_too_few_rows_make_no_baseline():
    with pytest.raises(InsufficientData, match="at least 200"):
        build_baseline(make_rows(199, 1).to_batches(), SCHEMA, created=CREATED, seed=1)


def test_no_rows_at_all_make_no_baseline():
    with pytest.raises(InsufficientData):
        build_baseline([], SCHEMA, created=CREATED, seed=1)


def test_schema_that_names_a_missing_column_is_refused():
    rows = make_rows(300, 1)
    names = ", ".join(rows.schema.names)
    with pytest.raises(ConfigError, match=f"expected some of {names}, got nobody"):
        build_baseline(rows.to_batches(), BatchSchema(label="nobody"), created=CREATED, seed=1)


def test_parts_with_other_columns_are_refused():
    parts = [*make_rows(300, 1).to_batches(), *pa.table({"z": [1]}).to_batches()]
    with pytest.raises(SchemaMismatch, match="differ"):
        build_baseline(parts, SCHEMA, created=CREATED, seed=1)


def test_time_without_zone_is_refused():
    with pytest.raises(ConfigError, match="time zone"):
        build_baseline(
            make_rows(300, 1).to_batches(),
            SCHEMA,
            created=CREATED.replace(tzinfo=None),
            seed=1,
        )
