"""One table, one digest, whichever engine holds it; what an engine would change is refused."""

import datetime as dt
import os
import re
import sys
import uuid
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import sluicegate
from sluicegate.adapters.engines.table import duckdb_batches, pandas_batches, postgres_batches
from sluicegate.adapters.engines.table_commitment import commit_batches, commit_spark
from sluicegate.adapters.files.tabular import open_batches
from sluicegate.errors import InsufficientData, SchemaMismatch, UnreadableData
from sluicegate.tables.row_schema import TableSchema

POSTGRES = os.environ.get(
    "SLUICEGATE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres"
)
DOCS = Path(__file__).parents[4] / "docs"
UTC = dt.UTC
NAN, INF = float("nan"), float("inf")

BEFORE_1970 = dt.datetime(1969, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001 - a local time
SUMMER_GAP = dt.datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001 - does not exist in Berlin

COLUMNS = {
    "id": (pa.int64(), "bigint", [1, 2, 3, 2**63 - 1, -(2**63), 0]),
    "small": (pa.int16(), "smallint", [1, None, -32768, 32767, 0, 0]),
    "x": (pa.float64(), "double precision", [-0.0, NAN, None, -INF, 1e308, 0.1]),
    "x32": (pa.float32(), "real", [0.5, NAN, None, INF, -1.25, 0.0]),
    "ok": (pa.bool_(), "boolean", [True, False, None, True, False, True]),
    "text": (pa.string(), "text", ["", None, "é", "e\u0301", "日本\U0001f600", "a'b\\c"]),
    "raw": (pa.binary(), "bytea", [b"", None, b"\x00\xff", b"a", b"a", b"b"]),
    "price": (
        pa.decimal128(20, 4),
        "numeric(20,4)",
        [Decimal(s) if s else None for s in ["1.5", "-0.0001", "", "1e12", "0", "100"]],
    ),
    "day": (
        pa.date32(),
        "date",
        [dt.date(1, 1, 1), dt.date(9999, 12, 31), None, *[dt.date(1970, 1, 1)] * 3],
    ),
    "local": (
        pa.timestamp("us"),
        "timestamp",
        [
            BEFORE_1970,
            None,
            *[SUMMER_GAP] * 4,
        ],
    ),
    "at": (
        pa.timestamp("us", "UTC"),
        "timestamptz",
        [dt.datetime(2026, 1, 1, tzinfo=UTC), None, *[dt.datetime(1900, 1, 1, 5, tzinfo=UTC)] * 4],
    ),
    "zoned": (
        pa.timestamp("us", "Asia/Kolkata"),
        "timestamptz",
        [dt.datetime(2026, 7, 1, 18, 30, tzinfo=UTC), None, *[BEFORE_1970.replace(tzinfo=UTC)] * 4],
    ),
    "tags": (pa.list_(pa.string()), "text[]", [["a", None], [], None, ["b"], ["c"], ["d"]]),
}
CLOCK = pa.array(
    [dt.time(0), dt.time(23, 59, 59, 999999), None, dt.time(12, 30), dt.time(1), dt.time(2)],
    pa.time64("us"),
)
"""Spark 4.3 refuses a Parquet file that holds one: UNSUPPORTED_TIME_TYPE."""
ARROW_ALONE = {
    "big": pa.array([0, 2**64 - 1, None, 2**63, 1, 2], pa.uint64()),
    "took": pa.array([0, -1, None, 10**12, 1, 2], pa.duration("us")),
    "half": pa.array(np.array([0.5, -0.0, np.nan, np.inf, 1, 2], np.float16)),
    "deep": pa.array([[{"a": [1]}], [], None, [None], [{"a": None}], [{"a": []}]]),
    "none": pa.nulls(6),
}
"""What no database here has a type for, or none that two of them share."""
NESTED = {
    "s": pa.array(
        [{"b": 1, "a": "x"}, None, {"b": None, "a": None}] * 2,
        pa.struct([("b", pa.int32()), ("a", pa.string())]),
    ),
    "m": pa.array([[("k", 1), ("a", None)], None, []] * 2, pa.map_(pa.string(), pa.int64())),
}


@pytest.fixture(scope="module")
def table():
    return pa.table({name: pa.array(values, kind) for name, (kind, _, values) in COLUMNS.items()})


@pytest.fixture(scope="module")
def nested(table):
    return table.append_column("s", NESTED["s"]).append_column("m", NESTED["m"])


def digest(batches):
    return str(commit_batches(batches, locator="test").digest)


@pytest.fixture(scope="module")
def expected(table):
    return digest(table.to_batches())


def digest_of_no_rows(table):
    return digest([table.to_batches()[0].slice(0, 0)])


def _rows(table, order):
    return table.take(pa.array(order))


def _one_file(table, path):
    pq.write_table(table, path / "all.parquet")
    return path / "all.parquet"


def _many_files(table, path):
    for number, row in enumerate([3, 1, 0, 5, 4, 2]):
        (path / f"d{row}").mkdir()
        pq.write_table(_rows(table, [row]), path / f"d{row}" / f"part-{number}.parquet")
    return path


def _row_groups(table, path):
    shuffled = _rows(table, [5, 0, 4, 2, 1, 3]).select(sorted(table.column_names, reverse=True))
    pq.write_table(shuffled, path / "a.parquet", row_group_size=2, compression="zstd")
    return path


def _dictionaries(table, path):
    encoded = table.set_column(
        table.column_names.index("text"), "text", table["text"].dictionary_encode()
    )
    pq.write_table(encoded, path / "a.parquet")
    return path / "a.parquet"


def _large(table, path):
    wide = pa.schema(
        [
            (
                name,
                {pa.string(): pa.large_string(), pa.int16(): pa.int64()}.get(
                    field.type, field.type
                ),
            )
            for name, field in zip(table.column_names, table.schema, strict=True)
        ]
    )
    pq.write_table(table.cast(wide), path / "a.parquet")
    return path


@pytest.mark.parametrize("layout", [_one_file, _many_files, _row_groups, _dictionaries, _large])
def test_parquet_in_any_layout_has_the_digest(nested, tmp_path, layout):
    assert digest(open_batches(layout(nested, tmp_path))) == digest(nested.to_batches())


def test_rows_in_any_arrow_batches_have_the_digest(table, expected):
    assert digest(_rows(table, [5, 4, 3, 2, 1, 0]).to_batches(max_chunksize=1)) == expected


@pytest.fixture(scope="module")
def whole(nested):
    """A table with every class of the specification."""
    made = nested.append_column("clock", CLOCK)
    for name, column in ARROW_ALONE.items():
        made = made.append_column(name, column)
    return made


def test_table_holds_every_class_of_the_specification(whole):
    text = str(TableSchema.of(whole.schema).to_json())
    specified = (DOCS / "formats" / "table-digest.md").read_text(encoding="utf-8")
    classes = re.findall(r"^\| `\W*(\w+)\b", specified, re.MULTILINE)
    assert len(classes) == 15
    assert [name for name in classes if f"'{name}'" not in text] == []


@pytest.mark.parametrize("layout", [_one_file, _many_files, _row_groups])
def test_every_class_survives_parquet_and_pandas(whole, tmp_path, layout):
    import pandas as pd

    expected = digest(whole.to_batches())
    assert digest(open_batches(layout(whole, tmp_path))) == expected
    frame = whole.to_pandas(types_mapper=pd.ArrowDtype)
    assert digest(pandas_batches(frame.sample(frac=1, random_state=1))) == expected


def test_arrow_dataset_has_the_digest(table, expected, tmp_path):
    ds.write_dataset(table, tmp_path, format="parquet", max_rows_per_file=2, max_rows_per_group=2)
    assert digest(ds.dataset(tmp_path).to_batches()) == expected


def test_pandas_with_arrow_types_has_the_digest(nested):
    import pandas as pd

    frame = nested.to_pandas(types_mapper=pd.ArrowDtype)
    assert digest(pandas_batches(frame.sample(frac=1, random_state=1))) == digest(
        nested.to_batches()
    )


def test_pandas_with_its_own_types_has_the_digest_where_nan_is_null(table):
    plain = table.select(["id", "ok", "text", "day", "at"])
    assert digest(pandas_batches(plain.to_pandas())) == digest(plain.to_batches())
    floats = pa.table({"x": [1.5, None]})
    assert digest(pandas_batches(floats.to_pandas())) == digest(floats.to_batches())


def test_pandas_column_of_mixed_objects_is_refused_without_its_values():
    import pandas as pd

    frame = pd.DataFrame({"x": pd.Series([1, "secret"], dtype=object)})
    with pytest.raises(SchemaMismatch, match="cannot be carried over") as caught:
        digest(pandas_batches(frame))
    assert "secret" not in str(caught.value)


def test_duckdb_has_the_digest(nested):
    duckdb = pytest.importorskip("duckdb")
    nested = nested.append_column("clock", CLOCK)
    nested = nested.append_column("big", ARROW_ALONE["big"])
    nested = nested.append_column("deep", ARROW_ALONE["deep"])
    with closing(duckdb.connect()) as connection:
        connection.register("view", nested)
        connection.execute("SET TimeZone='Asia/Tokyo'; CREATE TABLE t AS SELECT * FROM view")
        relation = connection.sql("SELECT * FROM t ORDER BY random()")
        assert digest(duckdb_batches(relation)) == digest(nested.to_batches())
        empty = connection.sql("SELECT * FROM t WHERE false")
        assert digest(duckdb_batches(empty)) == digest_of_no_rows(nested)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("1::hugeint", "HUGEINT"),
        ("uuid()", "UUID"),
        ("'12:00:00+01'::timetz", "TIME WITH TIME ZONE"),
        ("interval 1 day", "INTERVAL"),
        ("'101'::bit", "BIT"),
        ("[{'a': 1::hugeint}]", r"STRUCT\(a HUGEINT\)\[\]"),
        ("'{}'::json", "JSON"),
    ],
)
def test_duckdb_type_without_an_encoding_is_refused_by_name(value, named):
    duckdb = pytest.importorskip("duckdb")
    with closing(duckdb.connect()) as connection:
        relation = connection.sql(f"SELECT {value} AS odd")
        with pytest.raises(SchemaMismatch, match=f"column odd.*{named}"):
            digest(duckdb_batches(relation))


