"""Rows from text and SQL: exact, or refused with row and column and without the value."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import suppress
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.adapters.files.declared import DeclaredSchema
from sluicegate.adapters.sources.protocol import RowSource
from sluicegate.adapters.sources.sql import SqlRows
from sluicegate.adapters.sources.text_rows import CsvRows, JsonLinesRows
from sluicegate.errors import (
    ConfigError,
    MalformedEnvelope,
    SchemaMismatch,
    SluicegateError,
    UnreadableData,
)

SCHEMA = DeclaredSchema.of(
    {"id": "int64", "name": "string", "x": "float64", "ok": "bool", "day": "date",
     "at": "timestamp", "price": "decimal(10,2)"}
)  # fmt: skip
HEADER = "id,name,x,ok,day,at,price\n"
ROW = "7,ann,1.5,true,2026-01-31,2026-01-31T12:00:00.25Z,-3.50\n"


def table(source) -> pa.Table:
    return pa.Table.from_batches(list(source.batches()))


def csv(text, schema=SCHEMA):
    return CsvRows(text.encode(), schema, "f.csv")


def jsonl(*lines, schema=SCHEMA):
    return JsonLinesRows("\n".join(lines).encode(), schema, "f.jsonl")


def test_csv_has_the_declared_types():
    found = table(csv(HEADER + ROW + ",,,,,,\n"))
    assert found.schema == SCHEMA.arrow
    first, second = found.to_pylist()
    assert (first["id"], first["day"], first["price"]) == (7, date(2026, 1, 31), Decimal("-3.50"))
    assert first["at"].isoformat() == "2026-01-31T12:00:00.250000+00:00"
    assert second == dict.fromkeys(first)


def test_json_lines_have_the_types_of_the_same_csv():
    line = {"id": 7, "name": "ann", "x": 1.5, "ok": True, "day": "2026-01-31",
            "at": "2026-01-31T12:00:00.25Z", "price": "-3.50"}  # fmt: skip
    assert table(jsonl(json.dumps(line))).equals(table(csv(HEADER + ROW)))


def test_open_file_is_read_like_bytes():
    data = (HEADER + ROW).encode()
    assert table(CsvRows(io.BytesIO(data), SCHEMA, "f")).equals(table(csv(HEADER + ROW)))
    line = b'{"id":1}\n'
    assert table(JsonLinesRows(io.BytesIO(line), SCHEMA, "f")).num_rows == 1


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("id", "secret"), ("id", "1.0"), ("id", "007"), ("id", "+1"), ("id", "1_000"),
        ("id", "9223372036854775808"), ("id", "99999999999999999999999"), ("x", "NaN"),
        ("x", "inf"), ("x", "1e999"), ("x", "0x10"), ("ok", "yes"), ("ok", "True"),
        ("day", "2026-02-31"), ("day", "31.1.2026"), ("at", "2026-01-31T12:00:00"),
        ("at", "2026-01-31T25:00:00Z"), ("price", "1.234"), ("price", "123456789.00"),
    ],
)  # fmt: skip
def test_csv_value_of_another_type_is_refused_by_row_and_column(column, text):
    names = HEADER.strip().split(",")
    bad = ",".join(text if name == column else "" for name in names)
    with pytest.raises(SchemaMismatch, match=f"row 2, column '{column}'") as caught:
        table(csv(HEADER + ROW + bad + "\n"))
    assert text not in str(caught.value).replace("row 2", "")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "line",
    [
        '{"id":"7"}', '{"id":true}', '{"id":1.0}', '{"x":"1.5"}', '{"x":9007199254740993}',
        '{"ok":1}', '{"name":5}', '{"day":"2026-02-31"}', '{"at":"2026-01-31T12:00:00"}',
        '{"at":5}', '{"at":[]}', '{"day":{}}',
        '{"price":1.5}', '{"price":"1.234"}', '{"price":"NaN"}', '{"price":"123456789"}',
        '{"other":1}',
    ],
)  # fmt: skip
def test_json_value_of_another_type_is_refused_by_row(line):
    with pytest.raises(SchemaMismatch, match="row 2"):
        table(jsonl('{"id":1}', line))


@pytest.mark.parametrize(
    "line",
    ['{"id":1,"id":2}', '{"x":NaN}', '{"x":Infinity}', '{"x":1e999}', '{"id":9223372036854775808}',
     "[1]", "{", '{"name":"\\ud800"}'],
)  # fmt: skip
def test_json_that_parsers_disagree_on_is_refused_by_row(line):
    with pytest.raises(MalformedEnvelope, match="row 2"):
        table(jsonl('{"id":1}', line, '{"id":3}'))


def test_empty_line_of_json_is_no_row():
    assert table(jsonl('{"id":1}', "", '{"id":3}', " ")).num_rows == 2


@pytest.mark.parametrize(
    "header", ["id,name\n", "name,id,x,ok,day,at,price\n", HEADER[:-1] + ",id\n"]
)
def test_csv_header_that_is_not_the_declared_one_is_refused(header):
    with pytest.raises(SchemaMismatch, match=r"header|another number"):
        table(csv(header + ROW))


def test_csv_row_of_another_length_is_refused_without_its_text():
    with pytest.raises(SchemaMismatch, match="row 2: row has another number") as caught:
        table(csv(HEADER + ROW + "hunter2,x\n"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("source", [csv(""), jsonl(), CsvRows(b"\xff\xfe\n\x00", SCHEMA, "f")])
def test_nothing_to_read_could_not_be_checked(source):
    with pytest.raises((UnreadableData, SchemaMismatch)):
        table(source)


@pytest.mark.parametrize("columns", [{}, {"a": "int32"}, {"a": "decimal(2,3)"}])
def test_unknown_declared_type_is_called_wrongly(columns):
    with pytest.raises(ConfigError):
        DeclaredSchema.of(columns)


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.text("ab,\"'\n é", max_size=5),
            st.floats(allow_nan=False, allow_infinity=False),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_csv_round_trip(rows):
    import csv as writer

    out = io.StringIO(newline="")
    lines = writer.writer(out, quoting=writer.QUOTE_ALL)
    schema = DeclaredSchema.of({"i": "int64", "s": "string", "x": "float64", "b": "bool"})
    lines.writerow(["i", "s", "x", "b"])
    lines.writerows((i, s, repr(x), str(b).lower()) for i, s, x, b in rows)
    try:
        found = table(CsvRows(out.getvalue().encode(), schema, "f")).to_pylist()
    except SchemaMismatch:
        assert any("e" in repr(x) and abs(x) < 1e-300 for _, _, x, _ in rows)
        return
    assert [tuple(row.values()) for row in found] == [(i, s or None, x, b) for i, s, x, b in rows]


@given(st.binary(max_size=100))
def test_any_bytes_are_rows_or_refused_by_us(data):
    for source in (CsvRows(data, SCHEMA, "f"), JsonLinesRows(data, SCHEMA, "f")):
        with suppress(SluicegateError):
            table(source)


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, x REAL, s TEXT, b BLOB, d DATE, n NUMERIC)")
        connection.execute("INSERT INTO t VALUES (1, 1.5, 'a', x'00', '2026-01-01', 1)")
        connection.execute("INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL)")
    connection.close()
    return f"sqlite:///{path}"


def test_sqlite_rows_have_their_declared_types(sqlite):
    source = SqlRows(sqlite, "SELECT id, x, s, b FROM t")
    assert isinstance(source, RowSource)
    found = table(source)
    assert found.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.binary()]
    assert found.to_pylist()[0] == {"id": 1, "x": 1.5, "s": "a", "b": b"\x00"}


@pytest.mark.parametrize(("column", "kind"), [("d", "DATE"), ("n", "NUMERIC"), ("id + 1", "type")])
def test_sqlite_type_we_cannot_carry_is_refused_by_name(sqlite, column, kind):
    with pytest.raises(SchemaMismatch, match=kind):
        table(SqlRows(sqlite, f"SELECT {column} FROM t"))


def test_sqlite_value_of_another_type_than_its_column_is_refused(sqlite):
    with sqlite3.connect(sqlite.removeprefix("sqlite:///")) as connection:
        connection.execute("INSERT INTO t (id) VALUES ('hunter2')")
    connection.close()
    with pytest.raises(SchemaMismatch, match="row 3, column 'id'") as caught:
        table(SqlRows(sqlite, "SELECT id FROM t"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "query", ["DELETE FROM t", "SELECT 1; DELETE FROM t", "nosuch", "PRAGMA user_version = 5"]
)
def test_sql_that_is_no_select_could_not_be_read_and_changes_nothing(sqlite, query):
    with pytest.raises(UnreadableData):
        table(SqlRows(sqlite, query))
    assert table(SqlRows(sqlite, "SELECT id FROM t")).num_rows == 2


def test_duckdb_table_is_read_without_the_right_to_write(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1::BIGINT AS id, 'a' AS s")
    assert table(SqlRows(f"duckdb:///{path}", "t")).to_pylist() == [{"id": 1, "s": "a"}]
    with pytest.raises(UnreadableData):
        table(SqlRows(f"duckdb:///{path}", "DELETE FROM t"))
    with pytest.raises(UnreadableData):
        table(SqlRows(f"duckdb:///{path}", "SELECT * FROM read_csv('/etc/passwd')"))


def test_locator_shows_no_password():
    source = SqlRows("postgresql://u:hunter2@h:5/d?sslpassword=hunter2", "t")
    assert source.location == "postgresql://h:5/d#t"


def test_unknown_database_is_called_wrongly():
    with pytest.raises(ConfigError, match="postgresql, sqlite or duckdb"):
        table(SqlRows("oracle://h/d", "t"))
