"""On every store: a row that is taken out or moved to another stream is not missed in silence."""

from __future__ import annotations

import pytest

from sluicegate.errors import LedgerCorrupt


@pytest.mark.parametrize(
    "edits",
    [
        ["DELETE FROM leaf WHERE idx = 17"],
        ["DELETE FROM leaf WHERE idx = 17", "DELETE FROM envelope WHERE idx = 17"],
        ["UPDATE leaf SET stream = (SELECT min(stream) FROM leaf) WHERE idx = 17"],
    ],
)
def test_edited_row_is_found_by_whoever_follows_from_before_it(site, item, edits):
    with site.opened() as ledger:
        before = ledger.append_many([item(number) for number in range(17)])[-1].checkpoint
        ledger.append_many([item("held", kind="quarantine")])
        after = ledger.append_many([item(number) for number in range(18, 30)])[-1].checkpoint
        seen = {}
        assert ledger.follow(before, seen.__setitem__) == after
        assert seen[17].kind == "quarantine"
        assert list(seen) == list(range(17, 30))
    site.edit(*edits)
    with site.reader() as ledger:
        with pytest.raises(LedgerCorrupt):
            ledger.follow(before, lambda *_: None)
        with pytest.raises(LedgerCorrupt):
            ledger.follow(after, lambda *_: None, whole=True)
        ledger.follow(after, lambda *_: None)
        assert ledger.examine().findings