@pytest.fixture(scope="module")
def postgres():
    """A throwaway database on a real server."""
    adbc = pytest.importorskip("adbc_driver_postgresql.dbapi")
    name = f"sluicegate_test_{uuid.uuid4().hex[:12]}"

    def run(*statements, url=POSTGRES):
        with closing(adbc.connect(url, autocommit=True)) as made, closing(made.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)

    try:
        run(f"CREATE DATABASE {name}")
    except adbc.Error as error:
        pytest.skip(f"no PostgreSQL server at SLUICEGATE_TEST_POSTGRES: {type(error).__name__}")
    url = POSTGRES.rpartition("/")[0] + "/" + name
    yield url, lambda *statements: run(*statements, url=url)
    run(f"DROP DATABASE {name} WITH (FORCE)")


def _load(table, url, columns):
    """Through text and SQL, so that the server parses every value itself."""
    import adbc_driver_postgresql.dbapi as adbc

    staged = table.set_column(
        table.column_names.index("price"), "price", table["price"].cast(pa.string())
    )
    with closing(adbc.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE TABLE t ({', '.join(columns)})")
        cursor.adbc_ingest("staged", staged, mode="create")
        cast = ", ".join("price::numeric" if n == "price" else n for n in table.column_names)
        cursor.execute(f"INSERT INTO t SELECT {cast} FROM staged ORDER BY random()")
        connection.commit()


def test_postgresql_has_the_digest(postgres, table):
    url, run = postgres
    table = table.append_column("clock", CLOCK)
    expected = digest(table.to_batches())
    _load(table, url, [f"{name} {sql}" for name, (_, sql, _) in COLUMNS.items()] + ["clock time"])
    assert digest(postgres_batches(url, "SELECT * FROM t")) == expected
    run("UPDATE t SET text = text || '' WHERE id = 1")  # moves the row, changes nothing
    assert digest(postgres_batches(url, "SELECT * FROM t ORDER BY day DESC")) == expected
    assert digest(postgres_batches(url, "SELECT * FROM t WHERE false")) == digest_of_no_rows(table)
    run("UPDATE t SET ok = NOT ok WHERE id = 1")
    assert digest(postgres_batches(url, "SELECT * FROM t")) != expected


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("gen_random_uuid()", "uuid"),
        ("'{}'::json", "json"),
        ("'{}'::jsonb", "jsonb"),
        ("interval '1 day'", "interval"),
        ("timetz '12:00+01'", "timetz"),
        ("inet '1.2.3.4'", "inet"),
        ("money '1.2'", "money"),
        ("1::oid", "oid"),
        ("row(1, 'a')", "record"),
        ("array[interval '1 day']", "_interval"),
    ],
)
def test_postgresql_type_without_an_encoding_is_refused_by_name(postgres, value, named):
    with pytest.raises(SchemaMismatch, match=f"column odd.*got {named}"):
        digest(postgres_batches(postgres[0], f"SELECT {value} AS odd"))


