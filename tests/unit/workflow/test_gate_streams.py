"""A gate reads a batch in pieces: it holds none of it, and how it is cut changes nothing."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.workflow.conftest import AT, rows

from sluicegate.adapters.files import layout
from sluicegate.adapters.policy_file import read_policy
from sluicegate.cli.main import main
from sluicegate.errors import DigestMismatch
from sluicegate.profiling.csv_dialect import UNDECLARED
from sluicegate.workflow.baselines.unsigned import read_baseline
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.judging.threads import ENV_THREADS
from sluicegate.workflow.sealing import sealed_rows
from sluicegate.workflow.sealing.sealed_rows import batch_rows, batch_table

few = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def written(table: pa.Table, directory, cuts: list[int], group: int) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    ends = [0, *sorted(set(cuts)), table.num_rows]
    for place, (start, end) in enumerate(itertools.pairwise(ends)):
        part = table.slice(start, end - start)
        pq.write_table(part, directory / f"{place:03}.parquet", row_group_size=group)


@few
@given(
    st.lists(st.integers(1, 2999), max_size=5),
    st.integers(50, 3000),
    st.integers(1, 4),
    st.sampled_from([0, 40_000, 1 << 30]),
)
def test_files_row_groups_threads_and_disk_change_no_finding(site, cuts, group, threads, held):
    baseline, _ = read_baseline(site.home.baseline_dir("src"))
    policy = read_policy(site.home.policy)
    table, place = rows(2), site.root / "cut"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed_rows, "IN_MEMORY_BYTES", held)
        patch.setenv(ENV_THREADS, str(threads))
        written(table, place, cuts, group)
        found = batch_rows(site.seal(place), dialect=UNDECLARED)
        [judged] = evaluate_directly(found, [baseline], policy)
        patch.setenv(ENV_THREADS, "1")
        [alone] = evaluate_directly(table.to_batches(), [baseline], policy)
    assert [r.to_dict() for r in judged.records] == [r.to_dict() for r in alone.records]
    assert judged.suite == alone.suite


@pytest.mark.parametrize("held", [0, 1 << 30])
def test_rows_are_those_of_the_table(site, monkeypatch, held):
    monkeypatch.setattr(sealed_rows, "IN_MEMORY_BYTES", held)
    written(rows(4), site.root / "cut", [700, 1900], 300)
    batch = site.seal(site.root / "cut")
    found = pa.Table.from_batches(batch_rows(batch, dialect=UNDECLARED))
    assert found.equals(batch_table(batch, dialect=UNDECLARED).combine_chunks())


def test_gate_holds_a_few_record_batches_and_not_the_batch(site):
    """Sixty times what one record batch takes pass by."""
    n, groups = 65_536, 60
    place = site.root / "large"
    place.mkdir()
    piece = pa.table({f"c{i}": np.random.default_rng(i).normal(size=n) for i in range(4)})
    with pq.ParquetWriter(place / "a.parquet", piece.schema) as writer:
        for _ in range(groups):
            writer.write_table(piece)
    site.seal(place)
    site.accept_extra_columns()
    before, most = pa.total_allocated_bytes(), []

    class Enough(Exception):
        pass

    def watch(batches, _baselines, _policy):
        n_rows = 0
        for batch in batches:
            n_rows += batch.num_rows
            most.append(pa.total_allocated_bytes() - before)
        assert n_rows == n * groups
        raise Enough

    with pytest.raises(Enough):
        site.gate(runner=watch)
    assert max(most) < 12 * piece.nbytes


def test_file_that_changes_while_others_are_counted_leaves_no_verdict(site, monkeypatch):
    monkeypatch.setattr(sealed_rows, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(layout, "BATCH_ROWS", 1000)  # or the files are one record batch
    written(rows(2), site.root / "cut", [1000, 2000], 3000)
    site.seal(site.root / "cut")

    def meanwhile(batches, baselines, policy):
        for place, batch in enumerate(batches):
            if place == 0:
                pq.write_table(rows(3), site.root / "cut" / "002.parquet")
            assert batch.num_rows
        return evaluate_directly([], baselines, policy)

    with pytest.raises(DigestMismatch):
        site.gate(runner=meanwhile)
    kinds = [r.entry.kind for r in site.evidence(AT).ledger.find(source="src", newest_first=False)]
    assert kinds == ["seal", "provenance"]


def test_command_says_that_a_batch_is_sealed_before_it_judges(site, capsys):
    home = ["--home", str(site.home.root)]
    assert main(["gate", "src", "--seal", str(site.clean), *home]) == 0
    said = capsys.readouterr().err
    assert "which has no verdict yet" in said
    assert "sluicegate gate src" in said
