"""Missing texts as programs spell them: counted as missing, or named by another finding."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from tests.attacks.everyday.world import fresh, put_column, some, text, trusted


def noted(table):
    notes = [f"n{age % 5}" for age in table["age"].to_pylist()]
    free = [f"Mr. {age} of number {i}" for i, age in enumerate(table["age"].to_pylist())]
    return put_column(put_column(table, "note", [notes]), "who", [free])


BATCH = noted(fresh())
COLUMNS = ("note", "channel", "customer")


def lacking(*columns, with_=None):
    batch = BATCH
    for column in columns:
        batch = put_column(batch, column, [some(BATCH[column].to_pylist(), with_)])
    return batch


def require_each(found):
    assert found.verdict == "FAILED", found.short
    assert {*COLUMNS} <= {key.partition(":")[2] for key in found.fired}, sorted(found.fired)


def csv_base(world):
    return world.baseline("noted", lambda: {"p.csv": text(noted(trusted()))})


def parquet_base(world):
    return world.baseline("noted parquet", lambda: noted(trusted()))


COUNTED = {
    "nothing": lambda *columns: text(lacking(*columns)),
    "two quotes": lambda *columns: text(lacking(*columns, with_="@")).replace("@", '""'),
    "every cell quoted": lambda *columns: text(lacking(*columns), quoting=1),
    "lines of Windows": lambda *columns: text(lacking(*columns), lineterminator="\r\n"),
}
SPELLED = (
    "NA", "NULL", r"\N", "NaN", "nan", "None", "<NA>", "(null)", "#N/A", ".", "-", " ", "?", "NaT",
)  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_empty_cell_is_counted_as_missing(world, name):
    columns = (*COLUMNS, "who", "id")
    found = world.check({"p.csv": COUNTED[name](*columns)}, csv_base(world))
    found.require_named(*(f"COMPLETENESS:{column}" for column in columns))


@pytest.mark.parametrize("word", SPELLED)
def test_word_that_stands_for_missing_is_a_finding_of_its_column(world, word):
    found = world.check({"p.csv": text(lacking(*COLUMNS, with_=word))}, csv_base(world))
    require_each(found)


@pytest.mark.parametrize("word", SPELLED)
def test_declared_word_is_missing_in_every_column(world, word):
    roles = {
        "id": "id", "label": "y", "contributor": "customer", "timestamp": "ts",
        "csv": {"missing": list(SPELLED)},
    }  # fmt: skip
    base = world.baseline("noted words", lambda: {"p.csv": text(noted(trusted()))}, roles)
    found = world.check({"p.csv": text(lacking("note", "who", with_=word))}, base)
    found.require_named("COMPLETENESS:note", "COMPLETENESS:who")


def test_word_that_is_a_value_is_no_missing_one(world):
    """NA is Namibia, and None a surname: whoever has them in the baseline has them later."""

    def countries(table):
        codes = [("NA", "None", "DE")[age % 3] for age in table["age"].to_pylist()]
        return {"p.csv": text(put_column(table, "country", [codes]))}

    base = world.baseline("countries", lambda: countries(trusted()))
    found = world.check(countries(fresh()), base)
    found.require_passed()
    assert "column country: 0 % of values are missing" in found.said


IN_TABLES = {
    "null": None,
    "empty text, as Spark writes what was an empty cell": "",
    "blank": " ",
    "nan of pandas": "nan",
}


@pytest.mark.parametrize("name", IN_TABLES)
def test_missing_text_of_parquet_is_a_finding(world, name):
    require_each(world.check(lacking(*COLUMNS, with_=IN_TABLES[name]), parquet_base(world)))


TEXTS = [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.binary()]


@pytest.mark.parametrize("type_", TEXTS, ids=str)
def test_null_is_missing_in_every_type_of_text(world, type_):
    batch = lacking("note")
    values = batch["note"].combine_chunks()
    values = values.dictionary_encode() if pa.types.is_dictionary(type_) else values.cast(type_)
    found = world.check(put_column(batch, "note", values), parquet_base(world))
    found.require_named("COMPLETENESS:note")


@pytest.mark.parametrize("how", ["null", "absent key"])
def test_missing_text_of_json_lines_is_counted(world, how):
    rows = [
        {key: value for key, value in row.items() if how == "null" or value is not None}
        for row in lacking("note").to_pylist()
    ]
    lines = "".join(json.dumps(row, default=str) + "\n" for row in rows)
    world.check({"p.jsonl": lines}, parquet_base(world)).require_named("COMPLETENESS:note")
