"""CSV as people have it: read as declared, or refused with what it seems and how to say so."""

from __future__ import annotations

import bz2
import gzip
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.files.tabular import open_batches
from sluicegate.adapters.sources.rows import open_rows, text_location
from sluicegate.errors import ConfigError, SluicegateError, UnreadableData
from sluicegate.gate.limits import Limits
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect
from sluicegate.profiling.schema import BatchSchema

ROWS = [{"id": "a", "n": 1, "x": 1.5, "t": "u"}, {"id": "b", "n": None, "x": 2.25, "t": None}]
COMMA = "id,n,x,t\na,1,1.5,u\nb,,2.25,\n"
SEMICOLON = COMMA.replace(",", ";")
COLUMNS = {"id": "string", "n": "int64", "x": "float64", "t": "string"}
SECRET = "jane.doe@example.org"


def zstd(data):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


def declared(**section):
    return CsvDialect.from_mapping(section, locator="schema.yaml")


def put(root, content, name="p.csv"):
    path = root / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, dialect=UNDECLARED, **options):
    return pa.Table.from_batches(list(open_batches(path, dialect=dialect, **options)))


HARMLESS = {
    "plain": ({}, COMMA, "p.csv"),
    "mark of UTF-8": ({}, COMMA.encode("utf-8-sig"), "p.csv"),
    "lines of Windows": ({}, COMMA.replace("\n", "\r\n"), "p.csv"),
    "no last line end": ({}, COMMA.rstrip("\n") + '""', "p.csv"),
    "quoted header": ({}, COMMA.replace("id", '"id"', 1), "p.csv"),
    "upper-case name": ({}, COMMA, "P.CSV"),
    "gzip": ({}, gzip.compress(COMMA.encode()), "p.csv.gz"),
    "two members of gzip": (
        {}, gzip.compress(COMMA[:12].encode()) + gzip.compress(COMMA[12:].encode()), "p.csv.gz",
    ),
    "bzip2": ({}, bz2.compress(COMMA.encode()), "p.csv.bz2"),
    "zstd": ({}, zstd(COMMA.encode()), "p.csv.zst"),
    "semicolon": ({"delimiter": ";"}, SEMICOLON, "p.csv"),
    "semicolon, decimal comma": (
        {"delimiter": ";", "decimal": ","}, SEMICOLON.replace(".", ","), "p.csv",
    ),
    "tab": ({"delimiter": "\t"}, COMMA.replace(",", "\t"), "p.tsv"),
    "bar in text": ({"delimiter": "|"}, COMMA.replace(",", "|"), "p.txt"),
    "UTF-16": ({"encoding": "utf-16"}, COMMA.encode("utf-16"), "p.csv"),
    "UTF-16 packed": (
        {"encoding": "utf-16"}, gzip.compress(COMMA.encode("utf-16")), "p.csv.gz",
    ),
    "single quotes": ({"quote": "'"}, COMMA.replace("u", "'u'"), "p.csv"),
    "null words": (
        {"missing": ["-", "none"]}, COMMA.replace("b,,", "b,-,")[:-1] + "none\n", "p.csv",
    ),
    "thousands of nothing": ({"thousands": "'"}, COMMA, "p.csv"),
    "declared default": ({"delimiter": ",", "header": True}, COMMA, "p.csv"),
    "types": ({"columns": COLUMNS}, COMMA, "p.csv"),
    "no header": ({"header": False, "columns": COLUMNS}, COMMA.partition("\n")[2], "p.csv"),
}  # fmt: skip

