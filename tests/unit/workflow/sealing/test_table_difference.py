"""`diff --key` names rows that changed, and only them; with the old data or with its seal."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from sluicegate.cli import main as cli
from sluicegate.errors import Outcome
from sluicegate.workflow.sealing import table_difference

N_ROWS = 3000
LABELS = np.array(["cat", "dog", "cow"])


def base():
    rows = np.arange(N_ROWS)
    return {
        "id": rows.astype(object),
        "label": LABELS[rows % 3].astype(object),
        "who": np.where(rows % 2, "ann", "bob").astype(object),
        "x": rows / 7,
    }


def write(columns, path, order=None, parts=1):
    table = pa.table({name: pa.array(list(values)) for name, values in columns.items()})
    if order is not None:
        table = table.take(pa.array(order))
    path.mkdir()
    size = -(-table.num_rows // parts)
    for part in range(parts):
        pq.write_table(table.slice(part * size, size), path / f"{part}.parquet")
    return path


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["keygen", "--out", "k", "--alg", "ecdsa-p256"]) == 0
    write(base(), tmp_path / "old")
    seal = ["seal", "old", "--name", "src", "--key", "k/key.pem", "--out", "evidence"]
    assert cli.main([*seal, "--row-key", "id", "--label", "label", "--changes", "100"]) == 0
    return tmp_path


def diff(capsys, old, new="new", *more):
    capsys.readouterr()
    code = cli.main(["diff", str(old), new, "--key", "id", *more, "--json"])
    return code, json.loads(capsys.readouterr().out)


BOTH = pytest.mark.parametrize("old", ["old", "evidence"])
FLIPS = ("--label", "label", "--contributor", "who")


@BOTH
def test_other_order_and_files_are_no_difference(work, capsys, old):
    order = np.random.default_rng(1).permutation(N_ROWS)
    write(base(), work / "new", order, parts=4)
    code, found = diff(capsys, old)
    assert code == 0
    assert not any(found.values())


@BOTH
def test_changes_are_named_and_flips_counted(work, capsys, old):
    columns = base()
    columns["label"][[3, 7]] = "owl"  # cat of ann, dog of ann
    columns["x"][10] = 0.5
    columns = {
        name: np.append(np.delete(values, [20]), [added])
        for (name, values), added in zip(columns.items(), [5000, "cat", "eve", 0.5], strict=True)
    }
    write(columns, work / "new", np.random.default_rng(1).permutation(N_ROWS), parts=2)
    code, found = diff(capsys, old, "new", *FLIPS)
    assert code == Outcome.CHECKED_AND_BAD.value
    assert found == {
        "changed": ["3", "7", "10"],
        "added": ["5000"],
        "removed": ["20"],
        "label_flips": [
            {"old": "cat", "new": "owl", "contributor": "ann", "rows": 1},
            {"old": "dog", "new": "owl", "contributor": "ann", "rows": 1},
        ],
    }


@BOTH
def test_repeated_row_is_named_as_added(work, capsys, old):
    columns = {name: np.append(values, [values[5]] * 2) for name, values in base().items()}
    write(columns, work / "new")
    assert diff(capsys, old)[1]["added"] == ["5", "5"]


def test_changes_beyond_the_first_sketch_are_found_with_a_larger_one(work, capsys, monkeypatch):
    monkeypatch.setattr(table_difference, "FIRST_CELLS", 96)
    columns = base()
    columns["label"][:1000] = "owl"
    write(columns, work / "new")
    _, found = diff(capsys, "old", "new", *FLIPS)
    assert found["changed"] == [str(row) for row in range(1000)]
    assert sum(flip["rows"] for flip in found["label_flips"]) == 1000


def test_changes_beyond_the_kept_sketch_could_not_be_named(work, capsys):
    columns = base()
    columns["label"][:1000] = "owl"
    write(columns, work / "new")
    code, found = diff(capsys, "evidence")
    assert code == Outcome.COULD_NOT_CHECK.value
    assert found["error"]["code"] == "DATA_INSUFFICIENT"
    assert "of 4096 buckets differ" in found["error"]["got"]


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        (["old", "old", "--label", "label"], Outcome.CALLED_WRONGLY),
        (["old", "evidence", "--key", "id"], Outcome.CALLED_WRONGLY),
        (["evidence", "old", "--key", "who"], Outcome.CALLED_WRONGLY),
        (["evidence", "old", "--key", "id", "--label", "who"], Outcome.CALLED_WRONGLY),
        (["old", "old", "--key", "nope"], Outcome.COULD_NOT_CHECK),
        (["old", "gone", "--key", "id"], Outcome.COULD_NOT_CHECK),
    ],
)
def test_question_that_cannot_be_answered_is_not_no_difference(work, arguments, outcome):
    assert cli.main(["diff", *arguments]) == outcome.value


@pytest.mark.parametrize(
    "asked",
    [["--key", "no"], ["--key", "id", "--label", "no"], ["--key", "id", "--contributor", "no"]],
)
def test_column_that_is_not_there_is_named(work, capsys, asked):
    changed = base()
    changed["x"][5] = 99.0
    write(changed, work / "new")
    capsys.readouterr()
    assert cli.main(["diff", "old", "new", *asked]) == Outcome.COULD_NOT_CHECK.value
    assert (
        "[DATA_SCHEMA] the table has no column of this name: expected id, label"
        in capsys.readouterr().err
    )


def test_label_without_a_key_cannot_be_sealed(work):
    seal = ["seal", "old", "--name", "src", "--key", "k/key.pem", "--out", "e2"]
    assert cli.main([*seal, "--label", "label"]) == Outcome.CALLED_WRONGLY.value
    many = [*seal, "--row-key", "id", "--changes", "0"]
    assert cli.main(many) == Outcome.CALLED_WRONGLY.value


def test_table_digest_is_printed_with_its_algorithm(work, capsys):
    write(base(), work / "new", parts=3)
    capsys.readouterr()
    assert cli.main(["digest", "old", "--table"]) == 0
    assert cli.main(["digest", "new", "--table"]) == 0
    one, two = capsys.readouterr().out.split()
    assert one == two
    assert one.startswith("tableHash1-sha256-4096:")


def test_no_value_of_a_row_is_printed(work, capsys):
    columns = base()
    columns["x"][10] = 0.123456789
    write(columns, work / "new")
    capsys.readouterr()
    assert cli.main(["diff", "old", "new", "--key", "id"]) == 1
    assert capsys.readouterr().out == "changed  10\n"


def written(place, columns):
    """Write one table in every way that a locator names, and return the locators."""
    table = pa.table({name: pa.array(list(values)) for name, values in columns.items()})
    place.mkdir()
    pq.write_table(table, place / "t.parquet")
    pa_csv.write_csv(table, place / "t.csv")
    lines = (json.dumps(row) + "\n" for row in table.to_pylist())
    (place / "t.jsonl").write_text("".join(lines), encoding="utf-8")
    with closing(sqlite3.connect(place / "t.db")) as base:
        base.execute("create table t (id integer, label text, who text, x real)")
        rows = [tuple(row.values()) for row in table.to_pylist()]
        base.executemany("insert into t values (?, ?, ?, ?)", rows)
        base.commit()
    types = json.dumps({"id": "int64", "label": "string", "who": "string", "x": "float64"})
    return {
        "file": f"{place}/t.parquet",
        "url": f"file://{place}/t.parquet",
        "glob": f"{place}/*.parquet",
        "csv": f"csv:{place}/t.csv#{types}",
        "jsonl": f"jsonl:{place}/t.jsonl#{types}",
        "sqlite": f"sqlite:///{place}/t.db#t",
    }


@pytest.mark.parametrize("kind", ["file", "url", "glob", "csv", "jsonl", "sqlite"])
def test_either_side_may_be_any_locator_that_check_takes(tmp_path, capsys, kind):
    columns = base()
    old = written(tmp_path / "old", columns)
    columns["label"] = columns["label"].copy()
    columns["label"][7] = "cow"
    new = written(tmp_path / "new", columns)
    code, found = diff(capsys, old[kind], new[kind], "--label", "label")
    assert code == Outcome.CHECKED_AND_BAD.value
    assert found["changed"] == ["7"]
    assert [(f["old"], f["new"]) for f in found["label_flips"]] == [("dog", "cow")]
    assert diff(capsys, old[kind], old["file"])[0] == 0


def test_password_of_a_locator_is_not_shown(tmp_path, capsys):
    place = "postgresql://me:hunter2@127.0.0.1:1/db#t"
    assert cli.main(["diff", place, place, "--key", "id"]) == Outcome.CALLED_WRONGLY.value
    assert "hunter2" not in "".join(capsys.readouterr())
