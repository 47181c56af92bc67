"""What a sink cuts into many small files is the same batch, and each file is opened a few times."""

from __future__ import annotations

import builtins
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.attacks.everyday.test_directory_schemas import parquet
from tests.attacks.everyday.world import fresh, text, trusted

WHOLE = fresh()
SIZE = 5
NAMES = WHOLE.column_names
PARTS = [WHOLE.slice(at, SIZE) for at in range(0, WHOLE.num_rows, SIZE)]


def lines(table):
    return "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist())


def each(name, make):
    return {name.format(i): make(part) for i, part in enumerate(PARTS)}


KINDS = {
    "Spark": lambda: {
        **each("part-{:05d}-1b4e28ba.c000.snappy.parquet", parquet),
        **each(".part-{:05d}-1b4e28ba.c000.snappy.parquet.crc", lambda _: b"crc\0"),
        "_SUCCESS": b"",
    },
    "Hive": lambda: each("{:06d}_0", parquet),
    "Kafka Connect": lambda: each("orders+0+{:010d}.parquet", parquet),
    "Firehose by hour": lambda: each("2026/04/01/{:02d}/orders-1.parquet", parquet),
    "CSV": lambda: each("p{:04d}.csv", text),
    "packed CSV": lambda: each("p{:04d}.csv.gz", lambda t: gzip.compress(text(t).encode(), 1)),
    "JSON lines": lambda: each("p{:04d}.jsonl", lines),
    "packed JSON lines": lambda: each(
        "p{:04d}.jsonl.gz", lambda t: gzip.compress(lines(t).encode(), 1)
    ),
    "many without a row": lambda: {
        **each("p{:04d}.parquet", parquet),
        **each("q{:04d}.parquet", lambda t: parquet(t.slice(0, 0))),
    },
    "one large and many small": lambda: {
        "a.parquet": parquet(WHOLE.slice(0, 300)),
        **{f"b{i:04d}.parquet": parquet(part) for i, part in enumerate(PARTS[60:])},
    },
    "columns in another order in each": lambda: {
        f"p{i:04d}.parquet": parquet(part.select(NAMES[i % 7 :] + NAMES[: i % 7]))
        for i, part in enumerate(PARTS)
    },
    "categories of its own in each": lambda: {
        f"p{i:04d}.parquet": parquet(
            part.set_column(4, "channel", part["channel"].combine_chunks().dictionary_encode())
        )
        for i, part in enumerate(PARTS)
    },
    "a file for each shop": lambda: {
        f"shop-{s}.parquet": parquet(WHOLE.filter(pa.compute.equal(WHOLE["customer"], s)))
        for s in "abcd"
    },
}  # fmt: skip
UNORDERED = {"a file for each shop"}


def as_read(found):
    return {(r.code, r.column): (r.status, r.message) for r in found.checked.records}


@pytest.mark.parametrize("name", KINDS)
def test_many_files_are_judged_as_the_one_that_they_are(world, name):
    base = world.baseline("plain", trusted)
    found = world.check(KINDS[name](), base)
    found.require_passed()
    assert found.checked.found.n_rows == WHOLE.num_rows
    assert as_read(found) == as_read(world.check(WHOLE, base))


@pytest.mark.parametrize("name", ["Hive", "packed CSV"])
def test_each_file_is_opened_a_few_times_however_many_there_are(world, name, monkeypatch):
    base = world.baseline("plain", trusted)
    files, opened = KINDS[name](), []
    place = world.put(files)

    def counting(path, *arguments, **options):
        if isinstance(path, str | Path) and Path(path).is_relative_to(place):
            opened.append(path)
        return real(path, *arguments, **options)

    real = io.open
    monkeypatch.setattr(io, "open", counting)
    monkeypatch.setattr(builtins, "open", counting)
    world.check(place, base).require_passed()
    assert len(opened) <= 4 * len(files)


def test_poison_in_one_of_many_files_is_found(world):
    base = world.baseline("plain", trusted)
    files = KINDS["Hive"]()
    for name in list(files)[:40]:
        table = pq.read_table(io.BytesIO(files[name]))
        labels = pa.array([1 - y for y in table["y"].to_pylist()])
        files[name] = parquet(table.set_column(6, "y", labels))
    world.check(files, base).require_named("LABEL_FLIPS:y")