SEEMS = {
    "semicolon": (SEMICOLON, "p.csv", ("semicolon", "delimiter: ';'")),
    "semicolon, decimal comma": (SEMICOLON.replace(".", ","), "p.csv", ("semicolon",)),
    "tab": (COMMA.replace(",", "\t"), "p.csv", ("tab", "delimiter: '\\t'")),
    "bar": (COMMA.replace(",", "|"), "p.csv", ("bar",)),
    "line for Excel": ("sep=;\n" + SEMICOLON, "p.csv", ("sep=", "Take that line out")),
    "line for Excel, quoted": ('"sep=,"\r\n' + COMMA, "p.csv", ("sep=",)),
    "UTF-16": (COMMA.encode("utf-16"), "p.csv", ("encoding", "utf-16")),
    "UTF-16 without a mark": (COMMA.encode("utf-16-le"), "p.csv", ("encoding", "utf-16")),
    "UTF-32": (COMMA.encode("utf-32"), "p.csv", ("encoding", "utf-32")),
    "Latin-1": (COMMA.replace("u", "ü").encode("latin-1"), "p.csv", ("encoding", "column 't'")),
    "gzip without its suffix": (gzip.compress(COMMA.encode()), "p.csv", ("gzip", ".csv.gz")),
    "suffix of gzip alone": (COMMA, "p.csv.gz", ("gzip", "content does not")),
    "suffix of zstd on gzip": (gzip.compress(COMMA.encode()), "p.csv.zst", ("zstd",)),
    "half a gzip": (gzip.compress(COMMA.encode() * 99)[:-20], "p.csv.gz", ("no complete gzip",)),
    "half a zstd": (zstd(COMMA.encode() * 99)[:-5], "p.csv.zst", ("no complete zstd",)),
    "tab-separated name": (COMMA.replace(",", "\t"), "p.tsv", ("delimiter", "section csv")),
    "decimal commas in quotes": ('id,x\na,"1,5"\nb,"2,5"\n', "p.csv", ("decimal", "column 'x'")),
    "thousands in quotes": ('id,x\na,"1,500"\nb,20\n', "p.csv", ("thousands", "column 'x'")),
    "no header": ("5.1,3.5,a\n4.9,3.0,b\n", "p.csv", ("header: false",)),
    "no header, dates": ("a,2026-01-31\nb,2026-02-01\n", "p.csv", ("header: false",)),
    "long numbers": ("id,n\na,12345678901234567890\nb,1\n", "p.csv", ("column 'n'", "string")),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_dialect_is_read_as_declared(tmp_path, name):
    section, content, file = HARMLESS[name]
    assert read(put(tmp_path, content, file), declared(**section)).to_pylist() == ROWS


@pytest.mark.parametrize("name", SEEMS)
def test_evidently_other_file_is_refused_with_what_to_declare(tmp_path, name):
    content, file, words = SEEMS[name]
    with pytest.raises(SluicegateError) as caught:
        read(put(tmp_path, content, file))
    assert [word for word in words if word not in str(caught.value)] == []
    assert file in str(caught.value)


@pytest.mark.parametrize(
    ("section", "content", "rows"),
    [
        ({"delimiter": ","}, "a;b\n1;2\n3;4\n", [{"a;b": "1;2"}, {"a;b": "3;4"}]),
        ({"header": True}, "5.1,3.5\n4.9,3.0\n", [{"5.1": 4.9, "3.5": 3.0}]),
        ({"columns": {"x": "string"}}, 'x,y\n"1,5",2\n', [{"x": "1,5", "y": 2}]),
        (
            {"columns": {"n": "string"}},
            "n\n12345678901234567890\n",
            [{"n": "12345678901234567890"}],
        ),
    ],
)
def test_whoever_declares_what_was_doubted_is_believed(tmp_path, section, content, rows):
    assert read(put(tmp_path, content), declared(**section)).to_pylist() == rows


@pytest.mark.parametrize(
    "content",
    [
        "2019,2020,2021\n1,2,3\n",  # years
        "0,1,10,11,2\n5,5,5,5,5\n",  # pixels, in the order of text
        ",x\n0,1.5\n1,2.5\n",  # an index of pandas
        "text\nfirst; then\nsecond\n",
        "a,b\n1;2,x\n3;4,y\n",
        "x,y\n6.02e23,1\n1e300,2\n",
        'x,note\n1,"two\nlines, and ; more"\n',
    ],
)
def test_honest_file_is_not_doubted(tmp_path, content):
    assert read(put(tmp_path, content)).num_rows


def test_leading_zeros_stay_where_they_are_declared_as_text(tmp_path):
    path = put(tmp_path, "zip,n\n01234,007\n98765,1\n")
    found = read(path, declared(columns={"zip": "string"}))
    assert found.to_pylist() == [{"zip": "01234", "n": 7}, {"zip": "98765", "n": 1}]


def test_numbers_of_another_style_keep_their_value(tmp_path):
    path = put(tmp_path, "n;x;p\n1.234;-1.234,5;0,10\n5;2,5;1.000,25\n")
    columns = {"n": "int64", "x": "float64", "p": "decimal(10,2)"}
    section = {"delimiter": ";", "decimal": ",", "thousands": "."}
    wanted = [
        {"n": 1234, "x": -1234.5, "p": Decimal("0.10")},
        {"n": 5, "x": 2.5, "p": Decimal("1000.25")},
    ]
    assert read(path, declared(**section, columns=columns)).to_pylist() == wanted
    inferred = read(path, declared(**section))
    assert inferred.schema.types == [pa.int64(), pa.float64(), pa.float64()]


@pytest.mark.parametrize("text", ["1.23,4", "12.34", "1,5,0", "1.2345,0", "words"])
def test_number_that_is_none_in_the_dialect_is_refused_by_row(tmp_path, text):
    path = put(tmp_path, f"id;x\na;1,5\nb;{text}\n")
    section = {"delimiter": ";", "decimal": ",", "thousands": ".", "columns": {"x": "float64"}}
    with pytest.raises(SluicegateError, match=r"row 2, column 'x'") as caught:
        read(path, declared(**section))
    assert text not in str(caught.value).replace("column 'x'", "")


@pytest.mark.parametrize("section", [{}, {"columns": {"id": "string"}}])
@pytest.mark.parametrize("cell", ["", '""'])
def test_empty_text_is_missing(tmp_path, section, cell):
    path = put(tmp_path, f"id,n\n{cell},1\nb,2\n")
    assert read(path, declared(**section))["id"].null_count == 1


def test_file_with_another_type_names_column_and_both_types(tmp_path):
    put(tmp_path, "code,x\n01,1\n", "a.csv")
    put(tmp_path, "code,x\nA1,2.5\n", "b.csv")
    with pytest.raises(UnreadableData, match=r"b\.csv: column 'code'.*int64, as in a\.csv"):
        read(tmp_path)
    found = read(tmp_path, declared(columns={"code": "string"}))
    assert found.to_pylist() == [{"code": "01", "x": 1.0}, {"code": "A1", "x": 2.5}]


def test_small_packed_file_that_unpacks_to_much_is_refused(tmp_path):
    path = put(tmp_path, gzip.compress(b"x\n" + b"1\n" * 50_000_000, 1), "p.csv.gz")
    with pytest.raises(UnreadableData, match="decodes to more than"):
        read(path, limits=Limits(max_decoded_bytes=10_000_000))


@pytest.mark.parametrize(
    "content",
    [
        f"id;x\n{SECRET};12,50\n",
        f'id,x\n{SECRET},"1,5"\n',
        f"id,x\n{SECRET},1\n{SECRET}\n",
        f"id,x\nü{SECRET},1\n".encode("latin-1"),
        f"{SECRET},2026-01-31\n{SECRET},2026-01-31\n",
        f"id,n\n{SECRET},12345678901234567890\n",
    ],
)
def test_refusal_shows_no_value_of_a_row(tmp_path, content):
    with pytest.raises(SluicegateError) as caught:
        read(put(tmp_path, content))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "section",
    [
        {"delimiter": ";;"}, {"delimiter": "a"}, {"delimiter": 5}, {"encoding": "rot13"},
        {"encoding": "nosuch"}, {"encoding": "utf-7"}, {"header": "no"}, {"header": False},
        {"decimal": "x"}, {"decimal": ","}, {"thousands": ","}, {"quote": "<"}, {"missing": "NA"},
        {"columns": ["a"]}, {"columns": {"a": 5}}, {"sep": ";"}, [], "text",
        {"delimiter": ";", "decimal": ",", "thousands": ","},
    ],
)  # fmt: skip
def test_dialect_that_makes_no_sense_is_called_wrongly(section):
    with pytest.raises(ConfigError, match=r"schema\.yaml: csv"):
        CsvDialect.from_mapping(section, locator="schema.yaml")


