"""A seal that is killed while it writes leaves nothing that a rerun or a verifier trips over."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from sluicegate.cli.main import main
from sluicegate.errors import ConfigError
from sluicegate.workflow.exporting.aside import written_aside

# Killed at the last file that a folder gets, or at the manifest in parts before it.
DIES = """
import os, signal, sys
from pathlib import Path
from sluicegate.cli.main import main
def die(self, data, _write=Path.write_bytes):
    _write(self, data[: len(data) // 2] if self.name == {name!r} else data)
    if self.name == {name!r}:
        os.kill(os.getpid(), signal.SIGKILL)
Path.write_bytes = die
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["keygen", "--out", "k", "--alg", "ecdsa-p256"]) == 0
    assert main(["trust", "init", "--key", "source=k/key.pub.pem", "--out", "trust.json"]) == 0
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("seal.sigstore.json", []),
        ("evidence.intoto.jsonl", []),
        ("index.json", ["--merkle"]),
        ("seal.dsse.json", ["--merkle"]),
    ],
)
@pytest.mark.parametrize("existing", [False, True])
def test_killed_seal_is_repeated_and_verifies(work, name, more, existing):
    seal = ["seal", "data", "--name", "src", "--key", "k/key.pem", "--out", "out", *more]
    if existing:  # as the mounted root of a volume
        (work / "out").mkdir()
        (work / "out" / "lost+found").mkdir()
    done = subprocess.run([sys.executable, "-c", DIES.format(name=name), *seal], check=False)
    assert done.returncode == -signal.SIGKILL
    verify = ["verify", "out", "data", "--trust", "trust.json"]
    assert main(verify) == 2, "no evidence yet"
    assert main(seal) == 0
    assert main(verify) == 0
    assert main(seal) == 64, "evidence is never overwritten"


def test_folder_that_cannot_be_finished_is_gone(tmp_path):
    with pytest.raises(ConfigError), written_aside(tmp_path / "out") as folder:
        (folder / "no" / "such").mkdir()
    assert not list(tmp_path.iterdir())


def test_directory_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "out" / "proofs").mkdir(parents=True)
    (tmp_path / "out" / "proofs" / "mine").touch()
    with pytest.raises(ConfigError, match="something else"), written_aside(tmp_path / "out") as it:
        (it / "proofs").mkdir(parents=True)
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["proofs", "mine"]


def test_finished_folder_has_the_mode_that_any_directory_gets(tmp_path):
    (tmp_path / "usual").mkdir()
    with written_aside(tmp_path / "out") as folder:
        folder.mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode
