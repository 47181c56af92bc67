"""CSV as R, SAS, Excel, PostgreSQL and shells write it: read, or refused with the reason."""

from __future__ import annotations

import csv
import lzma
import zipfile
from datetime import datetime
from io import BytesIO

import numpy as np
import pytest
from tests.attacks.everyday.world import fresh, put_column, some, text, trusted


def coded(table):
    """Orders with a code that looks like a number and a flag."""
    odd = np.array(table["age"].to_pylist()) % 2 == 1
    return put_column(
        put_column(table, "code", [np.where(odd, "01", "07").tolist()]), "flag", [odd.tolist()]
    )


BATCH = coded(fresh())
WORDS = {bool: lambda value: str(value).lower()}


def written(table=BATCH, **options):
    spell = {**WORDS, **options.pop("spell", {})}
    return text(table, spell=spell, **options)


PLAIN = written()
HEADER, _, BODY = PLAIN.partition("\n")


def each_line(change):
    """A change of each line, by its number from 0."""
    lines = PLAIN.splitlines()
    return "".join(change(i, line) + "\n" for i, line in enumerate(lines))


def amounts(spell, **options):
    values = [str(spell(v)) for v in BATCH["amount"].to_pylist()]
    return written(put_column(BATCH, "amount", [values]), **options)


def times(spell):
    return written(spell={datetime: spell})


def zipped():
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("p.csv", PLAIN)
    return out.getvalue()


READ = {
    "every text quoted, as write.csv of R": written(quoting=csv.QUOTE_NONNUMERIC),
    "everything quoted": written(quoting=csv.QUOTE_ALL),
    "mark of UTF-8 and quoted header": written(quoting=csv.QUOTE_ALL).encode("utf-8-sig"),
    "booleans of Excel": written(spell={bool: lambda value: str(value).upper()}),
    "booleans of Python": written(spell={bool: str}),
    "time with T": times(lambda value: value.isoformat()),
    "blank lines at the end": PLAIN + "\n\n",
    "lines of old Macs": PLAIN.replace("\n", "\r"),
    "exponents, as Excel shortens": amounts(lambda value: f"{value:.6E}"),
    "NA of R where a number is missing": amounts(
        lambda value: "NA" if value == BATCH["amount"][7].as_py() else value
    ),
    "#N/A of Excel": amounts(
        lambda value: "#N/A" if value == BATCH["amount"][7].as_py() else value
    ),
    "another order of columns": written(BATCH.select(BATCH.column_names[::-1])),
    "line end in a quoted cell": written(
        put_column(BATCH, "channel", [some(BATCH["channel"].to_pylist(), "web\n", 999)])
    ),
}


@pytest.mark.parametrize("name", READ)
def test_honest_file_passes(world, name):
    base = world.baseline("coded", lambda: {"p.csv": written(coded(trusted()))})
    world.check({"p.csv": READ[name]}, base).require_passed()


EXTRA = {
    "names of rows, as write.csv of R": each_line(lambda i, line: f'"{i or ""}",{line}'),
    "index of pandas": each_line(lambda i, line: f"{i - 1 if i else ''},{line}"),
    "delimiter at the end of each line": each_line(lambda _, line: f"{line},"),
}


@pytest.mark.parametrize("name", EXTRA)
def test_column_more_is_one_reason(world, name):
    base = world.baseline("coded", lambda: {"p.csv": written(coded(trusted()))})
    found = world.check({"p.csv": EXTRA[name]}, base)
    found.require_named("SCHEMA:")
    assert "1 extra column (not judged)" in found.said
    assert len(found.fired) == 1


