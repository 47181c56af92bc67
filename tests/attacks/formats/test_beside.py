"""Sealed means judged: what lies beside a good file is judged, a marker, or blocks.

Check, gate, the verified reads and Spark have to agree on what the rows of a directory are.
"""

from __future__ import annotations

import bz2
import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.attacks.formats.cases import CASES, Fate, csv, lines, parquet
from tests.unit.adapters.engines.test_table import digest, spark  # noqa: F401 - a fixture
from tests.unit.workflow.conftest import AT, built_site, flipped, rows, site  # noqa: F401

from sluicegate.adapters.files import formats
from sluicegate.errors import ConfigError, GateBlocked, UnreadableData
from sluicegate.signals.decision.record import UNJUDGED as CODE
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.read import load_verified, open_verified, stream_verified
from sluicegate.workflow.judging.check import check

GOOD, MORE = rows(2), rows(3)
POISON = flipped(MORE, "c1")


def put(root, files):
    root.mkdir()
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def batch_of(site, case, table, name="batch"):  # noqa: F811
    return put(site.root / name, {"a.parquet": parquet(GOOD), **case.files(table)})


def named(fate):
    return pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.fate is fate])


def checked(site, batch):  # noqa: F811
    return check(batch, baseline=site.home.baseline_dir("src"), policy=site.home.policy)


def reasons(verdict):
    return {reason.code for reason in verdict.reasons}


def gated(site, batch):  # noqa: F811
    site.seal(batch)
    return site.gate()[0].verdict


def reads(site):  # noqa: F811
    """The rows of an admitted batch as every verified read gives them."""
    with_home = {"home": site.home, "at": AT}
    files = open_verified("src", **with_home)
    opened = [pq.read_table(pa.BufferReader(data)) for _, data in files]
    return {
        "open": digest([b for table in opened for b in table.to_batches()]),
        "stream": digest(stream_verified("src", **with_home)),
        "load": digest(load_verified("src", as_="arrow", **with_home).to_batches()),
        "pandas": digest(pa.Table.from_pandas(load_verified("src", **with_home)).to_batches()),
    }


def test_there_are_neighbours_enough():
    assert len(CASES) >= 25
    assert {case.fate for case in CASES.values()} == set(Fate)


@named(Fate.JUDGED)
def test_known_file_is_judged_whatever_its_name(site, name):  # noqa: F811
    found = checked(site, batch_of(site, CASES[name], POISON))
    assert found.found.n_rows == GOOD.num_rows + POISON.num_rows
    assert "LABEL_FLIPS" in reasons(found)
    assert found.verdict is Status.FAILED


@named(Fate.JUDGED)
@pytest.mark.filterwarnings("ignore")  # pyspark's own
def test_judged_rows_are_what_every_reader_gets(site, spark, name):  # noqa: F811
    batch = batch_of(site, CASES[name], MORE)
    assert gated(site, batch).result is not Status.FAILED
    frame = spark.read.options(**(CASES[name].spark or {})).parquet(str(batch))
    own = digest([*GOOD.to_batches(), *MORE.to_batches()])
    assert reads(site) == dict.fromkeys(("open", "stream", "load", "pandas"), own)
    assert digest(frame.toArrow().to_batches()) == own


@pytest.mark.parametrize(
    ("name", "pack"),
    [("b.jsonl", bytes), ("B.NDJSON", bytes), ("b.jsonl.gz", gzip.compress),
     ("day=1/b.ndjson.bz2", bz2.compress)],
)  # fmt: skip
def test_json_lines_beside_parquet_are_judged_and_handed_out(site, name, pack):  # noqa: F811
    if "=" in name:
        site.accept_extra_columns()
    poisoned = put(site.root / "poison", {"a.parquet": parquet(GOOD), name: pack(lines(POISON))})
    found = checked(site, poisoned)
    assert (found.verdict, "LABEL_FLIPS" in reasons(found)) == (Status.FAILED, True)
    assert gated(site, poisoned).result is Status.FAILED
    clean = put(site.root / "more", {"a.parquet": parquet(GOOD), name: pack(lines(MORE))})
    assert gated(site, clean).result is not Status.FAILED
    with_home = {"home": site.home, "at": AT}
    ids = [*GOOD["id"].to_pylist(), *MORE["id"].to_pylist()]
    if name == "B.NDJSON":  # which sorts before a
        ids = [*MORE["id"].to_pylist(), *GOOD["id"].to_pylist()]
    assert load_verified("src", as_="arrow", **with_home)["id"].to_pylist() == ids
    streamed = pa.Table.from_batches(list(stream_verified("src", **with_home)))
    assert streamed["id"].to_pylist() == ids
    assert {file for file, _ in open_verified("src", **with_home)} == {"a.parquet", name}


