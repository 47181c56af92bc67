"""Bad rows through `baseline build` and `check`: a clear error or a sane result."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

N = 600
PASSES, BLOCKED, UNCHECKED, CALLED_WRONGLY = 0, 1, 2, 64
SCHEMA = """
id: id
label: y
contributor: who
timestamp: at
text: [note]
embedding: [vector]
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


def rows(seed: int, n: int = N) -> pa.Table:
    """A clean batch with every kind of column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = ((x > 0) ^ (rng.random(n) < 0.1)).astype(int)
    words = rng.integers(0, 200, (n, 8)) + 40 * y[:, None]
    return pa.table(
        {
            "id": [f"{seed}-{i}" for i in range(n)],
            "at": [START + timedelta(minutes=i) for i in range(n)],
            "who": [f"c{i}" for i in rng.integers(0, 4, n)],
            "x": x,
            "count": rng.integers(0, 1000, n),
            "kind": [f"k{i}" for i in rng.integers(0, 5, n)],
            "note": [" ".join(f"w{w}" for w in own) for own in words.tolist()],
            "vector": pa.array((rng.normal(size=(n, 8)) + y[:, None]).tolist()),
            "y": y,
        }
    )


def put(name: str, values):
    """Return how to replace a column, of whatever type."""

    def change(table: pa.Table) -> pa.Table:
        made = values(table) if callable(values) else values
        array = made if isinstance(made, pa.Array) else pa.array(made)
        return table.set_column(table.schema.get_field_index(name), name, array)

    return change


def each(name: str, value):
    """Return how to give each row another value, from its number and its value."""
    return put(name, lambda t: [value(i, v) for i, v in enumerate(t[name].to_pylist())])


def some(name: str, new, step: int = 3):
    return each(name, lambda i, v: new if i % step == 0 else v)


def invalid_utf8(table: pa.Table) -> pa.Array:
    """Strings as a careless writer leaves them: nothing checks them on the way."""
    texts = [b"\xff\xfe w1" if i % 3 == 0 else b"w2 w3" for i in range(table.num_rows)]
    return pa.Array.from_buffers(pa.string(), len(texts), pa.array(texts, pa.binary()).buffers(), 0)


def times(unit: str, zone: str | None = None):
    return put("at", lambda t: t["at"].combine_chunks().cast(pa.timestamp(unit, zone)))


def twice(table: pa.Table) -> pa.Table:
    return pa.Table.from_arrays([*table.columns, table["x"]], names=[*table.column_names, "x"])


@dataclass(frozen=True)
class Case:
    """Rows, and what is said of them.

    Attributes:
        change: What is done to a clean batch.
        failed: Signals that fail against a good baseline.
        blind: Signals that cannot judge then.
        refused: Code of the error, where the batch cannot be read at all.
        unbuilt: Code of the error, where no baseline can be built of such rows.
        own_blind: Signals that cannot judge such rows against a baseline of such rows.
        may_fail: Signals on whose edge such rows lie: which side depends on the processor's sums.
    """

    change: Callable[[pa.Table], pa.Table]
    failed: str = ""
    blind: str = ""
    refused: str = ""
    unbuilt: str = ""
    own_blind: str = ""
    may_fail: str = ""


WHOLE_ROWS = "DUPLICATES LABEL_CONFLICTS REDELIVERY"
LABELS = (
    "CONTRIBUTOR_LABEL_SKEW LABEL_CONFLICTS LABEL_FLIPS LABEL_NEW_CLASS LABEL_PRIOR LABEL_TRUSTED"
)
TRIGGERS = "DICTIONARY TRIGGER_PAIRS TRIGGER_TOKENS TRIGGER_VALUES"
CONTRIBUTORS = "CONTRIBUTOR_FLOOD CONTRIBUTOR_LABEL_SKEW CONTRIBUTOR_NEW"
VECTOR = put("vector", [[0.5] * (i % 9) for i in range(N)])
UNKNOWN_TYPE = f"COMPLETENESS DRIFT_NUMERIC {WHOLE_ROWS}"
"""The other signals judge the columns that are left."""
CASES = {
    "as it should be": Case(lambda t: t),
    "constant": Case(put("x", [1.0] * N)),
    "no rows": Case(lambda t: t.slice(0, 0), refused="DATA_UNREADABLE", unbuilt="DATA_UNREADABLE"),
    "one row": Case(
        lambda t: t.slice(0, 1),
        blind=f"{UNKNOWN_TYPE} {LABELS} {TRIGGERS} CONTRIBUTOR_FLOOD DRIFT_CATEGORICAL DRIFT_TEXT "
        "OUTLIERS TIME_BURST".replace(" LABEL_NEW_CLASS", ""),
        unbuilt="DATA_INSUFFICIENT",
    ),
    "all null": Case(put("x", pa.nulls(N, pa.float64())), "COMPLETENESS", "DRIFT_NUMERIC"),
    "of no type": Case(put("x", pa.nulls(N)), "COMPLETENESS", "DRIFT_NUMERIC"),
    "infinite": Case(some("x", float("inf")), "COMPLETENESS"),
    "not a number": Case(some("x", float("nan")), "COMPLETENESS"),
    "huge integers": Case(put("count", [2**63 - 1 - i for i in range(N)])),
    "unsigned beyond int64": Case(
        put("count", pa.array([2**64 - 1 - i for i in range(N)], pa.uint64()))
    ),
    "words among numbers": Case(
        each("x", lambda i, v: "many" if i % 7 == 0 else str(v)), "SCHEMA", UNKNOWN_TYPE
    ),
    "nested": Case(
        put("x", [{"a": [i, None]} for i in range(N)]),
        "SCHEMA",
        UNKNOWN_TYPE,
        own_blind="DRIFT_CATEGORICAL",
    ),
    "named twice": Case(twice, "SCHEMA", UNKNOWN_TYPE, unbuilt="DATA_SCHEMA"),
    "one class": Case(
        put("y", [1] * N),
        "CONTRIBUTOR_LABEL_SKEW DICTIONARY LABEL_FLIPS",
        own_blind="CONTRIBUTOR_LABEL_SKEW LABEL_FLIPS",
    ),
    "ten thousand classes": Case(
        lambda t: put("y", list(range(10, 10_010)))(rows(5, 10_000)),
        "LABEL_NEW_CLASS",
        may_fail="OUTLIERS",
        blind=f"CONTRIBUTOR_LABEL_SKEW LABEL_FLIPS {TRIGGERS}",
        unbuilt="CONFIG",
    ),
    "labels missing": Case(
        lambda t: t.drop_columns(["y"]),
        "SCHEMA",
        f"COMPLETENESS {TRIGGERS} {LABELS}",
        unbuilt="CONFIG",
    ),
    "labels null": Case(
        put("y", pa.nulls(N, pa.int64())), "COMPLETENESS", f"{LABELS} {TRIGGERS}", own_blind=LABELS
    ),
    # The id names rows in reports and nothing else: repeated ones make reports vague.
    "ids repeated": Case(put("id", ["same"] * N)),
    "ids null": Case(put("id", pa.nulls(N, pa.string())), "COMPLETENESS"),
    "contributor null": Case(
        put("who", pa.nulls(N, pa.string())),
        "COMPLETENESS",
        CONTRIBUTORS,
        own_blind=CONTRIBUTORS,
    ),
    "contributor partly null": Case(some("who", None), "COMPLETENESS"),
    "times of another zone": Case(times("us", "Asia/Tokyo")),
    "times without a zone": Case(times("us")),
    "times unordered": Case(put("at", lambda t: t["at"].combine_chunks()[::-1])),
    "times of the future": Case(put("at", [START + timedelta(days=36_500 + i) for i in range(N)])),
    "times as text": Case(
        each("at", lambda _, v: v.isoformat()), "SCHEMA", "COMPLETENESS ROW_COUNT TIME_BURST"
    ),
    "ten megabytes in a text": Case(some("note", "w1 w2 " * 1_700_000, step=N)),
    "invalid UTF-8": Case(
        put("note", invalid_utf8), refused="DATA_UNREADABLE", unbuilt="DATA_UNREADABLE"
    ),
    "right to left": Case(some("note", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd")),
    "vectors of changing length": Case(VECTOR, "COMPLETENESS", may_fail="LABEL_FLIPS"),
    "vectors null": Case(
        put("vector", pa.nulls(N, pa.list_(pa.float64()))),
        "COMPLETENESS",
        "DRIFT_NUMERIC",
    ),
    "vectors of words": Case(put("vector", [["a"] * 8] * N), "SCHEMA", UNKNOWN_TYPE),
}


@dataclass(frozen=True)
class Said:
    """What a command gave."""

    exit_code: int
    text: str
    found: dict | None = None

    def codes(self, status: str) -> set[str]:
        return {r["code"] for r in self.found["signals"] if r["status"] == status}

    def require_refused(self, code: str) -> None:
        assert self.exit_code in (UNCHECKED, CALLED_WRONGLY), self.text
        assert f"[{code}]" in self.text
        assert self.found is None


class Place:
    """A directory, and the two commands."""

    def __init__(self, root, capsys):
        self.root, self.capsys = root, capsys

    def run(self, *arguments) -> tuple[int, str]:
        self.capsys.readouterr()
        code = main(list(map(str, arguments)))
        printed = self.capsys.readouterr()
        text = printed.out + printed.err
        assert "internal error" not in text
        assert "Traceback" not in text
        return code, text

    def write(self, table: pa.Table, name: str):
        pq.write_table(table, self.root / f"{name}.parquet")
        return self.root / f"{name}.parquet"

    def build(self, table: pa.Table) -> Said:
        shutil.rmtree(self.root / "own", ignore_errors=True)
        data, roles = self.write(table, "trusted"), self.root / "schema.yaml"
        roles.write_text(SCHEMA, encoding="utf-8")
        return Said(
            *self.run("baseline", "build", data, "--schema", roles, "--out", self.root / "own")
        )

    def check(self, table: pa.Table, baseline) -> Said:
        data, out = self.write(table, "batch"), self.root / "out.json"
        out.unlink(missing_ok=True)
        options = ["--json", out, "--rows", self.root / "rows.parquet", "--report"]
        said = self.run("check", data, "--baseline", baseline, *options, self.root / "page.html")
        return Said(*said, json.loads(out.read_text(encoding="utf-8")) if out.exists() else None)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A baseline of clean rows."""
    root = tmp_path_factory.mktemp("good")
    (root / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    pq.write_table(rows(1, 2000), root / "trusted.parquet")
    called = ["baseline", "build", root / "trusted.parquet", "--out", root / "baseline"]
    assert main([*map(str, called), "--schema", str(root / "schema.yaml")]) == 0
    return root / "baseline"


@pytest.fixture
def place(tmp_path, capsys):
    return Place(tmp_path, capsys)


@pytest.mark.parametrize("name", CASES)
def test_bad_rows_against_a_good_baseline(place, good, name):
    case = CASES[name]
    said = place.check(case.change(rows(2)), good)
    if case.refused:
        said.require_refused(case.refused)
        return
    assert said.codes("FAILED") - set(case.may_fail.split()) == set(case.failed.split())
    assert said.codes("NOT_EVALUATED") == set(case.blind.split())
    blocked = bool(case.failed or case.blind)
    assert said.exit_code == (BLOCKED if blocked else PASSES)
    assert (said.found["verdict"] == "FAILED") is blocked


@pytest.mark.parametrize("name", CASES)
def test_baseline_of_bad_rows_judges_more_of_them(place, name):
    """What a source always was raises nothing; what cannot be judged says so, and blocks."""
    case = CASES[name]
    built = place.build(case.change(rows(3)))
    if case.unbuilt:
        built.require_refused(case.unbuilt)
        return
    assert built.exit_code == 0, built.text
    said = place.check(case.change(rows(4)), place.root / "own")
    assert said.codes("FAILED") == set()
    assert said.codes("NOT_EVALUATED") == set(case.own_blind.split())
    assert said.exit_code == (BLOCKED if case.own_blind else PASSES)


# Baselines that do not belong -------------------------------------------------------------------


def test_baseline_of_another_schema_blocks_by_name(place, good):
    other = rows(2).rename_columns([f"{name}s" for name in rows(2, 1).column_names])
    said = place.check(other, good)
    assert said.exit_code == BLOCKED
    assert said.codes("FAILED") == {"SCHEMA"}
    assert said.codes("PASSED") == {"UNJUDGED"}  # every file was read


def changed_baseline(place, good, change):
    """Copy a baseline with other bytes in it."""
    copy = place.root / "copy"
    shutil.copytree(good, copy)
    [file] = copy.glob("*.json")
    before = file.read_bytes()
    after = change(before)
    assert after != before
    file.write_bytes(after)
    return copy


def test_baseline_of_another_version_asks_for_a_rebuild(place, good):
    copy = changed_baseline(place, good, lambda b: b.replace(b"profile/v3", b"profile/v1"))
    said = place.check(rows(2), copy)
    said.require_refused("CONFIG")
    assert "unknown version" in said.text


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_baseline_edited_by_one_byte_is_refused_or_named_by_another_digest(place, good, share):
    """A checker who has no key sees the digest; the gate refuses it by the signature."""
    honest = place.check(rows(2), good).found["baseline"]

    def edit(body: bytes) -> bytes:
        at = int(share * len(body))
        return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    said = place.check(rows(2), changed_baseline(place, good, edit))
    if said.found is None:
        assert said.exit_code in (BLOCKED, UNCHECKED, CALLED_WRONGLY)
        assert "[" in said.text
    else:
        assert said.found["baseline"] != honest
