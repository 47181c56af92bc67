"""One table in every form that a location can name, for tests that hold them against each other."""

from __future__ import annotations

import bz2
import gzip
import http.server
import json
import os
import sqlite3
import threading
import uuid
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import rows

POSTGRES = os.environ.get(
    "SLUICEGATE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres"
)
COLUMNS = {
    "id": "string", "time": "timestamp", "who": "string", "x": "float64", "y": "float64",
    **{f"w{i}": "float64" for i in range(4)}, "label": "int64",
}  # fmt: skip
DIALECT = {
    "delimiter": ";", "quote": "'", "decimal": ",", "thousands": ".", "encoding": "cp1252",
    "header": False, "missing": ["-"], "columns": COLUMNS,
}  # fmt: skip
"""Everything that can be declared, at once."""


def of(seed, n=3000):
    """The made-up source in the types that every kind of location has."""
    table = rows(seed, n)
    place = table.schema.get_field_index("time")
    zoned = table["time"].cast(pa.timestamp("us", "UTC"))
    table = table.set_column(place, "time", zoned)
    return table.set_column(table.num_columns - 1, "label", table["label"].cast(pa.int64()))


def as_text(table):
    """The table with times as text."""
    place = table.schema.get_field_index("time")
    return table.set_column(
        place, "time", pc.strftime(table["time"], format="%Y-%m-%dT%H:%M:%SZ").cast(pa.string())
    )


