"""Every locator that is sealed is also judged and built from, with the same rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pyarrow as pa
import pytest
from tests.support.built_once import write_baseline
from tests.support.locators import COLUMNS, of, put
from tests.unit.workflow.conftest import AT, SCHEMA, built_site, site  # noqa: F401

from sluicegate.adapters.sources.tables import open_table
from sluicegate.errors import ConfigError, UnreadableData, UnsafePath
from sluicegate.gate.limits import Limits
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import read_signed_baseline
from sluicegate.workflow.judging.check import check
from sluicegate.workflow.sealing.sealed_rows import rows_of

pytestmark = pytest.mark.slow  # many baselines, each of its own rows

KINDS = [
    "directory", "file://", "glob:", "glob without scheme", "store", "csv: of a directory",
    "csv: of a glob", "jsonl:", "jsonl: of a directory", "sqlite:", "sqlite: query",
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
