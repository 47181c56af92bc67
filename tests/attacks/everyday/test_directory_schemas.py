"""Files of one directory by different sinks: read as one table, or the column is named."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.attacks.everyday.world import cast, fresh, put_column, text, trusted

FIRST, SECOND = fresh().slice(0, 300), fresh().slice(300)


def parquet(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def dictionary(*known):
    """Categories of pandas: other words in other files, some of them unused."""

    def change(table):
        words = [*known, "web", "app", "shop"]
        codes = pa.array([words.index(w) for w in table["channel"].to_pylist()], pa.int8())
        return put_column(table, "channel", pa.DictionaryArray.from_arrays(codes, words))

    return change


def pandas_index(table):
    frame = table.to_pandas()
    frame.index = [7 * i for i in range(len(frame))]
    return pa.Table.from_pandas(frame)


TABLES = {
    "int96 of Impala and old Spark": lambda t: parquet(t, use_deprecated_int96_timestamps=True),
    "version 1 of Parquet": lambda t: parquet(t, version="1.0"),
    "ms of Hive": lambda t: parquet(t, coerce_timestamps="ms"),
    "pages of version 2": lambda t: parquet(t, data_page_version="2.0"),
    "other codec": lambda t: parquet(t, compression="zstd"),
    "one row to a group": lambda t: parquet(t, row_group_size=7),
    "other categories": dictionary("fax"),
    "same categories in another order": dictionary(),
    "index of pandas": pandas_index,
    "uint8": cast("age", pa.uint8()),
    "int16": cast("age", pa.int16()),
    "double for a whole number": cast("y", pa.float64()),
    "float for a double": cast("amount", pa.float32()),
    "large text": cast("channel", pa.large_string()),
    "view of text": cast("customer", pa.string_view()),
    "ns of pandas 2": cast("ts", pa.timestamp("ns")),
    "s": cast("ts", pa.timestamp("s")),
    "only nulls where pandas saw None": lambda t: put_column(
        t, "channel", pa.nulls(t.num_rows)
    ).slice(0, 5),
    "no row in it": lambda t: put_column(t, "age", t["age"].cast(pa.string())).slice(0, 0),
    "metadata of its own": lambda t: t.replace_schema_metadata({"writer": "x"}),
    "CSV": lambda t: text(t.set_column(1, "ts", t["ts"].cast(pa.timestamp("s")))),
    "JSON lines": lambda t: "".join(json.dumps(r, default=str) + "\n" for r in t.to_pylist()),
}  # fmt: skip


def suffix(name):
    return {"CSV": ".csv", "JSON lines": ".jsonl"}.get(name, ".parquet")


@pytest.mark.parametrize("name", TABLES)
def test_files_of_two_writers_are_one_table(world, name):
    base = world.baseline("plain", trusted)
    found = world.check({f"a{suffix(name)}": TABLES[name](SECOND), "b.parquet": FIRST}, base)
    found.require_passed()


CONFLICTS = {
    "number as text": cast("age", pa.string()),
    "boolean beside 0 and 1": cast("y", pa.bool_()),
    "bytes of Impala beside text": cast("channel", pa.binary()),
    "time as text": cast("ts", pa.string()),
    "day for a time": cast("ts", pa.date32()),
    "time of UTC": cast("ts", pa.timestamp("us", "UTC")),
    "time of a city": cast("ts", pa.timestamp("us", "Europe/Berlin")),
    "epoch": cast("ts", pa.int64()),
    "decimal of a database": lambda t: put_column(
        t, "amount", t["amount"].cast(pa.decimal128(20, 2), safe=False)
    ),
    "list of one": lambda t: put_column(t, "channel", [[[w] for w in t["channel"].to_pylist()]]),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflict_names_file_column_and_both_types(world, name):
    base = world.baseline("plain", trusted)
    changed = CONFLICTS[name](SECOND)
    column = next(f.name for f in SECOND.schema if changed.schema.field(f.name).type != f.type)
    found = world.check({"a.parquet": FIRST, "b.parquet": changed}, base)
    types = (str(SECOND.schema.field(column).type), str(changed.schema.field(column).type)[:5])
    found.require_refused("b.parquet", f"column '{column}'", "a.parquet", *types)
