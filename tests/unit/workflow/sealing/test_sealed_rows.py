"""Rows of a database or a declared text file: sealed, judged, logged, read and audited."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, RUN, flipped, rows

from sluicegate import load_verified, open_verified
from sluicegate.errors import (
    BadProof,
    ConfigError,
    DigestMismatch,
    GateBlocked,
    MalformedEnvelope,
    UnreadableData,
)
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.admission.read import stream_verified
from sluicegate.workflow.auditing.data import data_findings
from sluicegate.workflow.auditing.history import roll_back, versions
from sluicegate.workflow.evidence.folder import PLAIN_SEAL_FILE, SEAL_FILE, export_folder
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.exporting.export import Extras, export_run
from sluicegate.workflow.response.quarantine import quarantine_batch
from sluicegate.workflow.sealing.seal import RowRecord, seal_into_ledger
from sluicegate.workflow.verification.verify import verify_folder

duckdb = pytest.importorskip("duckdb")


def write_table(path, table: pa.Table) -> None:
    with closing(duckdb.connect(str(path))) as connection:
        connection.register("given", table)
        connection.execute("CREATE OR REPLACE TABLE t AS SELECT * FROM given ORDER BY random()")


def change(path, statement: str) -> None:
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute(statement)


@pytest.fixture
def database(site):
    write_table(site.root / "a.duckdb", rows(2))
    return site.root / "a.duckdb"


@pytest.fixture
def locator(database):
    return f"duckdb:///{database}#t"


@pytest.fixture
def judged(site, locator):
    site.seal(locator)
    site.gate()
    return site


def audit(site, data, name="out"):
    report = verify_folder(site.root / name, read_trust(site.home.trust), at=AT, data=data)
    return {finding.to_dict()["code"] for finding in report.findings}, report


def test_table_goes_the_whole_way_and_order_does_not_matter(judged, database, locator):
    write_table(database, rows(2))  # another order on disk
    frame = load_verified("src", home=judged.home)
    assert isinstance(frame, pd.DataFrame)
    assert sorted(frame["id"]) == sorted(rows(2)["id"].to_pylist())
    assert sum(b.num_rows for b in stream_verified("src", home=judged.home)) == 3000
    export_folder(judged.evidence(), judged.evidence().latest_seal("src", at=AT), judged.root / "o")
    assert (judged.root / "o" / PLAIN_SEAL_FILE).exists()
    codes, report = audit(judged, locator, "o")
    assert codes == {"OK"}
    assert {"seal", "ledger", "data"} <= {finding.check for finding in report.findings}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE t SET label = 1 - label WHERE id = '2-7'",
        "DELETE FROM t WHERE id = '2-7'",
        "INSERT INTO t SELECT * FROM t WHERE id = '2-7'",
        "ALTER TABLE t RENAME COLUMN x TO z",
        "ALTER TABLE t ALTER label TYPE DOUBLE",
    ],
)
def test_changed_row_reaches_nobody(judged, database, locator, statement):
    export_folder(
        judged.evidence(), judged.evidence().latest_seal("src", at=AT), judged.root / "out"
    )
    change(database, statement)
    with pytest.raises(DigestMismatch, match="are not the rows that were sealed"):
        load_verified("src", home=judged.home)
    with pytest.raises(DigestMismatch):
        next(stream_verified("src", home=judged.home))
    with pytest.raises(DigestMismatch):
        judged.gate()
    assert audit(judged, locator)[0] == {"OK", "DIGEST_MISMATCH"}
    assert [f.code for f in data_findings(judged.evidence(), at=AT)] == ["DATA_CHANGED"]


def test_failed_table_is_not_read(site):
    write_table(site.root / "b.duckdb", flipped(rows(3), "c1"))
    site.seal(f"duckdb:///{site.root}/b.duckdb#t")
    site.gate()
    with pytest.raises(GateBlocked):
        load_verified("src", home=site.home)


def test_table_has_no_files_and_no_partitions(judged):
    with pytest.raises(ConfigError, match="rows of a table and no files"):
        next(open_verified("src", home=judged.home))
    with pytest.raises(ConfigError, match="no partitions"):
        load_verified("src", home=judged.home, partitions=["month=04"])


def test_sealing_the_same_rows_again_appends_nothing(judged, database, locator):
    size = judged.evidence().ledger.size()
    write_table(database, rows(2))
    judged.seal(locator)
    assert judged.evidence().ledger.size() == size
    change(database, "DELETE FROM t WHERE id = '2-7'")
    assert judged.seal(locator).version == 2


def test_vanished_database_could_not_be_checked(judged, database):
    database.unlink()
    with pytest.raises(UnreadableData):
        load_verified("src", home=judged.home)


def test_csv_and_json_lines_with_one_schema_are_one_table(site):
    columns = json.dumps({"id": "int64", "y": "string"})
    (site.root / "a.csv").write_text("id,y\n1,a\n2,b\n", encoding="utf-8")
    (site.root / "a.jsonl").write_text('{"y":"b","id":2}\n{"id":1,"y":"a"}\n', encoding="utf-8")
    with closing(sqlite3.connect(site.root / "a.db")) as connection:
        connection.execute("CREATE TABLE t (y TEXT, id INTEGER)")
        connection.execute("INSERT INTO t VALUES ('a', 1), ('b', 2)")
        connection.commit()
    locators = [
        f"csv:{site.root}/a.csv#{columns}",
        f"jsonl:{site.root}/a.jsonl#{columns}",
        f"sqlite:///{site.root}/a.db#SELECT id, y FROM t",
    ]
    assert len({str(site.seal(locator).digest) for locator in locators}) == 1


def test_history_rollback_quarantine_and_bill_of_materials_know_tables(judged, site, locator):
    evidence = site.evidence()
    first = evidence.latest_seal("src", at=AT)
    site.seal(site.clean)
    policy_allows = roll_back(
        evidence, _policy(site), "src", to=None, signer=site.signer("source"), run=RUN, at=AT
    )
    assert policy_allows.digest == first.digest
    assert [v.batch.digest for v in versions(evidence, "src", at=AT)].count(first.digest) == 2
    names = export_run(
        evidence, first, site.root / "run", at=AT, extras=Extras(mlbom=True, openlineage=True)
    )
    assert {PLAIN_SEAL_FILE, "model.cdx.json"} <= set(names)
    kept = quarantine_batch(
        site.home, evidence, first, reason="x", signer=site.signer("gate"), run=RUN, at=AT
    )
    assert pq.read_table(kept / "data" / "rows.parquet").num_rows == 3000
    with pytest.raises(GateBlocked, match="quarantine"):
        load_verified("src", home=site.home)


def _policy(site):
    from sluicegate.adapters.policy_file import read_policy

    return read_policy(site.home.policy)


def test_files_carry_their_table_statement_through_ledger_and_export(site):
    for _ in range(2):  # a rerun appends nothing
        batch = seal_into_ledger(
            site.clean, "src", evidence=site.evidence(), signer=site.signer("source"), at=AT,
            run=RUN, rows=RowRecord("id", "label"),
        )  # fmt: skip
    assert len(list(site.evidence().ledger.find(Kind.TABLE, "src"))) == 1
    export_folder(site.evidence(), batch, site.root / "out")
    codes, report = audit(site, site.clean)
    assert codes == {"OK"}
    assert any(f.to_dict()["detail"] == "table of 3000 rows" for f in report.findings)


def test_table_statement_is_added_to_files_that_were_sealed_without(site):
    site.seal(site.clean)
    site.evidence()
    seal_into_ledger(
        site.clean, "src", evidence=site.evidence(), signer=site.signer("source"), at=AT,
        run=RUN, rows=RowRecord(),
    )  # fmt: skip
    assert [r.entry.kind for r in site.evidence().ledger.find(source="src")].count("table") == 1


def test_statement_about_the_rows_of_files_is_no_seal(site):
    batch = seal_into_ledger(
        site.clean, "src", evidence=site.evidence(), signer=site.signer("source"), at=AT,
        run=RUN, rows=RowRecord(),
    )  # fmt: skip
    out = site.root / "out"
    export_folder(site.evidence(), batch, out)
    (record,) = site.evidence().ledger.find(Kind.TABLE, "src")
    (out / SEAL_FILE).unlink()
    (out / PLAIN_SEAL_FILE).write_bytes(record.envelope)
    assert "MALFORMED" in audit(site, None)[0]


def test_folder_with_two_seals_is_refused(judged):
    out = judged.root / "out"
    export_folder(judged.evidence(), judged.evidence().latest_seal("src", at=AT), out)
    (out / SEAL_FILE).write_bytes((out / PLAIN_SEAL_FILE).read_bytes())
    with pytest.raises(MalformedEnvelope, match="two seals"):
        audit(judged, None)
    (out / PLAIN_SEAL_FILE).unlink()
    with pytest.raises(MalformedEnvelope, match="other form"):
        audit(judged, None)


def test_seal_of_another_table_does_not_pass_for_this_one(judged, site):
    out = judged.root / "out"
    export_folder(judged.evidence(), judged.evidence().latest_seal("src", at=AT), out)
    write_table(site.root / "b.duckdb", rows(5))
    other = site.seal(f"duckdb:///{site.root}/b.duckdb#t")
    export_folder(site.evidence(), other, site.root / "other")
    (out / PLAIN_SEAL_FILE).write_bytes((site.root / "other" / PLAIN_SEAL_FILE).read_bytes())
    assert BadProof.code in audit(judged, None)[0]
