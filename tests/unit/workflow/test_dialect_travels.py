"""What was judged is what training reads: the verdict says how text files were read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest
from tests.support.locators import COLUMNS, DIALECT, as_text, csv, european, of
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, built_site, site  # noqa: F401

from sluicegate.attest.statement import Statement
from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.gate.promotion import Lane
from sluicegate.gate.verdict import verdict_from_statement
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.read import load_verified, open_verified, stream_verified
from sluicegate.workflow.auditing.uses import Asked, uses_of
from sluicegate.workflow.baselines.promotion import propose
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.baselines.unsigned import read_baseline
from sluicegate.workflow.judging import case
from sluicegate.workflow.judging.check import check
from sluicegate.workflow.sealing.sealed_rows import batch_table, judged_dialect

pytestmark = pytest.mark.slow  # baselines, each of its own dialect


def dashes(table):
    """Who delivered a tenth of the rows is not known, and the file says so by a dash."""
    text = csv(table).decode().splitlines(keepends=True)
    for number in range(10, len(text), 10):
        cells = text[number].split(",")
        cells[2] = '"-"'
        text[number] = ",".join(cells)
    return "".join(text).encode()


def zeros(table):
    """A contributor that is digits with a leading zero."""
    return csv(table).replace(b'"c', b'"0')


DECLARED = {
    "everything at once": (european, DIALECT),
    "words for missing": (dashes, {"missing": ["-"]}),
    "text of digits": (zeros, {"columns": {"who": "string"}}),
    "Latin-1": (
        lambda t: csv(t).decode().replace('"c', '"ç').encode("cp1252"), {"encoding": "cp1252"},
    ),
    "no header": (
        lambda t: csv(t).partition(b"\n")[2], {"header": False, "columns": COLUMNS},
    ),
    "tabs": (lambda t: csv(t).replace(b",", b"\t").replace(b'"', b"'"),
             {"delimiter": "\t", "quote": "'"}),
}  # fmt: skip


def put(root, table, write):
    root.mkdir()
    half = table.num_rows // 2
    (root / "a.csv").write_bytes(write(table.slice(0, half)))
    (root / "b.csv").write_bytes(write(table.slice(half)))
    return root


def schema_of(section):
    return BatchSchema.from_mapping({**SCHEMA, "csv": section}, locator="schema")


def build(site, write, section, name="trusted csv"):  # noqa: F811
    trusted = site.root / name
    if not trusted.exists():
        put(trusted, of(1, 6000), write)
    write_baseline(
        [trusted],
        schema_of(section),
        out=site.home.baseline_dir("src"),
        at=AT,
        source="src",
        signer=site.signer("baseline"),
    )


def judge_dashes(site):  # noqa: F811
    """A batch with dashes for missing values is judged by a baseline that declares them."""
    build(site, *DECLARED["words for missing"])
    batch = site.seal(put(site.root / "batch", of(2), dashes))
    return batch, site.gate()[0].verdict


@pytest.fixture
def judged(site):  # noqa: F811
    return site, *site.once(judge_dashes)


def read(site, as_="arrow"):  # noqa: F811
    return load_verified("src", as_=as_, home=site.home, at=AT)


@pytest.mark.parametrize("name", DECLARED)
def test_check_gate_and_training_read_the_same_cells(site, name):  # noqa: F811
    write, section = DECLARED[name]
    build(site, write, section)
    batch = put(site.root / "batch", of(2), write)
    found = check(batch, baseline=site.home.baseline_dir("src"), policy=site.home.policy)
    site.seal(batch)
    verdict = site.gate()[0].verdict
    assert (found.accepted, verdict.result) == (True, Status.PASSED)
    assert verdict.csv == schema_of(section).csv
    loaded = read(site)
    streamed = pa.Table.from_batches(list(stream_verified("src", home=site.home, at=AT)))
    assert loaded.combine_chunks().equals(streamed.combine_chunks())
    assert loaded["x"].to_pylist() == of(2)["x"].to_pylist()
    who = as_text(of(2))["who"].to_pylist()
    expected = {
        "words for missing": [None if i % 10 == 9 else w for i, w in enumerate(who[:1500])],
        "text of digits": [w.replace("c", "0") for w in who[:1500]],
        "Latin-1": [w.replace("c", "ç") for w in who[:1500]],
    }.get(name, who[:1500])
    assert loaded["who"].to_pylist()[:1500] == expected
    assert len(list(open_verified("src", home=site.home, at=AT))) == 2


def test_baseline_of_another_section_since_the_verdict_does_not_change_what_is_read(judged):
    site, _, _ = judged  # noqa: F811
    before = read(site)
    build(site, dashes, {})
    assert read(site).equals(before)
    assert before["who"].null_count == 300


def test_verdict_that_says_nothing_is_read_as_it_was_judged(site, monkeypatch):  # noqa: F811
    """Verdicts of before the gate knew: it read with the defaults."""
    build(site, *DECLARED["words for missing"])
    site.seal(put(site.root / "batch", of(2), dashes))
    with monkeypatch.context() as old:
        old.setattr(case, "_dialect", lambda *_: UNDECLARED)
        verdict = site.gate()[0].verdict
    assert verdict.csv == UNDECLARED
    if verdict.result is Status.PASSED:
        assert read(site)["who"].to_pylist().count("-") == 300


def test_baselines_that_read_otherwise_judge_nothing_together():
    def lane(section):
        return SimpleNamespace(baseline=SimpleNamespace(schema=schema_of(section)))

    both = {Lane.ANCHORED: lane({"missing": ["-"]}), Lane.ROLLING: lane({"missing": ["-"]})}
    assert case._dialect(both, "src").missing == ("-",)
    with pytest.raises(ConfigError, match="rolling baseline reads CSV otherwise"):
        case._dialect({**both, Lane.ROLLING: lane({})}, "src")


def test_promotion_reads_a_batch_as_its_verdict_did(judged):
    site, batch, _ = judged  # noqa: F811

    def promote(section):
        return propose(
            site.home,
            site.evidence(),
            "src",
            lane=Lane.ROLLING,
            digests=[batch.digest],
            schema=schema_of(section),
            signer=site.signer("baseline"),
            run=RUN,
            at=AT,
            ttl=timedelta(days=1),
        )

    with pytest.raises(ConfigError, match="judged with another section csv"):
        promote({})
    assert promote({"missing": ["-"]}).promotion.rows == 3000


def test_whoever_reads_a_sealed_batch_reads_it_as_judged(judged):
    site, batch, _ = judged  # noqa: F811
    evidence = site.evidence()
    dialect = judged_dialect(evidence, batch, at=AT)
    assert dialect == schema_of({"missing": ["-"]}).csv
    assert batch_table(batch, dialect=dialect)["who"].null_count == 300
    assert uses_of(evidence, "src", Asked(column="who", value="c1"), at=AT).batches
    assert not uses_of(evidence, "src", Asked(column="who", value="-"), at=AT).batches


def test_batch_without_a_verdict_or_text_is_read_with_the_defaults(site):  # noqa: F811
    parquet = site.seal(site.clean)
    assert judged_dialect(site.evidence(), parquet, at=AT) == UNDECLARED
    text = site.seal(put(site.root / "batch", of(2), csv))
    assert judged_dialect(site.evidence(), text, at=AT) == UNDECLARED


def test_verdict_is_written_and_read_with_its_dialect(judged):
    _, batch, verdict = judged
    statement = verdict.to_statement(batch.subjects, verdict.policy)
    raw = statement.to_bytes()
    assert json.loads(raw)["predicate"]["sluicegate"]["csv"] == {"missing": ["-"]}
    assert verdict_from_statement(Statement.from_bytes(raw), locator="v") == verdict
    plain = replace(verdict, csv=UNDECLARED).to_statement(batch.subjects, verdict.policy)
    assert "csv" not in json.loads(plain.to_bytes())["predicate"]["sluicegate"]
    for bad in ('{"missing":["-"],"colour":"red"}', "7", '{"delimiter":"ab"}'):
        edited = Statement.from_bytes(raw.replace(b'{"missing":["-"]}', bad.encode()))
        with pytest.raises(MalformedEnvelope):
            verdict_from_statement(edited, locator="v")


def test_baseline_keeps_the_order_of_columns_that_a_file_without_header_has(site):  # noqa: F811
    build(site, *DECLARED["no header"])
    kept = read_baseline(site.home.baseline_dir("src"))[0].schema.csv
    assert kept.names == list(COLUMNS)
    assert CsvDialect.from_mapping(kept.to_json(), locator="s") == kept


@pytest.mark.parametrize(
    "columns", [[["a", "int64"], ["a", "string"]], [["a"]], ["ab"], [["a", 1]], "ab"]
)
def test_columns_that_are_no_pairs_are_refused(columns):
    with pytest.raises(ConfigError, match="columns"):
        CsvDialect.from_mapping({"columns": columns}, locator="s")
