"""What is judged is what trains: one rule of types for check, gate and every verified read."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, SCHEMA, built_site, rows, site  # noqa: F401

from sluicegate.adapters.sources.local import LocalFiles
from sluicegate.errors import SluicegateError, UnreadableData
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import UNJUDGED, Status
from sluicegate.workflow.admission.read import load_verified, stream_verified
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.judging.check import check
from sluicegate.workflow.sealing import sealed_rows

GOOD = rows(2)


def cast(table, name, type_):
    values = table[name].combine_chunks().cast(type_)
    return table.set_column(table.schema.get_field_index(name), name, values)


CHANGES = {
    "wider label": lambda t: cast(t, "label", pa.int64()),
    "label of doubles": lambda t: cast(t, "label", pa.float64()),
    "ns": lambda t: cast(t, "time", pa.timestamp("ns")),
    "dictionary": lambda t: t.set_column(2, "who", t["who"].combine_chunks().dictionary_encode()),
    "floats": lambda t: cast(t, "w0", pa.float32()),
    "order": lambda t: t.select(t.column_names[::-1]),
    "not null": lambda t: t.cast(pa.schema([f.with_nullable(False) for f in t.schema])),
}
CONFLICTS = {
    "label of text": lambda t: cast(t, "label", pa.string()),
    "number of text": lambda t: cast(t, "x", pa.string()),
    "decimal": lambda t: cast(t, "label", pa.decimal128(5, 2)).set_column(
        3, "x", pa.array([None] * t.num_rows, pa.decimal128(5, 2))
    ),
    "local time with a zone": lambda t: cast(t, "time", pa.timestamp("us", "UTC")),
    "id of bytes": lambda t: cast(t, "id", pa.binary()),
}


def two(root, change):
    root.mkdir()
    pq.write_table(GOOD.slice(0, 1500), root / "a.parquet")
    pq.write_table(change(GOOD.slice(1500)), root / "b.parquet")
    return root


def judged(site, batch):  # noqa: F811
    done = check(batch, baseline=site.home.baseline_dir("src"), policy=site.home.policy)
    site.seal(batch)
    return done, site.gate()[0].verdict


@pytest.mark.parametrize("name", CHANGES)
def test_check_gate_and_reads_agree_on_harmless_differences(site, name):  # noqa: F811
    done, verdict = judged(site, two(site.root / "b", CHANGES[name]))
    assert Status.FAILED not in {done.verdict, verdict.result}
    loaded = load_verified("src", as_="arrow", home=site.home, at=AT)
    streamed = pa.Table.from_batches(list(stream_verified("src", home=site.home, at=AT)))
    assert loaded.equals(streamed)
    assert loaded.num_rows == done.found.n_rows == GOOD.num_rows
    assert loaded["x"].to_pylist() == GOOD["x"].to_pylist()


@pytest.mark.parametrize("name", CONFLICTS)
def test_real_conflict_stops_check_and_gate_alike(site, name):  # noqa: F811
    batch = two(site.root / "b", CONFLICTS[name])
    said = []
    with pytest.raises(UnreadableData, match=r"b\.parquet: column '\w+'.*another type") as caught:
        check(batch, baseline=site.home.baseline_dir("src"), policy=site.home.policy)
    said.append(str(caught.value))
    site.seal(batch)
    with pytest.raises(UnreadableData, match=r"b\.parquet: column '\w+'.*another type") as caught:
        site.gate()
    assert said == [str(caught.value)]


def lying_footers(site, monkeypatch):  # noqa: F811
    """A judged batch whose files show another schema to whoever looks before reading."""
    batch = two(site.root / "b", CHANGES["wider label"])
    assert judged(site, batch)[1].result is not Status.FAILED
    other = site.root / "other.parquet"
    pq.write_table(pa.table({"label": [0.5], "extra": ["x"]}), other)
    monkeypatch.setattr(LocalFiles, "glance", lambda _self, _name: other.open("rb"))


def test_footer_of_a_large_file_that_lies_before_the_stream_is_refused(site, monkeypatch):  # noqa: F811
    lying_footers(site, monkeypatch)
    monkeypatch.setattr(sealed_rows, "IN_MEMORY_BYTES", 0)
    with pytest.raises(SluicegateError):
        list(stream_verified("src", home=site.home, at=AT))


def test_small_files_are_looked_at_in_their_verified_bytes_alone(site, monkeypatch):  # noqa: F811
    lying_footers(site, monkeypatch)
    streamed = pa.Table.from_batches(list(stream_verified("src", home=site.home, at=AT)))
    assert streamed.equals(load_verified("src", as_="arrow", home=site.home, at=AT))


def test_packed_csv_is_judged_and_trains_as_it_was_sealed(site, tmp_path):  # noqa: F811
    def text(table, path, delimiter):
        out = pa.BufferOutputStream()
        pa_csv.write_csv(table, out, pa_csv.WriteOptions(delimiter=delimiter))
        path.write_bytes(gzip.compress(out.getvalue().to_pybytes()))

    section = {
        "delimiter": ";",
        "columns": {
            name: "string" if name in {"id", "who"} else "float64"
            for name in GOOD.schema.names
            if name != "time"
        },
    }
    plain = rows(1, 6000).drop_columns(["time"]), GOOD.drop_columns(["time"])
    (tmp_path / "trusted").mkdir()
    text(plain[0], tmp_path / "trusted" / "p.csv.gz", ";")
    text(plain[1], tmp_path / "batch.csv.gz", ";")
    roles = {key: name for key, name in SCHEMA.items() if key != "timestamp"}
    schema = BatchSchema.from_mapping({**roles, "csv": section})
    home = site.home
    write_baseline(
        [tmp_path / "trusted"], schema, out=home.baseline_dir("src"), at=AT, source="src",
        signer=site.signer("baseline"), ttl=timedelta(days=9),
    )  # fmt: skip
    by_schema = check(tmp_path / "batch.csv.gz", baseline=home.baseline_dir("src"))
    locator = f"csv:{tmp_path}/batch.csv.gz#{json.dumps(section)}"
    site.seal(locator)
    verdict = site.gate()[0].verdict
    assert (verdict.result, by_schema.verdict) == (Status.PASSED, Status.PASSED)
    loaded = load_verified("src", as_="arrow", home=home, at=AT)
    assert loaded["x"].to_pylist() == GOOD["x"].to_pylist()
    assert loaded["id"].to_pylist() == GOOD["id"].to_pylist()


def test_undeclared_dialect_is_refused_by_the_gate_as_by_check(site):  # noqa: F811
    batch = site.root / "b"
    batch.mkdir()
    (batch / "p.csv").write_text("id;who;x\na;c1;1,5\nb;c2;2,5\n")
    site.seal(batch)
    with pytest.raises(UnreadableData, match=r"evidently no comma but a semicolon"):
        site.gate()
    with pytest.raises(UnreadableData, match=r"evidently no comma but a semicolon"):
        check(batch, baseline=site.home.baseline_dir("src"))


def test_columns_whose_values_nobody_judges_are_named_in_check_and_gate(site):  # noqa: F811
    # Days in no order: a date that grows with the time of the rows is a counter, and judged.
    days = pa.array([n * 7919 % 6000 for n in range(6000)], pa.int32()).cast(pa.date32())
    trusted = rows(1, 6000).append_column("born", days)
    codes = pa.array([f"code-{n}" for n in range(6000)])
    where = site.root / "more"
    where.mkdir()
    pq.write_table(trusted.append_column("code", codes), where / "p.parquet")
    write_baseline(
        [where], BatchSchema.from_mapping(SCHEMA), out=site.home.baseline_dir("src"), at=AT,
        source="src", signer=site.signer("baseline"),
    )  # fmt: skip
    batch = site.root / "b"
    batch.mkdir()
    part = GOOD.append_column("born", days[:3000]).append_column("code", codes[:3000])
    pq.write_table(part, batch / "p.parquet")
    done, verdict = judged(site, batch)
    named = {r.column: r.message for r in done.records if r.code == UNJUDGED and r.column}
    assert set(named) == {"born", "code"}
    assert all(f"column {name} is not judged" in text for name, text in named.items())
    assert not [reason for reason in verdict.reasons if reason.code == UNJUDGED]


def test_column_whose_type_changed_says_which_became_which(site):  # noqa: F811
    batch = site.root / "b"
    batch.mkdir()
    pq.write_table(cast(GOOD, "x", pa.string()), batch / "p.parquet")
    done = check(batch, baseline=site.home.baseline_dir("src"))
    said = [r.message for r in done.records if r.code == UNJUDGED and r.column == "x"]
    assert said == [
        "UNJUDGED: column x is not judged: text (string) in this batch, number in the baseline."
    ]