@pytest.mark.parametrize(
    "field", ["delimiter", "quote", "decimal", "encoding", "header", "missing"]
)
def test_message_about_a_dialect_never_holds_what_was_written(field):
    with pytest.raises(ConfigError) as caught:
        CsvDialect.from_mapping({field: SECRET}, locator="schema.yaml")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", HARMLESS)
def test_dialect_survives_its_own_spelling(name):
    dialect = declared(**HARMLESS[name][0])
    spelled = json.loads(json.dumps(dialect.to_json()))
    assert CsvDialect.from_mapping(spelled, locator="x") == dialect


def test_schema_without_a_section_is_spelled_as_before():
    assert "csv" not in BatchSchema(id="id").to_json()
    schema = BatchSchema.from_mapping({"id": "id", "csv": {"delimiter": ";"}})
    assert BatchSchema.from_mapping(schema.to_json()) == schema


def test_locator_binds_the_dialect_to_what_is_sealed(tmp_path):
    path = put(tmp_path, SEMICOLON.replace(".", ","))
    dialect = declared(delimiter=";", decimal=",", columns=COLUMNS)
    rows = open_rows(text_location(str(path), dialect))
    assert pa.Table.from_batches(rows.batches()).to_pylist() == ROWS
    assert open_rows(rows.location) == rows
    assert '"delimiter":";"' in rows.location


@pytest.mark.parametrize("where", ["", "/*.csv", "/**/*.csv*"])
def test_locator_of_declared_text_may_name_a_directory_or_glob(tmp_path, where):
    put(tmp_path, COMMA, "a.csv")
    put(tmp_path, COMMA, "b.csv")
    found = open_rows(f"csv:{tmp_path}{where}#{json.dumps(COLUMNS)}")
    assert pa.Table.from_batches(found.batches()).to_pylist() == [*ROWS, *ROWS]


def test_file_of_another_kind_beside_declared_ones_is_refused(tmp_path):
    put(tmp_path, COMMA, "a.csv")
    put(tmp_path, "x", "README")
    with pytest.raises(UnreadableData, match=r"README.*another kind"):
        list(open_rows(f"csv:{tmp_path}#{json.dumps(COLUMNS)}").batches())


def test_packed_json_lines_are_read(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    path = put(tmp_path, gzip.compress(lines.encode()), "p.jsonl.gz")
    found = open_rows(text_location(str(path), declared(columns=COLUMNS)))
    assert pa.Table.from_batches(found.batches()).to_pylist() == ROWS


@pytest.mark.parametrize("name", HARMLESS)
def test_verified_bytes_are_read_as_the_file_is(name):
    section, content, file = HARMLESS[name]
    data = memoryview(content if isinstance(content, bytes) else content.encode())
    files = TableFiles(dialect=declared(**section))
    assert files.table([(file, data)]).to_pylist() == ROWS