@pytest.mark.filterwarnings("ignore")  # pyspark's own
def test_every_engine_gets_the_rows_of_all_names_at_once(site, spark):  # noqa: F811
    parts = {"000000_0": MORE.slice(0, 900), "b.parq": MORE.slice(900, 900), "c": MORE.slice(1800)}
    files = {name: parquet(part) for name, part in parts.items()}
    batch = put(site.root / "batch", {"a.parquet": parquet(GOOD), "_SUCCESS": b"", **files})
    assert gated(site, batch).result is not Status.FAILED
    own = digest([*GOOD.to_batches(), *MORE.to_batches()])
    with_home = {"home": site.home, "at": AT}
    assert digest(load_verified("src", as_="polars", **with_home).to_arrow().to_batches()) == own
    duck = load_verified("src", as_="duckdb", **with_home)
    assert duck.aggregate("count(*), count(distinct id)").fetchall() == [(6000, 6000)]
    framed = load_verified("src", as_="spark", session=spark, **with_home)
    assert digest(framed.toArrow().to_batches()) == own
    assert digest(spark.read.parquet(str(batch)).toArrow().to_batches()) == own


@named(Fate.MARKER)
@pytest.mark.filterwarnings("ignore")  # pyspark's own
def test_marker_is_passed_over_and_never_handed_out(site, spark, name):  # noqa: F811
    case = CASES[name]
    batch = batch_of(site, case, POISON)
    found = checked(site, batch)
    assert (found.found.n_rows, CODE in reasons(found)) == (GOOD.num_rows, False)
    assert gated(site, batch).result is not Status.FAILED
    own = digest(GOOD.to_batches())
    assert reads(site) == dict.fromkeys(("open", "stream", "load", "pandas"), own)
    assert digest(spark.read.parquet(str(batch)).toArrow().to_batches()) == own
    for path in case.files(POISON):
        for read in (
            open_verified,
            stream_verified,
            lambda *a, **k: iter([load_verified(*a, **k)]),
        ):
            with pytest.raises(ConfigError, match="is a marker"):
                next(read("src", home=site.home, at=AT, files=[path]))


@named(Fate.UNJUDGED)
def test_file_that_nobody_judged_blocks_and_is_named(site, name):  # noqa: F811
    case = CASES[name]
    batch = batch_of(site, case, POISON)
    found = checked(site, batch)
    assert (found.verdict, reasons(found)) == (Status.FAILED, {CODE})
    verdict = gated(site, batch)
    assert (verdict.result, reasons(verdict)) == (Status.FAILED, {CODE})
    for path in case.files(POISON):
        assert ascii(path)[1:-1] in verdict.reasons[0].message
    for read in (open_verified, stream_verified):
        with pytest.raises(GateBlocked):
            next(read("src", home=site.home, at=AT))
    with pytest.raises(GateBlocked):
        load_verified("src", home=site.home, at=AT)


@named(Fate.UNJUDGED)
def test_no_baseline_is_built_over_a_file_that_nobody_read(site, name):  # noqa: F811
    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.workflow.baselines.signed import write_baseline

    batch = batch_of(site, CASES[name], POISON)
    schema = BatchSchema.from_mapping({"id": "id", "label": "label"}, locator="schema")
    with pytest.raises(UnreadableData, match="no reader knows") as caught:
        write_baseline([batch], schema, out=site.root / "b", at=AT)
    assert "no rows" not in str(caught.value)
    assert not (site.root / "b").exists()