def lines(table):
    """The table as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in as_text(table).to_pylist()).encode()


def csv(table):
    """The table as comma-separated text with a header."""
    out = pa.BufferOutputStream()
    pa_csv.write_csv(as_text(table), out)
    return out.getvalue().to_pybytes()


def european(table):
    """The table as `DIALECT` declares it."""
    found = []
    for row in as_text(table).to_pylist():
        cells = [_cell(value) for value in row.values()]
        found.append(";".join(cells) + "\r\n")
    return "".join(found).encode("cp1252")


def _cell(value):
    if isinstance(value, float):
        return repr(value).replace(".", ",")
    return f"'{value}'" if isinstance(value, str) else str(value)


def put(root, table):
    """Write one table in every form below a directory; return locations by what they are."""
    root.mkdir()
    half = table.num_rows // 2
    parts = {"a": table.slice(0, half), "b": table.slice(half)}
    for name, part in parts.items():
        _write(root / "files" / f"{name}.parquet", _parquet(part))
        _write(root / "csv" / f"{name}.csv", csv(part))
        _write(root / "european" / f"{name}.csv", european(part))
        _write(root / "jsonl" / f"{name}.jsonl", lines(part))
    _write(root / "packed json" / "a.jsonl.gz", gzip.compress(lines(parts["a"])))
    _write(root / "packed json" / "b.ndjson.bz2", bz2.compress(lines(parts["b"])))
    _write(root / "p.jsonl", lines(table))
    _write(root / "whole.parquet", _parquet(table))
    (root / "current").symlink_to("files")
    _croissant(root / "files", root / "files.json")
    declared, dialect = json.dumps(COLUMNS), json.dumps(DIALECT)
    memory = fsspec.filesystem("memory")
    for path in (root / "files").iterdir():
        memory.pipe(f"/{root.name}/{path.name}", path.read_bytes())
    for path in (root / "jsonl").iterdir():
        memory.pipe(f"/{root.name} json/{path.name}", path.read_bytes())
    _sqlite(root / "a.db", table)
    _duckdb(root / "a.duckdb", table)
    return {
        "directory": str(root / "files"),
        "file": str(root / "whole.parquet"),
        "link to a directory": str(root / "current"),
        "file://": f"file://{root}/files",
        "glob:": f"glob:{root}/files/*.parquet",
        "glob without scheme": f"{root}/files/*.parquet",
        "croissant:": f"croissant:{root}/files.json",
        "store": f"memory://{root.name}",
        "store of JSON lines": f"memory://{root.name} json",
        "directory of CSV": str(root / "csv"),
        "directory of declared CSV": str(root / "european"),
        "glob of declared CSV": f"{root}/european/*.csv",
        "directory of JSON lines": str(root / "jsonl"),
        "directory of packed JSON lines": str(root / "packed json"),
        "csv: of a file": f"csv:{root}/csv/a.csv#{declared}",
        "csv: of a directory": f"csv:{root}/csv#{declared}",
        "csv: of a glob": f"csv:{root}/csv/*.csv#{declared}",
        "csv: of a dialect": f"csv:{root}/european#{dialect}",
        "jsonl:": f"jsonl:{root}/p.jsonl#{declared}",
        "jsonl: of a directory": f"jsonl:{root}/jsonl#{declared}",
        "sqlite:": f"sqlite:///{root}/a.db#t",
        "duckdb:": f"duckdb:///{root}/a.duckdb#t",
        "sqlite: query": f"sqlite:///{root}/a.db#SELECT * FROM t ORDER BY rowid",
    }


HALF = frozenset({"csv: of a file"})
"""Kinds of `put` that name the first half of the rows."""

KINDS = (
    "directory", "file", "link to a directory", "file://", "glob:", "glob without scheme",
    "croissant:", "store", "store of JSON lines", "directory of CSV", "directory of declared CSV",
    "glob of declared CSV", "directory of JSON lines", "directory of packed JSON lines",
    "csv: of a file", "csv: of a directory", "csv: of a glob", "csv: of a dialect", "jsonl:",
    "jsonl: of a directory", "sqlite:", "sqlite: query", "duckdb:",
)  # fmt: skip


def _write(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def _parquet(table):
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    return out.getvalue().to_pybytes()


def _croissant(files, document):
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": path.name,
            "name": path.name,
            "contentUrl": f"{files.name}/{path.name}",
            "sha256": sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(files.iterdir())
    ]
    document.write_text(json.dumps({"@type": "sc:Dataset", "distribution": objects}))


def _sqlite(path, table):
    with closing(sqlite3.connect(path)) as connection:
        names = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in COLUMNS.items())
        connection.execute(f"CREATE TABLE t ({names})")
        marks = ", ".join("?" * len(COLUMNS))
        values = [tuple(row.values()) for row in as_text(table).to_pylist()]
        connection.executemany(f"INSERT INTO t VALUES ({marks})", values)
        connection.commit()


def _duckdb(path, table):
    with closing(duckdb.connect(str(path))) as connection:
        connection.register("rows_", table)
        connection.execute("CREATE TABLE t AS SELECT * FROM rows_")


_TYPES = {"string": "TEXT", "timestamp": "TEXT", "float64": "REAL", "int64": "INTEGER"}


@contextmanager
def postgres_tables(monkeypatch, tables):
    """Put tables onto the server of SLUICEGATE_TEST_POSTGRES; yields a location for each."""
    adbc = pytest.importorskip("adbc_driver_postgresql.dbapi")
    before, _, place = POSTGRES.rpartition("@")
    user, _, password = before.removeprefix("postgresql://").partition(":")
    try:
        connection = adbc.connect(POSTGRES, autocommit=True)
    except adbc.Error as error:
        pytest.skip(f"no PostgreSQL server at SLUICEGATE_TEST_POSTGRES: {type(error).__name__}")
    monkeypatch.setenv("PGUSER", user)
    if password:
        monkeypatch.setenv("PGPASSWORD", password)
    names = [f"rows_{uuid.uuid4().hex[:12]}" for _ in tables]
    with closing(connection), closing(connection.cursor()) as cursor:
        try:
            for name, table in zip(names, tables, strict=True):
                cursor.adbc_ingest(name, table, mode="create")
            yield [f"postgresql://{place}#{name}" for name in names]
        finally:
            for name in names:
                cursor.execute(f"DROP TABLE IF EXISTS {name}")


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        """Nothing: a request is no news."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_arguments):
        """Nothing: whoever only looks at the begin of a file hangs up early."""


@contextmanager
def http_server(root):
    """Serve a directory on this machine; yields the URL of its root."""
    handler = partial(_Silent, directory=str(root))
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