@pytest.mark.parametrize("value", ["'NaN'", "'Infinity'", f"{'9' * 39}", f"0.{'1' * 39}"])
def test_postgresql_numeric_beyond_decimals_is_refused_without_its_value(postgres, value):
    with pytest.raises(SchemaMismatch, match="column odd: NUMERIC") as caught:
        digest(postgres_batches(postgres[0], f"SELECT {value}::numeric AS odd"))
    assert value not in str(caught.value)


def test_postgresql_arrays_of_numeric_are_lists_of_decimals(postgres):
    query = "SELECT array[1.50, NULL, 100]::numeric[] AS v UNION ALL SELECT NULL"
    plain = pa.table({"v": pa.array([[Decimal("1.5"), None, Decimal(100)], None])})
    assert digest(postgres_batches(postgres[0], query)) == digest(plain.to_batches())


def test_postgresql_query_may_not_write(postgres):
    with pytest.raises(UnreadableData, match="did not answer"):
        digest(postgres_batches(postgres[0], "CREATE TABLE forbidden AS SELECT 1 AS a"))


def test_absent_server_could_not_be_read():
    pytest.importorskip("adbc_driver_postgresql.dbapi")
    with pytest.raises(UnreadableData, match=r"127\.0\.0\.1:1/x") as caught:
        digest(postgres_batches("postgresql://someone:hunter2@127.0.0.1:1/x", "SELECT 1"))
    assert "hunter2" not in str(caught.value)


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(sluicegate.__file__).parents[1]))  # for the executors
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[2]").appName("sluicegate-test")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "3",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "2",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    patch.undo()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # pyspark's own
def test_spark_has_the_digest(spark, nested, tmp_path):
    pq.write_table(nested, tmp_path / "a.parquet")
    frame = spark.read.parquet(str(tmp_path))
    expected = digest(nested.to_batches())
    assert str(commit_spark(frame).digest) == expected
    assert str(commit_spark(frame.repartition(4)).digest) == expected
    empty = str(commit_spark(frame.where("id = 12345")).digest)
    assert empty == digest_of_no_rows(nested)


def test_batches_that_differ_in_their_columns_are_refused():
    batches = [pa.record_batch({"a": [1]}), pa.record_batch({"a": ["1"]})]
    with pytest.raises(SchemaMismatch, match="expected a int, got a string"):
        digest(batches)


def test_batches_of_one_class_and_different_width_are_one_table():
    narrow = pa.record_batch({"a": pa.array([2], pa.int8())})
    assert digest([pa.record_batch({"a": [1]}), narrow]) == digest([pa.record_batch({"a": [1, 2]})])


def test_stream_without_a_batch_has_no_columns():
    with pytest.raises(InsufficientData, match="no columns"):
        digest([])


def test_observer_sees_every_row_with_its_id():
    seen = []
    table = pa.table({"a": np.arange(100_000)})
    commit_batches(
        table.to_batches(max_chunksize=33_333),
        locator="test",
        observe=lambda chunk, ids: seen.append((chunk.num_rows, len(ids))),
    )
    assert sum(rows for rows, _ in seen) == 100_000
    assert all(rows == n_ids for rows, n_ids in seen)
