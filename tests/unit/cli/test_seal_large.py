"""Sealing in parts and sealing again, through the command line."""

from __future__ import annotations

import json
import os

import pytest

from sluicegate.cli import main as cli
from sluicegate.workflow.evidence import large
from sluicegate.workflow.sealing.incremental import STATE_FILE


@pytest.fixture
def work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(40):
        (tmp_path / "data").mkdir(exist_ok=True)
        path = tmp_path / "data" / f"f{number:02}"
        path.write_bytes(b"%d" % number)
        os.utime(path, ns=(0, 0))
    assert cli.main(["keygen", "--out", "k"]) == 0
    assert cli.main(["trust", "init", "--key", "source=k/key.pub.pem", "--out", "t.json"]) == 0
    capsys.readouterr()
    return tmp_path


def seal(*more):
    return cli.main(["seal", "data", "--name", "big", "--key", "k/key.pem", *more, "--json"])


def verify(*more):
    return cli.main(["verify", "ev", "data", "--trust", "t.json", *more])


def test_large_seal_verifies_whole_or_in_part(work, capsys):
    assert seal("--merkle", "--out", "ev") == 0
    assert json.loads(capsys.readouterr().out)["files"] == 40
    assert verify() == 0
    assert verify("--only", "f07", "--json") == 0
    assert "1 of 40 files match, 1 parts read" in capsys.readouterr().out
    (work / "data/f08").write_bytes(b"x")
    assert verify("--only", "f07") == 0
    assert verify("--only", "f08") == 1
    assert verify() == 1


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--name", "other"], 1),
        (["--remembered-version", "2"], 1),
        (["--require-ledger"], 2),
        (["--require-pq"], 1),
        (["--only", "nothing"], 1),
    ],
)
def test_demands_hold_for_a_large_seal_too(work, more, code):
    assert seal("--merkle", "--out", "ev") == 0
    assert verify(*more) == code


def test_index_or_envelope_that_was_edited_is_refused(work):
    assert seal("--merkle", "--out", "ev") == 0
    index = work / "ev" / large.MANIFEST_DIRECTORY / large.INDEX_FILE
    index.write_bytes(index.read_bytes().replace(b'"files":40', b'"files":39'))
    assert verify() == 1
    index.unlink()
    assert verify() == 2


def test_part_of_a_plain_seal_is_called_wrongly(work):
    assert seal("--out", "ev") == 0
    assert verify("--only", "f07") == 64


def test_incremental_seal_is_the_full_seal(work, capsys):
    first = ["--incremental", "state", "--trust", "t.json"]
    assert seal(*first, "--out", "ev1") == 0
    (work / "data/f01").write_bytes(b"other")
    assert seal(*first, "--out", "ev2") == 0
    assert seal("--out", "ev3") == 0
    digests = [json.loads(line)["digest"] for line in capsys.readouterr().out.splitlines()]
    assert digests[0] != digests[1] == digests[2]


def test_edited_state_is_no_state(work, capsys):
    """Whoever marks a changed file as unchanged only makes everything be read."""
    assert seal("--incremental", "state", "--trust", "t.json", "--out", "ev1") == 0
    state = work / "state" / STATE_FILE
    state.write_bytes(state.read_bytes() + b" ")
    (work / "data/f01").write_bytes(b"other")
    assert seal("--incremental", "state", "--trust", "t.json", "--out", "ev2") == 0
    assert seal("--out", "ev3") == 0
    digests = [json.loads(line)["digest"] for line in capsys.readouterr().out.splitlines()]
    assert digests[1] == digests[2]


def test_incremental_without_trust_is_called_wrongly(work):
    assert seal("--incremental", "state", "--out", "ev") == 64


@pytest.mark.parametrize("more", [(), ("--merkle",), ("--incremental", "st", "--trust", "t.json")])
def test_blake3_seal_verifies_until_a_byte_changes(work, capsys, more):
    assert seal("--hash", "blake3", "--out", "ev", *more) == 0
    assert json.loads(capsys.readouterr().out)["digest"].startswith("dirHash1-blake3:")
    assert cli.main(["digest", "data", "--hash", "blake3"]) == 0
    assert verify() == 0
    (work / "data" / "f07").write_bytes(b"8")
    assert verify() == 1


def test_state_of_another_hash_is_not_used(work, capsys):
    state = ("--incremental", "st", "--trust", "t.json")
    for number, algorithm in enumerate(["sha256", "blake3", "blake3"]):
        assert seal("--hash", algorithm, "--out", f"ev{number}", *state) == 0
    assert cli.main(["verify", "ev2", "data", "--trust", "t.json"]) == 0


def test_seals_of_different_hashes_cannot_be_compared(work, capsys):
    assert seal("--out", "a") == 0
    assert seal("--hash", "blake3", "--out", "b") == 0
    assert cli.main(["diff", "a", "b"]) == 64
    assert "different algorithms" in capsys.readouterr().err
