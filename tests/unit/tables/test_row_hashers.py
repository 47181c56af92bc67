"""Row ids are the same whoever hashes the rows, and whatever becomes of whoever helps."""

from __future__ import annotations

import shutil
import sys
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.tables import row_ids
from sluicegate.tables.hash_process import MAX_ROW_BYTES, MAX_ROWS
from sluicegate.tables.row_hashers import N_SLOTS, RowHasher, RowHashers
from sluicegate.tables.row_schema import TableSchema

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is started")

ROWS = [b"", b"a", b"bc" * 100, b"d" * 5000]
DIGESTS = b"".join(sha256(row).digest() for row in ROWS)


def offered(hasher, rows=ROWS):
    return hasher.offer(memoryview(b"".join(rows)), np.array([len(row) for row in rows]))


@pytest.fixture
def hasher():
    made = RowHasher()
    yield made
    made.stop()


def test_process_hashes_rows(hasher):
    asked = [offered(hasher) for _ in range(N_SLOTS)]
    assert offered(hasher) is None, "all slots are taken"
    assert [hashed.result() for hashed in asked] == [DIGESTS] * N_SLOTS
    assert offered(hasher).result() == DIGESTS


def test_rows_too_large_for_a_slot_are_not_taken(hasher):
    assert offered(hasher, [bytes(MAX_ROW_BYTES + 1)]) is None
    assert offered(hasher, [b""] * (MAX_ROWS + 1)) is None
    assert offered(hasher, [bytes(MAX_ROW_BYTES)]).result() == sha256(bytes(MAX_ROW_BYTES)).digest()


def test_rows_of_a_killed_process_are_hashed_here(hasher):
    hasher._process.kill()
    hasher._process.wait()
    asked = offered(hasher)
    assert asked.result() == DIGESTS
    assert offered(hasher) is None, "it is not asked again"


@pytest.mark.parametrize("program", ["false", "yes", "no-such-program"])
def test_program_that_does_not_hash_changes_nothing(monkeypatch, program):
    """`yes` answers what was not asked."""
    monkeypatch.setattr(sys, "executable", shutil.which(program) or program)
    hashers = RowHashers(workers=2, start_rows=0)
    try:
        lengths = np.array([len(row) for row in ROWS])
        made = [hashers.hash(memoryview(b"".join(ROWS)), lengths) for _ in range(3)]
        assert [hashed.result() for hashed in made] == [DIGESTS] * 3
    finally:
        hashers.stop()


@pytest.mark.parametrize("workers", [2, 3])
def test_ids_from_several_processes_are_those_from_one_in_order(monkeypatch, workers):
    n_taken = 0
    offer = RowHasher.offer

    def counted(*arguments):
        nonlocal n_taken
        hashed = offer(*arguments)
        n_taken += hashed is not None
        return hashed

    monkeypatch.setattr(RowHasher, "offer", counted)
    monkeypatch.setattr(row_ids, "START_ROWS", 1000)
    numbers = np.arange(100_000)
    table = pa.table({"n": numbers, "text": pa.array(numbers).cast(pa.string())})
    schema = TableSchema.of(table.schema)
    batches = table.to_batches(max_chunksize=3_000)
    one = [row_ids.row_ids(batch, schema) for batch in batches]
    many = list(row_ids.stream_row_ids(batches, schema, workers=workers))
    assert n_taken > 0
    assert np.array_equal(np.concatenate(one), np.concatenate([ids for _, ids in many]))
    assert pa.Table.from_batches([chunk for chunk, _ in many]).equals(table)


def test_wide_rows_are_encoded_a_few_at_a_time():
    batch = pa.record_batch({"text": ["x" * 100_000] * 100})
    chunks = list(row_ids.stream_row_ids([batch], TableSchema.of(batch.schema), workers=1))
    assert sum(len(ids) for _, ids in chunks) == 100
    assert max(chunk.nbytes for chunk, _ in chunks) <= row_ids.CHUNK_BYTES


def test_unread_stream_leaves_no_process():
    batch = pa.record_batch({"n": np.arange(row_ids.START_ROWS + 50_000)})
    chunks = row_ids.stream_row_ids([batch], TableSchema.of(batch.schema), workers=2)
    started: list[RowHasher] = []
    for _ in chunks:
        started = chunks.gi_frame.f_locals["hashers"]._hashers
        if started:
            break
    assert started
    chunks.close()
    assert started[0]._process.returncode is not None
