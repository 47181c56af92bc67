"""The published ledger in a real S3 server verifies, grows, and is never rolled back."""

from __future__ import annotations

import pytest
from ledger_stores import SqliteSite, make_item

from sluicegate.adapters.ledgers.tile_files import (
    TileDirectory,
    export_tiles,
    read_tile,
    tile_place,
)
from sluicegate.errors import EvidenceMissing, LedgerCorrupt, Rollback
from sluicegate.ledger.tiles import tile_path, verify_tiles

URL = "s3://training/public/log"


def test_tiles_in_s3_are_those_on_disk_and_verify(s3, tmp_path):
    with SqliteSite(tmp_path / "ledger.db").opened() as ledger:
        ledger.append_many([make_item(number) for number in range(600)])
        place, disk = tile_place(URL, filesystem=s3), TileDirectory(tmp_path / "log")
        assert export_tiles(ledger, place) == export_tiles(ledger, disk)
        assert verify_tiles(read_tile(place), ledger.verifier).size == 600
        ledger.append_many([make_item(number) for number in range(600, 700)])
        export_tiles(ledger, place)
        assert verify_tiles(read_tile(place), ledger.verifier).size == 700
        with SqliteSite(tmp_path / "younger.db").opened() as younger:
            younger.append(*make_item(0))
            with pytest.raises(Rollback):
                export_tiles(younger, place)
        key = f"training/public/log/{tile_path(0, 0)}"
        good = s3.cat_file(key)
        s3.pipe_file(key, good[:-1] + b"x")
        with pytest.raises(LedgerCorrupt):
            verify_tiles(read_tile(place), ledger.verifier)
        s3.rm_file(key)
        with pytest.raises(EvidenceMissing):
            verify_tiles(read_tile(place), ledger.verifier)
        export_tiles(ledger, place)
        assert verify_tiles(read_tile(place), ledger.verifier).size == 700
