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
def test_edited_row_among_the_newest_is_found_and_an_older_one_by_the_audit(site, item, edits):
    with site.opened() as ledger:
        ledger.append_many([item(number) for number in range(17)])
        ledger.append_many([item("held", kind="quarantine")])
        ledger.append_many([item(number) for number in range(18, 30)])
        assert ledger.newest(20)[17].kind == "quarantine"
    site.edit(*edits)
    with site.reader() as ledger:
        with pytest.raises(LedgerCorrupt):
            ledger.newest(20)
        assert len(ledger.newest(4)) == 4
        assert ledger.examine().findings
