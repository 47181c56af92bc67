"""JSON lines in a directory are read as rows, as CSV files are, or refused by line and column."""

from __future__ import annotations

import bz2
import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.adapters.files.test_csv_dialect import zstd

from sluicegate.adapters.files import json_rows
from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.files.tabular import open_batches
from sluicegate.errors import DataError, SchemaMismatch, UnreadableData
from sluicegate.gate.limits import Limits
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect

SECRET = "jane.doe@example.org"
ROWS = [{"id": "a", "n": 1, "x": 1.5, "t": "u"}, {"id": "b", "n": None, "x": 2.25, "t": None}]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)


def put(root, content, name="p.jsonl"):
    path = root / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, dialect=UNDECLARED, **options):
    return pa.Table.from_batches(list(open_batches(path, dialect=dialect, **options)))


def declared(**columns):
    return CsvDialect.from_mapping({"columns": columns}, locator="schema.yaml")


HARMLESS = {
    "plain": (TEXT, "p.jsonl"),
    "the other suffix": (TEXT, "p.ndjson"),
    "upper-case name": (TEXT, "P.JSONL"),
    "gzip": (gzip.compress(TEXT.encode()), "p.jsonl.gz"),
    "bzip2": (bz2.compress(TEXT.encode()), "p.ndjson.bz2"),
    "zstd": (zstd(TEXT.encode()), "p.jsonl.zst"),
    "two members of gzip": (
        b"".join(gzip.compress(line.encode()) for line in TEXT.splitlines(keepends=True)),
        "p.jsonl.gz",
    ),
    "no last line end": (TEXT.rstrip("\n"), "p.jsonl"),
    "lines of Windows": (TEXT.replace("\n", "\r\n"), "p.jsonl"),
    "empty lines": (TEXT.replace("\n", "\n\n") + " \n", "p.jsonl"),
    "missing keys for nulls": (
        '{"id":"a","n":1,"x":1.5,"t":"u"}\n{"id":"b","x":2.25}\n', "p.jsonl",
    ),
    "keys in another order": (
        '{"id":"a","n":1,"x":1.5,"t":"u"}\n{"x":2.25,"t":null,"id":"b"}\n', "p.jsonl",
    ),
    "escapes": (TEXT.replace('"u"', r'"\u0075"'), "p.jsonl"),
    "no row of the first keys": (
        '{"id":"a","n":1,"x":1.5,"t":"u"}\n{"id":"b","n":null,"x":225e-2,"t":null}\n', "p.jsonl",
    ),
}  # fmt: skip

REFUSED = {
    "a key twice": ('{"a":1,"a":2}\n', "duplicate key"),
    "a word for NaN": ('{"a":NaN}\n', "NaN"),
    "more digits than 64 bits": ('{"a":9223372036854775808}\n', "64 bits"),
    "a list": ("[1]\n", "object"),
    "a number": ("1\n", "object"),
    "two objects on a line": ('{"a":1}{"a":2}\n', "JSON"),
    "an object on two lines": ('{"a":\n1}\n', "JSON"),
    "cut short": ('{"a":1}\n{"a":', "row 2"),
    "a whole array": ('[{"a":1},\n{"a":2}]\n', "JSON"),
    "comments": ('{"a":1} // one\n', "JSON"),
    "Latin-1": ('{"a":"ü"}\n'.encode("latin-1"), "UTF-8"),
    "half a surrogate": ('{"a":"\\ud800"}\n', "surrogate"),
    "a mark of UTF-8": (b'\xef\xbb\xbf{"a":1}\n', "byte order mark"),
    "a text among numbers": (f'{{"a":1}}\n{{"a":"{SECRET}"}}\n', "column 'a'"),
    "a boolean among numbers": ('{"a":1}\n{"a":true}\n', "column 'a'"),
    "a list among texts": ('{"a":"x"}\n{"a":["x"]}\n', "column 'a'"),
    "an integer that no double holds": ('{"a":1.5}\n{"a":9007199254740993}\n', "column 'a'"),
    "objects without any key": ("{}\n{}\n", "no column"),
    "nothing": ("", "empty"),
    "nothing but line ends": ("\n\n", "no rows"),
}

TYPES = {
    "integers and fractions": ("[1, 2.5]", pa.float64()),
    "integers": ("[1, null]", pa.int64()),
    "truth": ("[true, null]", pa.bool_()),
    "nothing": ("[null, null]", pa.null()),
    "dates": ('["2026-04-01", null]', pa.date32()),
    "times": ('["2026-04-01T10:00:00", "2026-04-01 10:00:00.5"]', pa.timestamp("us")),
    "times of a zone": (
        '["2026-04-01T10:00:00Z", "2026-04-01T12:00:00+02:00"]', pa.timestamp("us", "UTC"),
    ),
    "no day of the calendar": ('["2026-02-30", "2026-04-01"]', pa.string()),
    "a date among words": ('["2026-04-01", "soon"]', pa.string()),
    "digits in quotes": ('["04", "05"]', pa.string()),
    "empty text": ('["", "x"]', pa.string()),
    "lists": ("[[1, 2], [3]]", pa.list_(pa.int64())),
    "structures": ('[{"b": 1}, {"b": 2}]', pa.struct([("b", pa.int64())])),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_lines_are_rows(tmp_path, name):
    content, file = HARMLESS[name]
    assert read(put(tmp_path, content, file)).to_pylist() == ROWS


@pytest.mark.parametrize("name", REFUSED)
def test_line_that_readers_disagree_on_is_refused_without_its_values(tmp_path, name):
    content, words = REFUSED[name]
    with pytest.raises(DataError) as caught:
        read(put(tmp_path, content))
    assert words in str(caught.value)
    assert "p.jsonl" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", TYPES)
def test_type_is_that_of_all_values_of_a_file(tmp_path, name):
    values, wanted = TYPES[name]
    text = "".join(
        json.dumps({"i": n, "a": value}) + "\n" for n, value in enumerate(json.loads(values))
    )
    assert read(put(tmp_path, text)).schema.field("a").type == wanted


@pytest.mark.parametrize("name", HARMLESS)
def test_lines_are_rows_from_any_kind_of_opened_file(tmp_path, name):
    content, file = HARMLESS[name]
    data = content if isinstance(content, bytes) else content.encode()
    with put(tmp_path, data, file).open("rb") as opened:
        for part in (data, memoryview(data), opened):
            assert TableFiles().table([(file, part)]).to_pylist() == ROWS


def test_lines_may_be_longer_than_a_block_and_not_longer_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "_BLOCK_BYTES", 10)
    assert read(put(tmp_path, TEXT)).to_pylist() == ROWS
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 20)
    with pytest.raises(UnreadableData, match=r"p\.jsonl row 1: JSON text is too large"):
        read(put(tmp_path, TEXT))