REFUSED = {
    "write.csv2 of R": (
        amounts(lambda value: str(value).replace(".", ","), delimiter=";"), ("semicolon",),
    ),
    "Unicode text of Excel": (written(delimiter="\t").encode("utf-16"), ("encoding", "utf-16")),
    "line sep= of Excel": ("sep=;\n" + written(delimiter=";"), ("sep=", "delimiter")),
    "line sep= with a comma": ("sep=,\n" + PLAIN, ("sep=",)),
    "bars of SAP": (written(delimiter="|"), ("bar", "delimiter")),
    "tabs with a mark of UTF-8": (written(delimiter="\t").encode("utf-8-sig"), ("tab",)),
    "COPY of PostgreSQL without header": (BODY, ("no header", "header: false")),
    "decimal commas in quotes": (
        amounts(lambda value: str(value).replace(".", ",")), ("decimal", "column 'amount'"),
    ),
    "thousands in quotes": (
        amounts(lambda value: f"{value + 1000:,.2f}"), ("thousands", "column 'amount'"),
    ),
    "comment before the header": ("# exported on Monday\n" + PLAIN, ("p.csv",)),
    "count of rows at the end, as psql": (PLAIN + "(600 rows)\n", ("p.csv",)),
    "cut in the middle of a line": (PLAIN[:-20], ("p.csv",)),
    "cp1252 with a euro sign": (
        written(put_column(BATCH, "channel", [some(BATCH["channel"].to_pylist(), "€", 9)])).encode(
            "cp1252"
        ),
        ("encoding", "column 'channel'"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_dialect_is_refused_with_file_and_next_step(world, name):
    base = world.baseline("coded", lambda: {"p.csv": written(coded(trusted()))})
    content, words = REFUSED[name]
    found = world.check({"p.csv": content}, base)
    found.require_refused("p.csv", *words)
    assert "o1-" not in found.said, "the message holds a value of a row"


NAMED = {
    "point of SAS for a missing number": (
        amounts(lambda value: "." if value == BATCH["amount"][7].as_py() else value),
        "SCHEMA:amount",
    ),
    "currency": (amounts(lambda value: f"${value}"), "SCHEMA:amount"),
    "percent": (amounts(lambda value: f"{value}%"), "SCHEMA:amount"),
    "error of Excel": (
        amounts(lambda value: "#DIV/0!" if value == BATCH["amount"][7].as_py() else value),
        "SCHEMA:amount",
    ),
    "booleans of PostgreSQL": (written(spell={bool: lambda value: "ft"[value]}), "SCHEMA:flag"),
    "booleans of SAS and MySQL": (written(spell={bool: int}), "SCHEMA:flag"),
    "days of Germany": (times(lambda value: f"{value:%d.%m.%Y %H:%M:%S}"), "SCHEMA:ts"),
    "days of America": (times(lambda value: f"{value:%m/%d/%Y %I:%M %p}"), "SCHEMA:ts"),
    "seconds since 1970": (times(lambda value: int(value.timestamp())), "SCHEMA:ts"),
    "header again in the middle, as cat gives": (PLAIN + PLAIN, "SCHEMA:amount"),
    "blank behind each comma": (each_line(lambda _, line: line.replace(",", ", ")), "SCHEMA:age"),
    "header in upper case": (PLAIN.replace(HEADER, HEADER.upper(), 1), "SCHEMA:amount"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_column_of_another_type_or_name_is_named(world, name):
    base = world.baseline("coded", lambda: {"p.csv": written(coded(trusted()))})
    content, key = NAMED[name]
    found = world.check({"p.csv": content}, base)
    assert found.error is None, found.short
    assert found.verdict == "FAILED", found.short
    code, _, column = key.partition(":")
    assert any(code in said and column in said for said in found.said.splitlines()), found.short


PACKED = {"p.csv.zip": zipped(), "p.csv.xz": lzma.compress(PLAIN.encode()), "p.CSV.zip": zipped()}


@pytest.mark.parametrize("file", PACKED)
def test_packing_that_pandas_unpacks_and_nothing_here_reads_blocks(world, file):
    base = world.baseline("coded", lambda: {"p.csv": written(coded(trusted()))})
    found = world.check({"q.csv": PLAIN, file: PACKED[file]}, base)
    found.require_named("UNJUDGED:")
    assert file in found.said
