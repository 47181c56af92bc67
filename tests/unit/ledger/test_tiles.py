"""Static tiles: paths and sizes of the specification, and every damage of an export."""

from __future__ import annotations

import pytest

from sluicegate.adapters.ledgers.tile_files import (
    TileDirectory,
    export_tiles,
    read_tile,
    tile_place,
)
from sluicegate.errors import (
    BadProof,
    ConfigError,
    EvidenceMissing,
    LedgerCorrupt,
    LedgerError,
    Rollback,
    VerificationError,
)
from sluicegate.ledger.tiles import WIDTH, cut, tile_path, verify_tiles


def test_paths_are_those_of_the_specification():
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 273, 112) == "tile/entries/273.p/112"
    assert tile_path(2, 0, 1) == "tile/2/000.p/1"


@pytest.mark.parametrize(
    ("size", "full", "partial"),
    [
        (0, {}, {}),
        (255, {0: 0}, {0: 255}),
        (256, {0: 1}, {1: 1}),
        (70_000, {0: 273, 1: 1}, {0: 112, 1: 17, 2: 1}),
    ],
)
def test_sizes_are_those_of_the_specification(size, full, partial):
    """The examples of tlog-tiles, section "Partial Tiles"."""
    tiles = {path: len(data) // 32 for path, data in cut(b"%d" % n for n in range(size))}
    tiles = {path: n for path, n in tiles.items() if "entries" not in path}
    for level in (0, 1, 2):
        mine = {path: n for path, n in tiles.items() if path.startswith(f"tile/{level}/")}
        assert sum(n == WIDTH for n in mine.values()) == full.get(level, 0)
        assert [n for n in mine.values() if n < WIDTH] == [
            n for at, n in partial.items() if at == level
        ]


@pytest.fixture
def exported(ledger, item, tmp_path):
    ledger.append_many([item(number) for number in range(600)])
    export_tiles(ledger, TileDirectory(tmp_path))
    return tmp_path


def test_export_verifies_and_grows(exported, ledger, item, verifier):
    assert verify_tiles(read_tile(TileDirectory(exported)), verifier).size == 600
    full = exported / tile_path(0, 0)
    written = full.stat().st_mtime_ns
    ledger.append_many([item(number) for number in range(600, 1100)])
    export_tiles(ledger, TileDirectory(exported))
    assert verify_tiles(read_tile(TileDirectory(exported)), verifier).size == 1100
    assert full.stat().st_mtime_ns == written
    assert not [path for path in exported.rglob(".*") if path.is_file()]


def test_every_damaged_or_missing_file_is_found(exported, verifier):
    for path in sorted(path for path in exported.rglob("*") if path.is_file()):
        good = path.read_bytes()
        for bad in (good[:-1], good[:-1] + bytes([good[-1] ^ 1]), good + b"x", b""):
            path.write_bytes(bad)
            with pytest.raises((LedgerCorrupt, BadProof, VerificationError)):
                verify_tiles(read_tile(TileDirectory(exported)), verifier)
        path.unlink()
        with pytest.raises(EvidenceMissing):
            verify_tiles(read_tile(TileDirectory(exported)), verifier)
        path.write_bytes(good)


def test_export_that_would_roll_back_what_was_published_is_refused(
    exported, store, ledger, item, verifier
):
    before = (exported / "checkpoint").read_bytes()
    store.state.note = ledger.checkpoint()
    state = store.state
    store.state = type(state)(note=state.note, leaves={}, bodies={}, nodes={})
    empty = type(ledger)(store, verifier)
    store.state.note = _empty(ledger)
    with pytest.raises(Rollback):
        export_tiles(empty, TileDirectory(exported))
    assert (exported / "checkpoint").read_bytes() == before


def _empty(ledger):
    from sluicegate.ledger.checkpoint import empty_checkpoint

    signer = ledger._signer
    return empty_checkpoint(signer.name, signer.public_key, signer)


def test_edited_leaves_are_not_published(ledger, store, item, tmp_path):
    ledger.append_many([item(number) for number in range(5)])
    store.state.leaves[2] = store.state.leaves[3]
    with pytest.raises(LedgerCorrupt, match="signed"):
        export_tiles(ledger, TileDirectory(tmp_path))
    assert not (tmp_path / "checkpoint").exists()


@pytest.fixture
def memory():
    """An object store in memory, empty before and after."""
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    yield MemoryFileSystem()
    MemoryFileSystem.store.clear()


def test_object_store_holds_the_files_of_the_directory(exported, ledger, verifier, memory):
    place = tile_place("memory://public/log")
    export_tiles(ledger, place)
    assert verify_tiles(read_tile(place), verifier).size == 600
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*")}
    files = {name for name in names if (exported / name).is_file()}
    assert {path.removeprefix("/public/log/") for path in memory.find("/public/log")} == files
    for name in files:
        assert memory.cat_file(f"/public/log/{name}") == (exported / name).read_bytes()


def test_url_of_a_directory_is_the_directory(exported, verifier):
    assert verify_tiles(read_tile(tile_place(f"file://{exported}")), verifier).size == 600


@pytest.mark.parametrize("moment", ["first tile", "checkpoint"])
def test_object_store_that_fails_publishes_no_checkpoint(ledger, item, memory, moment, monkeypatch):
    """Its error text may quote a signed URL, so it is not shown."""
    ledger.append_many([item(number) for number in range(300)])
    pipe = type(memory).pipe_file

    def failing(self, path, value, **options):
        if moment == "first tile" or path.endswith("/checkpoint"):
            raise RuntimeError("https://store/?signature=s3cret")
        pipe(self, path, value, **options)

    monkeypatch.setattr(type(memory), "pipe_file", failing)
    with pytest.raises(LedgerError, match=r"\[LEDGER\].*cannot be written") as caught:
        export_tiles(ledger, tile_place("memory://public/log"))
    assert "s3cret" not in str(caught.value)
    assert not memory.exists("/public/log/checkpoint")
    monkeypatch.undo()
    export_tiles(ledger, tile_place("memory://public/log"))


def test_store_that_cannot_be_read_is_an_error_and_not_a_missing_tile(
    verifier, memory, monkeypatch
):
    def failing(*_, **__):
        raise PermissionError("s3cret")

    monkeypatch.setattr(type(memory), "cat_file", failing)
    with pytest.raises(LedgerError, match="cannot be read") as caught:
        verify_tiles(read_tile(tile_place("memory://public/log")), verifier)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://key:s3cret@bucket/log", "nonsense://place"])
def test_place_that_cannot_be_opened_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        tile_place(url)
    assert "s3cret" not in str(caught.value)