def test_line_of_too_many_blanks_hides_no_rows_behind_it(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "_BLOCK_BYTES", 10)
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 20)
    with pytest.raises(UnreadableData, match=r"p\.jsonl row 2: JSON text is too large"):
        read(put(tmp_path, '{"a":1}\n' + " " * 40 + '\n{"a":2}\n'))


def test_type_does_not_change_where_a_block_ends(tmp_path, monkeypatch):
    """A late fraction, a late word among dates and a late key count for the rows before them."""
    monkeypatch.setattr(json_rows, "BATCH_ROWS", 10)
    rows = [{"n": i, "d": "2026-04-01"} for i in range(25)]
    late = [*rows, {"n": 0.5, "d": "soon", "z": True}]
    found = read(put(tmp_path, "".join(json.dumps(row) + "\n" for row in late)))
    assert found.schema == pa.schema([("n", pa.float64()), ("d", pa.string()), ("z", pa.bool_())])
    assert (found.num_rows, found["z"].null_count) == (26, 25)


def test_rows_without_any_key_are_rows_of_nulls(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "BATCH_ROWS", 2)
    found = read(put(tmp_path, '{"a":1}\n{}\n{}\n{}\n{"a":2}\n'))
    assert found["a"].to_pylist() == [1, None, None, None, 2]


def test_declared_types_are_exact(tmp_path):
    text = '{"zip":"04103","on":"2026-04-01","at":"2026-04-01T10:00:00Z","sum":"1.50","f":1}\n'
    kinds = declared(zip="string", on="date", at="timestamp", sum="decimal(9,2)", f="float64")
    found = read(put(tmp_path, text), kinds)
    assert found.to_pylist() == [
        {
            "zip": "04103",
            "on": date(2026, 4, 1),
            "at": datetime(2026, 4, 1, 10, tzinfo=UTC),
            "sum": Decimal("1.50"),
            "f": 1.0,
        }
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("string", "4103"), ("int64", "1.5"), ("int64", '"1"'), ("bool", "1"), ("date", '"April"')],
)
def test_value_of_another_type_than_declared_is_named_by_row_and_column(tmp_path, kind, value):
    with pytest.raises(SchemaMismatch, match=r"p\.jsonl row 2, column 'a'"):
        read(put(tmp_path, f'{{"b":1}}\n{{"a":{value}}}\n'), declared(a=kind))


def test_declared_column_that_a_file_lacks_is_null_in_its_type(tmp_path):
    found = read(put(tmp_path, '{"b":1}\n'), declared(a="int64"))
    assert found.to_pydict() == {"b": [1], "a": [None]}
    assert found.schema.field("a").type == pa.int64()


def test_lines_and_parquet_lie_in_one_directory(tmp_path):
    put(tmp_path, TEXT, "a.jsonl")
    pq.write_table(pa.table({"id": ["c"], "n": [3], "x": [3.5], "t": ["v"]}), tmp_path / "b.pq")
    assert read(tmp_path).num_rows == 3


def test_suffix_of_packed_lines_is_held_against_the_content(tmp_path):
    with pytest.raises(UnreadableData, match=r"its name says gzip and its content does not"):
        read(put(tmp_path, TEXT, "p.jsonl.gz"))
    put(tmp_path, gzip.compress(TEXT.encode()), "p.jsonl")
    with pytest.raises(UnreadableData, match=r"packed text is called \*\.jsonl\.gz"):
        read(tmp_path / "p.jsonl")


def test_packed_lines_stay_within_the_limits(tmp_path):
    bomb = gzip.compress(b'{"a":"' + b"x" * 1_000_000 + b'"}\n' + b'{"a":"x"}\n' * 200_000)
    path = put(tmp_path, bomb, "p.jsonl.gz")
    with pytest.raises(UnreadableData, match="max_decoded_bytes"):
        read(path, limits=Limits(max_decoded_bytes=500_000))
    with pytest.raises(UnreadableData, match="max_rows"):
        read(path, limits=Limits(max_rows=1000))


def test_rows_of_ever_new_keys_do_not_fill_the_memory(tmp_path):
    """Each row has a key of its own: as a table it is the square of the file."""
    text = "".join(f'{{"k{number}":1}}\n' for number in range(20_000))
    with pytest.raises(UnreadableData, match="columns"):
        read(put(tmp_path, text))
