"""`sluicegate ledger export --tiles` into a directory and into an object store."""

from __future__ import annotations

import json

import pytest

from sluicegate.cli.main import main


@pytest.fixture
def home(tmp_path, monkeypatch, capsys):
    """A ledger of its own key."""
    monkeypatch.delenv("SLUICEGATE_HOME", raising=False)
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True, mode=0o700)
    for role in ("ledger", "source"):
        alg = ["--alg", "ed25519"]
        assert main(["keygen", "--out", str(tmp_path / role), *alg]) == 0
    (tmp_path / "ledger" / "key.pem").rename(home / "keys" / "ledger.pem")
    keys = [
        part
        for role in ("ledger", "source")
        for part in ("--key", f"{role}={tmp_path / role / 'key.pub.pem'}")
    ]
    assert main(["trust", "init", *keys, "--out", str(home / "trust.json")]) == 0
    assert main(["ledger", "init", "--home", str(home)]) == 0
    capsys.readouterr()
    return home


@pytest.fixture
def store():
    """An object store in memory."""
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    yield MemoryFileSystem()
    MemoryFileSystem.store.clear()


def test_directory_and_store_get_the_same_verified_export(home, store, tmp_path, capsys):
    export = ["ledger", "export", "--home", str(home), "--tiles", "--json", "--out"]
    for out in (str(tmp_path / "log"), "memory://public/log"):
        assert main([*export, out]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["out"], said["size"]) == (out, 0)
    published = (tmp_path / "log" / "checkpoint").read_bytes()
    assert store.cat_file("/public/log/checkpoint") == published


def test_store_that_holds_another_ledger_is_not_overwritten(home, store, capsys):
    store.pipe_file("/public/log/checkpoint", b"somebody else's")
    export = ["ledger", "export", "--home", str(home), "--tiles", "--out"]
    assert main([*export, "memory://public/log"]) == 1
    assert store.cat_file("/public/log/checkpoint") == b"somebody else's"


@pytest.mark.parametrize("action", [["checkpoint"], ["prove", "0"], ["export", "--source", "x"]])
def test_only_tiles_go_to_a_url(home, action, capsys):
    assert main(["ledger", *action, "--home", str(home), "--out", "memory://public/log"]) == 64
    assert "only tiles" in capsys.readouterr().err


def test_url_with_credentials_is_refused_without_quoting_them(home, capsys):
    out = "s3://key:s3cret@bucket/log"
    assert main(["ledger", "export", "--home", str(home), "--tiles", "--out", out]) == 64
    assert "s3cret" not in capsys.readouterr().err
