"""Rows through the command line: seal, verify from any place, digest, wrong calls."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.cli import main as cli

POSTGRES = os.environ.get(
    "SLUICEGATE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres"
)
COLUMNS = {"id": "int64", "y": "string"}


@pytest.fixture
def work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("id,y\n1,a\n2,b\n", encoding="utf-8")
    (tmp_path / "columns.json").write_text(json.dumps(COLUMNS), encoding="utf-8")
    pq.write_table(pa.table({"y": ["b", "a"], "id": [2, 1]}), tmp_path / "a.parquet")
    assert cli.main(["keygen", "--out", "k"]) == 0
    assert cli.main(["trust", "init", "--key", "source=k/key.pub.pem", "--out", "t.json"]) == 0
    capsys.readouterr()
    return tmp_path


def seal(source, *more):
    return cli.main(["seal", source, "--name", "s", "--key", "k/key.pem", "--out", "ev", *more])


def verify(source, *more):
    return cli.main(["verify", "ev", source, "--trust", "t.json", *more])


def test_declared_csv_is_verified_from_any_format_with_the_same_rows(work, capsys):
    assert seal("a.csv", "--columns", "columns.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2
    assert verify("a.parquet") == 0
    assert "2 rows match" in capsys.readouterr().out
    assert verify(f"csv:a.csv#{json.dumps(COLUMNS)}") == 0
    pq.write_table(pa.table({"y": ["b", "b"], "id": [2, 1]}), work / "a.parquet")
    assert verify("a.parquet", "--json") == 1
    assert "DIGEST_MISMATCH" in capsys.readouterr().out


def test_evidence_of_rows_is_verified_without_any_data(work, capsys):
    assert seal("a.csv", "--columns", "columns.json") == 0
    assert cli.main(["verify", "ev", "--trust", "t.json"]) == 0
    seal_file = work / "ev" / "seal.dsse.json"
    envelope = json.loads(seal_file.read_bytes())
    envelope["payload"] = envelope["payload"][:-8] + "AAAA" + envelope["payload"][-4:]
    seal_file.write_text(json.dumps(envelope), encoding="utf-8")
    assert cli.main(["verify", "ev", "--trust", "t.json"]) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "id,y\n1,a\n"), ("a.jsonl", '{"id":1,"y":"a"}\n'), ("a.NDJSON", '{"id":1}\n')],
)
def test_columns_are_declared_for_a_directory_of_either_text(work, name, text, capsys):
    (work / "days" / "d=1").mkdir(parents=True)
    (work / "days" / "d=1" / name).write_text(text, encoding="utf-8")
    assert seal("days", "--columns", "columns.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1


@pytest.mark.parametrize("option", [["--merkle"], ["--croissant", "c.json"]])
def test_options_for_files_are_called_wrongly_on_rows(work, option):
    assert seal("a.csv", "--columns", "columns.json", *option) == 64


@pytest.mark.parametrize(
    ("columns", "source"),
    [
        ('{"id": "int65", "y": "string"}', "a.csv"),
        ('["id"]', "a.csv"),
        ('{"id": 1}', "a.csv"),
        ("{", "a.csv"),
        (json.dumps(COLUMNS), "a.parquet"),
    ],
)
def test_columns_that_declare_nothing_are_called_wrongly(work, columns, source):
    (work / "columns.json").write_text(columns, encoding="utf-8")
    assert seal(source, "--columns", "columns.json") == 64


def test_password_in_a_locator_is_refused_and_not_shown(work, capsys):
    assert seal("postgresql://u:hunter2@h/db#t") == 64
    assert "hunter2" not in capsys.readouterr().err


def test_symlink_is_no_text_source(work):
    (work / "b.csv").symlink_to("a.csv")
    assert seal("b.csv", "--columns", "columns.json") == 1


@pytest.fixture
def orders(monkeypatch):
    """A table on a real server, found without a user in the locator."""
    adbc = pytest.importorskip("adbc_driver_postgresql.dbapi")
    name = f"orders_{uuid.uuid4().hex[:12]}"

    def run(statement):
        with (
            closing(adbc.connect(POSTGRES, autocommit=True)) as made,
            closing(made.cursor()) as cursor,
        ):
            cursor.execute(statement.replace("orders", name))

    try:
        run("CREATE TABLE orders (id bigint, y text)")
    except adbc.Error as error:
        pytest.skip(f"no PostgreSQL server at SLUICEGATE_TEST_POSTGRES: {type(error).__name__}")
    run("INSERT INTO orders VALUES (2, 'b'), (1, 'a')")
    before, _, place = POSTGRES.rpartition("@")
    user, _, password = before.removeprefix("postgresql://").partition(":")
    monkeypatch.setenv("PGUSER", user)
    if password:
        monkeypatch.setenv("PGPASSWORD", password)
    yield f"postgresql://{place}#{name}", run
    run("DROP TABLE orders")


def test_postgresql_table_is_the_table_of_the_parquet_file(work, orders, capsys):
    locator, run = orders
    assert seal(locator, "--row-key", "id", "--label", "y") == 0
    assert verify(locator) == verify("a.parquet") == 0
    capsys.readouterr()
    assert cli.main(["digest", locator]) == cli.main(["digest", "a.parquet", "--table"]) == 0
    first, second = capsys.readouterr().out.split()
    assert first == second
    run("UPDATE orders SET y = 'a' WHERE id = 2")
    assert verify(locator) == 1
    run("UPDATE orders SET y = 'b' WHERE id = 2")
    assert verify(locator) == 0