@named(Fate.UNJUDGED)
def test_batch_of_nothing_but_such_files_is_no_batch_of_no_rows(site, name):  # noqa: F811
    batch = put(site.root / "alone", CASES[name].files(POISON))
    with pytest.raises(UnreadableData, match="no reader knows") as caught:
        checked(site, batch)
    assert not {"no rows", "corrupt", "truncated"} & set(str(caught.value).split())
    site.seal(batch)
    with pytest.raises(UnreadableData, match="no reader knows"):
        site.gate()


def accept(site):  # noqa: F811
    rule = "  UNJUDGED: {severity: warn}\n"
    text = site.home.policy.read_text(encoding="utf-8")
    site.home.policy.write_text(text + rule, encoding="utf-8")


def test_policy_may_accept_such_files_and_then_they_are_handed_out_as_bytes(site):  # noqa: F811
    """Pictures beside their labels: sealed, not judged, and whoever writes the policy says so."""
    case = CASES["pickle"]
    accept(site)
    verdict = gated(site, batch_of(site, case, MORE))
    assert (verdict.result, reasons(verdict)) == (Status.WARNED, {CODE})
    assert {name for name, _ in open_verified("src", home=site.home, at=AT)} == {
        "a.parquet",
        *case.files(MORE),
    }
    assert load_verified("src", home=site.home, at=AT, as_="arrow").equals(GOOD)
    only = load_verified("src", home=site.home, at=AT, as_="arrow", files=["a.parquet"])
    assert only.equals(GOOD)


def test_verdict_of_before_such_files_were_looked_for_hands_nothing_out(site, monkeypatch):  # noqa: F811
    """As an older version judged it: what it did not know, it passed over in silence."""
    batch = batch_of(site, CASES["tabs"], POISON)

    def blind(name, part, *, locator="", **given):
        kind, why = formats.format_of(name, part, locator=locator, **given)
        return (formats.Format.MARKER, "") if kind is formats.Format.UNKNOWN else (kind, why)

    with monkeypatch.context() as old:
        old.setattr("sluicegate.adapters.files.table_files.format_of", blind)
        assert gated(site, batch).result is not Status.FAILED
    for read in (open_verified, stream_verified):
        with pytest.raises(UnreadableData, match=r"no reader knows .*b\.tsv"):
            list(read("src", home=site.home, at=AT))
    with pytest.raises(UnreadableData, match=r"no reader knows .*b\.tsv"):
        load_verified("src", home=site.home, at=AT)
    only = {"home": site.home, "at": AT, "files": ["a.parquet"]}
    assert load_verified("src", as_="arrow", **only).equals(GOOD)


def test_link_to_a_directory_is_not_passed_over(site):  # noqa: F811
    """A seal refuses it; a check has no seal."""
    elsewhere = put(site.root / "elsewhere", {"b.parquet": parquet(POISON)})
    batch = put(site.root / "linked", {"a.parquet": parquet(GOOD)})
    (batch / "more").symlink_to(elsewhere)
    assert reasons(checked(site, batch)) == {"UNJUDGED"}


def test_directory_that_cannot_be_listed_is_not_passed_over(site, monkeypatch):  # noqa: F811
    import os

    batch = put(site.root / "closed", {"a.parquet": parquet(GOOD), "more/b.parquet": b""})
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UnreadableData, match="cannot be listed"):
        checked(site, batch)


def test_record_is_left_where_every_file_was_read(site):  # noqa: F811
    """So that a policy can demand it, and a finding that was taken away is missed."""
    done = checked(site, site.clean)
    assert [r.status.value for r in done.records if r.code == CODE] == ["PASSED"]


def test_seal_of_one_csv_file_is_judged_as_csv(site):  # noqa: F811
    path = site.root / "one.csv"
    path.write_bytes(csv(GOOD))
    site.seal(path)
    assert CODE not in reasons(site.gate()[0].verdict)


def test_names_of_files_cannot_forge_a_line():
    found = formats.Unjudged("a\n\x1b[31mPASSED", "why")
    assert str(found).isprintable()
