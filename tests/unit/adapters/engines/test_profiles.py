"""Whoever counts, Arrow, Spark, DuckDB or PostgreSQL: the profile has the same bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_server import throwaway_database
from spark_session import spark_session

from sluicegate.adapters.engines import profiles as profile_engines
from sluicegate.adapters.engines.profiles import duckdb_profile, postgres_profile, spark_profile
from sluicegate.adapters.engines.table import duckdb_batches, postgres_batches
from sluicegate.profiling.columns import infer_column
from sluicegate.profiling.counts import Profile
from sluicegate.profiling.layout import Layout
from sluicegate.profiling.schema import BatchSchema

SCHEMA = BatchSchema(id="id", label="y", contributor="who", text=("note",), timestamp="at")
ODD = [float("nan"), float("inf"), float("-inf"), -0.0, 1e308, None]


def table(n, seed, *, classes=3):
    rng = np.random.default_rng(seed)
    x = [ODD[i] if i < len(ODD) else float(rng.normal()) for i in rng.integers(0, 40, n)]
    words = ["näïve", "a'b", 'say "x"', "", "日本語 text", "\\back"]
    return pa.table(
        {
            "id": pa.array([f"r{i}" for i in range(n)]),
            "x": pa.array(x, pa.float64()),
            "count": pa.array(rng.integers(-5, 1 << 60, n), mask=rng.random(n) < 0.1),
            "flag": pa.array(rng.random(n) < 0.3, mask=rng.random(n) < 0.1),
            'k"ind': pa.array([words[i] for i in rng.integers(0, 6, n)]),
            "note": pa.array([" ".join(words[: i + 1]) for i in rng.integers(0, 6, n)]),
            "at": pa.array(rng.integers(0, 1 << 40, n), pa.timestamp("us", tz="UTC")),
            "who": pa.array(
                [None if i == 3 else f"w{i}" for i in rng.integers(0, 4, n)], pa.string()
            ),
            "y": pa.array(rng.integers(0, classes, n), mask=rng.random(n) < 0.05),
        }
    )


BASE = table(500, 0)
LAYOUT = Layout(
    tuple(infer_column(n, BASE[n], role=SCHEMA.role(n)) for n in BASE.column_names), SCHEMA
)
VARIANTS = {
    "as the baseline": lambda t: t,
    "new classes and categories": lambda t: t.set_column(
        8, "y", pa.array((np.arange(t.num_rows) % 7).tolist(), pa.int64())
    ).set_column(4, 'k"ind', pa.array([f"new{i % 3}" for i in range(t.num_rows)])),
    "without label and contributor": lambda t: t.drop_columns(["y", "who", "x"]),
    "label of another kind": lambda t: t.set_column(8, "y", pa.array(["a"] * t.num_rows)),
    "no rows": lambda t: t.slice(0, 0),
}


def of(rows):
    return Profile.of(LAYOUT, rows.to_batches()).to_bytes()


@pytest.fixture
def duck():
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("variant", VARIANTS)
def test_duckdb_counts_the_same_bytes_without_streaming(duck, monkeypatch, variant):
    rows = VARIANTS[variant](table(700, 3))
    only_types = lambda relation: [next(duckdb_batches(relation.limit(0)))]  # noqa: E731
    monkeypatch.setattr(profile_engines, "duckdb_batches", lambda r: iter(only_types(r)))
    assert duckdb_profile(duck.from_arrow(rows), LAYOUT).to_bytes() == of(rows)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300), st.integers(1, 10_000))
def test_duckdb_counts_the_same_bytes_of_any_rows(n, seed):
    duckdb = pytest.importorskip("duckdb")
    rows = table(n, seed, classes=5)
    with duckdb.connect() as connection:
        assert duckdb_profile(connection.from_arrow(rows), LAYOUT).to_bytes() == of(rows)


def test_decimals_are_streamed_and_count_the_same_bytes(duck):
    rows = table(200, 4)
    exact = pa.array(
        [None if v is None or not abs(v) < 9 else round(v, 3) for v in rows["x"].to_pylist()],
        pa.float64(),
    ).cast(pa.decimal128(12, 3), safe=False)
    rows = rows.set_column(1, "x", exact)
    assert duckdb_profile(duck.from_arrow(rows), LAYOUT).to_bytes() == of(rows)


@pytest.fixture(scope="module")
def postgres():
    pytest.importorskip("adbc_driver_postgresql.dbapi")
    with throwaway_database() as server:
        yield server


def store(server, rows, name):
    """Write rows over the driver's own bulk load."""
    import adbc_driver_postgresql.dbapi as adbc

    url = server.url().partition("?")[0]
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, rows, mode="create")
        connection.commit()
    return url


@pytest.mark.parametrize(("at", "variant"), list(enumerate(VARIANTS)))
def test_postgres_counts_the_same_bytes_inside_the_server(postgres, monkeypatch, at, variant):
    rows = VARIANTS[variant](table(700, 5))
    url = store(postgres, rows, f"rows{at}")
    asked = []
    monkeypatch.setattr(
        profile_engines,
        "postgres_batches",
        lambda url, sql: asked.append(sql) or postgres_batches(url, sql),
    )
    query = f"SELECT * FROM rows{at}"
    assert postgres_profile(url, query, LAYOUT).to_bytes() == of(rows)
    assert query not in asked


def test_padded_strings_are_streamed(postgres):
    url = postgres.url().partition("?")[0]
    query = "SELECT CAST('w1' AS char(5)) AS who, 1::int8 AS y"
    rows = pa.Table.from_batches(postgres_batches(url, query))
    found = postgres_profile(url, query, LAYOUT)
    assert found.to_bytes() == of(rows)
    assert list(found.contributors) == ["w1   "]


@pytest.fixture(scope="module")
def spark():
    with spark_session(**{"spark.sql.execution.arrow.maxRecordsPerBatch": "64"}) as session:
        yield session


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # pyspark's own
@pytest.mark.parametrize("partitions", [1, 5])
def test_spark_counts_the_same_bytes_on_its_executors(spark, partitions):
    rows = table(700, 6, classes=5)
    frame = spark.createDataFrame(rows).repartition(partitions)
    assert spark_profile(frame, LAYOUT).to_bytes() == of(rows)
