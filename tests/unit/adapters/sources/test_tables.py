"""Every locator that is sealed is also judged and built from, with the same rows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, SCHEMA, built_site, rows, site  # noqa: F401

from sluicegate.adapters.sources.tables import open_table
from sluicegate.errors import ConfigError, UnreadableData, UnsafePath
from sluicegate.gate.limits import Limits
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import read_signed_baseline, write_baseline
from sluicegate.workflow.judging.check import check
from sluicegate.workflow.sealing.sealed_rows import rows_of

pytestmark = pytest.mark.slow  # many baselines, each of its own rows

COLUMNS = {
    "id": "string", "time": "timestamp", "who": "string", "x": "float64", "y": "float64",
    **{f"w{i}": "float64" for i in range(4)}, "label": "int64",
}  # fmt: skip


def of(seed, n=3000):
    """The made-up source in the types that every kind of locator has."""
    table = rows(seed, n)
    place = table.schema.get_field_index("time")
    zoned = table["time"].cast(pa.timestamp("us", "UTC"))
    table = table.set_column(place, "time", zoned)
    return table.set_column(table.num_columns - 1, "label", table["label"].cast(pa.int64()))


def as_text(table):
    place = table.schema.get_field_index("time")
    return table.set_column(
        place, "time", pc.strftime(table["time"], format="%Y-%m-%dT%H:%M:%SZ").cast(pa.string())
    )


def put(root, table):
    """Write one table in every form; return locators by what they are."""
    root.mkdir()
    half = table.num_rows // 2
    (root / "files").mkdir()
    for name, part in {"a": table.slice(0, half), "b": table.slice(half)}.items():
        pq.write_table(part, root / "files" / f"{name}.parquet")
        (root / "csv").mkdir(exist_ok=True)
        pa_csv.write_csv(as_text(part), root / "csv" / f"{name}.csv")
    lines = "".join(json.dumps(row) + "\n" for row in as_text(table).to_pylist())
    (root / "p.jsonl").write_text(lines)
    declared = json.dumps(COLUMNS)
    database = root / "a.db"
    with closing(sqlite3.connect(database)) as connection:
        names = ", ".join(
            f"{name} {'TEXT' if kind in {'string', 'timestamp'} else 'REAL'}"
            for name, kind in COLUMNS.items()
        )
        connection.execute(f"CREATE TABLE t ({names})")
        marks = ", ".join("?" * len(COLUMNS))
        values = [tuple(row.values()) for row in as_text(table).to_pylist()]
        connection.executemany(f"INSERT INTO t VALUES ({marks})", values)
        connection.commit()
    memory = fsspec.filesystem("memory")
    for path in (root / "files").iterdir():
        memory.pipe(f"/{root.name}/{path.name}", path.read_bytes())
    return {
        "directory": str(root / "files"),
        "file://": f"file://{root}/files",
        "glob:": f"glob:{root}/files/*.parquet",
        "glob without scheme": f"{root}/files/*.parquet",
        "store": f"memory://{root.name}",
        "csv: of a directory": f"csv:{root}/csv#{declared}",
        "csv: of a glob": f"csv:{root}/csv/*.csv#{declared}",
        "jsonl:": f"jsonl:{root}/p.jsonl#{declared}",
        "sqlite:": f"sqlite:///{database}#t",
        "sqlite: query": f"sqlite:///{database}#SELECT * FROM t ORDER BY rowid",
    }


KINDS = [
    "directory", "file://", "glob:", "glob without scheme", "store", "csv: of a directory",
    "csv: of a glob", "jsonl:", "sqlite:", "sqlite: query",
]  # fmt: skip


@pytest.fixture(scope="module")
def locators(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    return put(root / "trusted", of(1, 6000)), put(root / "batch", of(2))


@pytest.mark.parametrize("kind", KINDS)
def test_every_locator_gives_the_same_rows_in_one_schema(locators, kind):
    found = pa.Table.from_batches(list(open_table(locators[1][kind])))
    assert found["id"].to_pylist() == of(2)["id"].to_pylist()
    assert found["x"].to_pylist() == of(2)["x"].to_pylist()
    assert found.schema.names == list(COLUMNS)


@pytest.mark.parametrize("kind", ["glob:", "store", "csv: of a directory", "sqlite:"])
def test_baseline_of_any_locator_judges_a_batch_of_the_same(locators, kind, tmp_path):
    schema = BatchSchema.from_mapping(SCHEMA, locator="schema")
    write_baseline([locators[0][kind]], schema, out=tmp_path / "b", at=AT)
    done = check(locators[1][kind], baseline=tmp_path / "b")
    assert done.found.n_rows == 3000
    assert not [reason for reason in done.reasons if reason.code in {"SCHEMA", "COMPLETENESS"}]


def test_baseline_of_several_kinds_of_locator_is_one(locators, tmp_path):
    trusted, batch = locators
    schema = BatchSchema.from_mapping(SCHEMA, locator="schema")
    parts = [trusted["directory"], batch["csv: of a directory"]]
    assert write_baseline(parts, schema, out=tmp_path / "b", at=AT).n_rows == 9000


@pytest.mark.parametrize("kind", ["glob:", "csv: of a glob", "sqlite:"])
def test_signed_baseline_names_the_digest_that_a_seal_of_the_same_would(
    locators,
    kind,
    tmp_path,
    site,  # noqa: F811
):
    schema = BatchSchema.from_mapping(SCHEMA, locator="schema")
    locator = locators[0][kind]
    write_baseline(
        [locator], schema, out=tmp_path / "b", at=AT, source="src", signer=site.signer("baseline")
    )
    signed = read_signed_baseline(tmp_path / "b", "src", site.evidence().trust, at=AT)
    assert signed.inputs == {str(site.seal(locator).digest)}


def test_rows_of_a_locator_are_within_the_limits_too(locators):
    for kind in KINDS:
        with pytest.raises(UnreadableData, match=r"limits\.max_rows"):
            list(open_table(locators[1][kind], limits=Limits(max_rows=2000)))


@pytest.mark.parametrize(
    ("locator", "error"),
    [
        ("/nowhere", UnreadableData),
        ("glob:/nowhere/*.csv", (UnreadableData, UnsafePath)),
        ('csv:/nowhere.csv#{"a":"int64"}', UnreadableData),
        ('csv:/nowhere.csv#{"a":"number"}', ConfigError),
        ("sqlite:////nowhere.db#t", UnreadableData),
        ("nosuch://bucket/x", ConfigError),
    ],
)
def test_what_is_not_there_is_said_as_for_a_seal(locator, error):
    with pytest.raises(error):
        list(rows_of(locator))


def test_table_without_rows_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(UnreadableData, match="no rows"):
        list(open_table(f"sqlite:///{tmp_path}/a.db#t"))
