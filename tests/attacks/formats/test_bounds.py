"""Bounds before work: what a file declares is held against the policy before it is decoded."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.attacks.formats.cases import csv, parquet
from tests.attacks.formats.test_beside import checked, put
from tests.unit.workflow.conftest import AT, built_site, rows, site  # noqa: F401

from sluicegate.adapters.files.bounds import Meter, decoded_bytes, values_in_lists
from sluicegate.adapters.files.parquet_footer import declared_values
from sluicegate.adapters.files.tabular import open_batches
from sluicegate.errors import ConfigError, UnreadableData
from sluicegate.gate.limits import DEFAULT, FREE_BYTES, Limits
from sluicegate.gate.policy import parse_policy
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.admission.read import load_verified, stream_verified
from sluicegate.workflow.baselines.signed import write_baseline

GROUP_ROWS = 8_000_000


def constant(n_rows: int, value=0) -> bytes:
    """A column of one value: some kilobytes for each million rows."""
    out = io.BytesIO()
    group = pa.record_batch({"id": pa.repeat(value, min(n_rows, GROUP_ROWS))})
    with pq.ParquetWriter(out, group.schema, compression="zstd") as writer:
        for _ in range(-(-n_rows // GROUP_ROWS)):
            writer.write_batch(group, row_group_size=GROUP_ROWS)
    return out.getvalue()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    data = constant(200_000_000)
    assert len(data) < 8_000_000
    return data


def limit(site, **limits):  # noqa: F811
    text = site.home.policy.read_text(encoding="utf-8")
    site.home.policy.write_text(f"{text}limits: {json.dumps(limits)}\n", encoding="utf-8")


@pytest.fixture
def undecoded(monkeypatch):
    """Fail where a row is decoded."""

    def refuse(*_arguments, **_options):
        raise AssertionError("decoded")

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", refuse)


def test_more_rows_than_the_default_are_refused_before_one_is_decoded(
    site,  # noqa: F811
    bomb,
    undecoded,
):
    root = put(site.root / "bomb", {"a.parquet": bomb})
    schema = BatchSchema.from_mapping({"id": "id"}, locator="schema")
    site.seal(root)
    for use in (
        lambda: checked(site, root),
        lambda: write_baseline([root], schema, out=site.root / "b", at=AT),
        site.gate,
    ):
        with pytest.raises(UnreadableData, match=r"limits\.max_rows of the policy") as caught:
            use()
        assert "set limits.max_rows in the policy" in caught.value.next_step
        assert "a.parquet" in caught.value.locator


PROGRAM = """
import re, sys
from sluicegate.cli.main import main
code = main(sys.argv[1:])
print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
sys.exit(code)
"""


def test_gate_check_and_baseline_of_the_command_line_stay_small(site, bomb):  # noqa: F811
    root = put(site.root / "bomb", {"a.parquet": bomb})
    (site.root / "roles.yaml").write_text("id: id\n")
    for arguments in (
        ["baseline", "build", str(root), "--schema", "roles.yaml", "--out", "b"],
        ["check", str(root), "--baseline", str(site.home.baseline_dir("src"))],
        ["gate", "src", "--seal", str(root), "--home", str(site.home.root)],
    ):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=site.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "limits.max_rows" in done.stderr) == (2, True), done.stderr
        assert int(done.stderr.split("peak ")[1]) < 500_000, "KiB"


def test_verified_read_holds_the_limits_too(site, bomb, monkeypatch):  # noqa: F811
    """Of a batch that an older version admitted, which looked at nothing."""
    with monkeypatch.context() as old:
        old.setattr(Meter, "_require", lambda *_a, **_k: None)
        limit(site, max_rows=2999)
        site.seal(site.clean)
        site.gate()
    assert bomb
    for kind in ("pandas", "arrow", "polars", "duckdb"):
        with pytest.raises(UnreadableData, match=r"limits\.max_rows"):
            load_verified("src", as_=kind, home=site.home, at=AT)
    with pytest.raises(UnreadableData, match=r"limits\.max_rows"):
        next(stream_verified("src", home=site.home, at=AT))


def test_user_who_says_so_gets_as_many_rows_as_he_says(site):  # noqa: F811
    table = parquet(rows(2))
    root = put(site.root / "batch", {"a.parquet": table, "b.csv": csv(rows(3))})
    for most, refused in ((3000, False), (2999, True)):
        limits = Limits(max_rows=most)
        read = open_batches(root / "a.parquet", limits=limits)
        if refused:
            with pytest.raises(UnreadableData, match="max_rows"):
                next(read)
        else:
            assert sum(batch.num_rows for batch in read) == most


def test_files_of_a_batch_count_together(tmp_path):
    root = put(tmp_path / "many", {f"{n}.parquet": constant(1000) for n in range(5)})
    with pytest.raises(UnreadableData, match="max_rows") as caught:
        list(open_batches(root, limits=Limits(max_rows=4999)))
    assert caught.value.locator.endswith("4.parquet")


def test_declared_bytes_are_refused_before_one_is_decoded(tmp_path, undecoded):
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"x{n}": np.zeros(10_000) for n in range(50)}), path)
    declared = decoded_bytes(pq.read_metadata(path), {})
    assert declared == 50 * 10_000 * 8
    with pytest.raises(UnreadableData, match=r"limits\.max_decoded_bytes"):
        next(open_batches(path, limits=Limits(max_decoded_bytes=declared - 1)))


@pytest.mark.parametrize("depth", [1, 2])
def test_values_in_lists_are_refused_before_one_is_decoded(tmp_path, undecoded, depth):
    """One row may hold a billion values, and no reader can stop in the middle of it."""
    path = tmp_path / "lists.parquet"
    values = pa.repeat(0.0, 1_000_000)
    for _ in range(depth):
        values = pa.ListArray.from_arrays(pa.array([0, len(values)], "i4"), values)
    pq.write_table(pa.table({"id": [1], "v": values, "t": [["text"]]}), path, compression="zstd")
    assert path.stat().st_size < 5_000
    footer = pq.read_metadata(path)
    values = values_in_lists(str(path), footer, path.stat().st_size, "t")
    assert 8_000_000 < decoded_bytes(footer, values) < 8_000_100
    with pytest.raises(UnreadableData, match=r"limits\.max_decoded_bytes"):
        next(open_batches(path, limits=Limits(max_decoded_bytes=7_999_999)))


def test_footer_is_read_as_pyarrow_reads_it(tmp_path):
    """Also of many columns, row groups and keys: each length has a form of its own."""
    table = pa.table({f"column {n}": [[n] * n, [n], None] for n in range(40)})
    table = table.replace_schema_metadata({str(n): "x" * n for n in range(200)})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=1, write_page_index=True, version="1.0")
    footer = pq.read_metadata(path)
    groups = [footer.row_group(n) for n in range(footer.num_row_groups)]
    expected = [sum(g.column(n).num_values for g in groups) for n in range(footer.num_columns)]
    found = declared_values(str(path), path.stat().st_size, "t")
    assert [found[n] for n in range(footer.num_columns)] == expected


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("as_categories", [False, True])
def test_text_that_a_dictionary_repeats_is_counted_as_often_as_it_is_read(nested, as_categories):
    """48 kB, and 65 GB in a batch of the usual size."""
    n_rows = 65_536
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, "i4")), ["x" * 1_000_000])
    column = pa.StructArray.from_arrays([text], ["deep"]) if nested else text
    out = io.BytesIO()
    pq.write_table(pa.table({"text": column}), out, store_schema=as_categories)
    assert len(out.getvalue()) < 60_000
    seen = []
    with pytest.raises(UnreadableData, match=r"limits\.max_expansion"):
        seen.extend(batch.num_rows for batch in open_batches(out.getvalue()))
    assert max(seen) < 1000
    assert sum(seen) * 1_000_000 <= FREE_BYTES


def test_long_documents_come_few_at_a_time():
    documents = pa.array([f"{number} " + "word " * 100_000 for number in range(1000)])
    batches = open_batches(parquet(pa.table({"text": documents})))
    sizes = [batch.nbytes for batch in batches]
    assert sum(sizes) > 500_000_000
    assert max(sizes) < 150_000_000


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_honest_tables_are_far_below_the_default(tmp_path, suffix):
    """20,000,000 rows of 20 columns, by the numbers of a part of them."""
    path = tmp_path / f"t.{suffix}"
    path.write_bytes((parquet if suffix == "parquet" else csv)(rows(2)))
    meter = Meter()
    for batch in open_batches(path):
        meter.count(batch, "t")
    scale = 20_000_000 / meter.n_rows
    assert meter.n_rows * scale < DEFAULT.max_rows
    assert meter.n_bytes * scale < DEFAULT.max_decoded_bytes
    assert meter.n_bytes < DEFAULT.max_expansion * path.stat().st_size / 20


def test_csv_is_held_against_the_limits(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(csv(rows(2)))
    with pytest.raises(UnreadableData, match=r"limits\.max_rows"):
        list(open_batches(path, limits=Limits(max_rows=2999)))
    with pytest.raises(UnreadableData, match=r"limits\.max_decoded_bytes"):
        list(open_batches(path, limits=Limits(max_decoded_bytes=1000)))


@pytest.mark.parametrize(
    "value", [0, -1, 1.5, True, "many", None, float("inf"), float("nan"), 2**60]
)
def test_limit_that_is_no_whole_number_is_refused(value):
    with pytest.raises(ConfigError, match=r"limits\.max_rows"):
        parse_policy({**POLICY, "limits": {"max_rows": value}}, b"", locator="p")


POLICY = {
    "version": 1,
    "mode": "enforce",
    "accept": ["PASSED"],
    "false_block_budget": 0.01,
    "verdict_ttl_hours": 1,
    "signals": {"SCHEMA": {"severity": "block"}},
}


def test_layer_may_lower_a_limit_and_not_raise_it():
    base = {**POLICY, "limits": {"max_rows": 1000}}
    tighter = {**base, "sources": {"s": {"limits": {"max_rows": 999}}}}
    policy = parse_policy(tighter, b"", locator="p")
    assert (policy.limits.max_rows, policy.for_source("s").limits.max_rows) == (1000, 999)
    looser = {**base, "sources": {"s": {"limits": {"max_rows": 1001}}}}
    with pytest.raises(ConfigError, match="limits max_rows 1000 -> 1001"):
        parse_policy(looser, b"", locator="p")
    above = {**POLICY, "sources": {"s": {"limits": {"max_rows": DEFAULT.max_rows + 1}}}}
    with pytest.raises(ConfigError, match="limits max_rows"):
        parse_policy(above, b"", locator="p")
