"""Bad batches of issue 2, through the command line: refused by name, and nothing is lost."""

from __future__ import annotations

import os
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.conftest import BAD, UNCHECKED, admitted
from tests.unit.workflow.conftest import flipped, rows, write

from sluicegate.cli.options import now


def require_no_row(refusal):
    """Row ids of these batches are "<seed>-<number>"."""
    assert not re.findall(r"(?<![\w.:-])[2-9]-\d{1,4}(?![\w.:-])", refusal.text)


# Files that cannot be read -------------------------------------------------------------------


def missing(root):
    return root / "nowhere"


def no_file(root):
    (root / "bad").mkdir()
    return root / "bad"


def empty_file(root):
    no_file(root)
    (root / "bad" / "part.parquet").touch()
    return root / "bad"


def truncated(root):
    path = write(rows(5), root / "bad") / "part.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    return root / "bad"


def half(root):
    path = write(rows(5), root / "bad") / "part.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return root / "bad"


def damaged_in_the_middle(root):
    path = write(rows(5), root / "bad") / "part.parquet"
    data = bytearray(path.read_bytes())
    data[200:4000] = bytes(3800)
    path.write_bytes(data)
    return root / "bad"


def not_parquet(root):
    no_file(root)
    (root / "bad" / "part.parquet").write_text("id,label\n5-1,0\n" * 50)
    return root / "bad"


def zero_rows(root):
    return write(rows(5).slice(0, 0), root / "bad")


def differing_files(root):
    write(rows(5), root / "bad")
    rest = rows(6)
    words = pa.array(["word"] * rest.num_rows)
    rest = rest.set_column(rest.schema.get_field_index("y"), "y", words)
    pq.write_table(rest, root / "bad" / "rest.parquet")
    return root / "bad"


@pytest.mark.parametrize(
    "make",
    [
        missing,
        no_file,
        empty_file,
        truncated,
        half,
        damaged_in_the_middle,
        not_parquet,
        zero_rows,
        differing_files,
    ],
)
def test_batch_that_cannot_be_read_could_not_be_checked(site, gate, history, make):
    batch = make(site.root)
    refusal = gate("--seal", batch)
    name = "nowhere" if make is missing else "bad"
    refusal.require(UNCHECKED, "DATA_UNREADABLE", next_step=make is not empty_file)
    assert name in refusal.text or "part.parquet" in refusal.text or "rest.parquet" in refusal.text
    require_no_row(refusal)
    # Either the batch was never sealed, and the earlier one stands, or it is and has no verdict.
    assert admitted(site) == (history if make in {missing, no_file} else None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_batch_without_permission_could_not_be_checked(site, gate, history):
    batch = write(rows(5), site.root / "bad")
    (batch / "part.parquet").chmod(0)
    gate("--seal", batch).require(UNCHECKED, "DATA_UNREADABLE", "part.parquet")


def test_batch_that_vanished_after_its_seal_could_not_be_checked(site, gate, history):
    batch = write(rows(5), site.root / "bad")
    site.seal(batch)
    shutil.rmtree(batch)
    gate().require(UNCHECKED, "DATA_UNREADABLE", "bad")
    assert admitted(site) is None


# Content that is bad -------------------------------------------------------------------------


def replaced(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


def no_label(table):
    return table.drop_columns(["label"])


def all_null(table):
    return replaced(table, "x", pa.nulls(table.num_rows, pa.float64()))


def all_null_label(table):
    return replaced(table, "label", pa.nulls(table.num_rows, pa.int8()))


def new_class(table):
    labels = np.array(table["label"].to_pylist(), dtype="int8")
    labels[:200] = 7
    return replaced(table, "label", pa.array(labels))


def text_for_numbers(table):
    return replaced(table, "x", pa.array([f"5-{n}" for n in range(table.num_rows)]))


@pytest.mark.parametrize(
    "case",
    [
        (no_label, "SCHEMA", "label"),
        (all_null, "COMPLETENESS", "x"),
        (all_null_label, "COMPLETENESS", "label"),
        (new_class, "LABEL_NEW_CLASS", "label"),
        (text_for_numbers, "SCHEMA", "x"),
        (lambda table: flipped(table, "c1"), "LABEL_FLIPS", "label"),
    ],
    ids=["no label", "all-null column", "all-null label", "new class", "text", "flipped"],
)
@pytest.mark.parametrize("suite", [False, True], ids=["direct", "suite"])
@pytest.mark.usefixtures("history")
def test_batch_with_bad_content_is_blocked_by_name(site, gate, case, suite, request):
    change, signal, column = case
    batch = write(change(rows(5)), site.root / "bad")
    path = request.config.rootpath / "expectations" / "flights.json"
    refusal = gate("--seal", batch, *(["--suite", path] if suite else []))
    refusal.require(BAD, "GATE_BLOCKED", "src@", signal, column)
    require_no_row(refusal)
    assert admitted(site) is None


# Files that change ---------------------------------------------------------------------------


@pytest.fixture
def writer(monkeypatch):
    """Append one byte to a file while somebody else is in the middle of reading it."""

    def disturb(path):
        done = []

        def growing(read):
            def grow_then_return(descriptor, *rest):
                result = read(descriptor, *rest)
                if not done and os.fstat(descriptor).st_ino == path.stat().st_ino:
                    done.append(True)
                    with path.open("ab") as file:
                        file.write(b"x")
                return result

            return grow_then_return

        for name in ("read", "readv"):
            monkeypatch.setattr(os, name, growing(getattr(os, name)))
        return done

    return disturb


def test_file_that_grows_while_it_is_sealed_is_refused(site, gate, history, writer):
    batch = write(rows(5), site.root / "bad")
    done = writer(batch / "part.parquet")
    gate("--seal", batch).require(BAD, "CHANGED_DURING_READ", "part.parquet")
    assert done
    assert admitted(site) == history, "the batch was never sealed; the earlier one stands"


def test_file_that_grows_while_it_is_judged_is_refused(site, gate, history, writer):
    batch = write(rows(5), site.root / "bad")
    site.seal(batch, at=now())
    done = writer(batch / "part.parquet")
    gate().require(BAD, "CHANGED_DURING_READ", "part.parquet")
    assert done
    assert admitted(site) is None


def test_file_that_changed_after_its_seal_is_refused(site, gate, history):
    batch = write(rows(5), site.root / "bad")
    site.seal(batch, at=now())
    write(rows(6), batch)
    gate().require(BAD, "DIGEST_MISMATCH", "part.parquet", "Do not train on it")
    assert admitted(site) is None
