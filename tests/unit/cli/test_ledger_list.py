"""`ledger list` shows what was signed, or says that rows were edited; never an edited row."""

from __future__ import annotations

import json
import sqlite3

import pytest
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

from sluicegate.cli.main import main
from sluicegate.workflow.evidence.opening import open_evidence


@pytest.fixture
def sealed(site):  # noqa: F811 - the imported fixture
    site.seal(site.clean)
    return site


def listed(site, capsys, *more):  # noqa: F811 - a value
    capsys.readouterr()
    code = main(["ledger", "list", "--home", str(site.home.root), "--json", *more])
    out, err = capsys.readouterr()
    return code, (json.loads(out)["entries"] if code == 0 else None), err


def test_all_leaves_are_listed_in_order(sealed, capsys):
    code, entries, _ = listed(sealed, capsys)
    expected = open_evidence(sealed.home, at=AT).ledger.find(newest_first=False)
    assert code == 0
    assert [(e["index"], e["kind"], e["source"], e["subject"]) for e in entries] == [
        (str(r.index), r.entry.kind, r.entry.source, r.entry.subject) for r in expected
    ]
    assert listed(sealed, capsys, "--source", "src")[1] == entries
    assert listed(sealed, capsys, "--source", "other")[:2] == (0, [])


def test_empty_ledger_lists_nothing(site, capsys):  # noqa: F811
    assert listed(site, capsys)[:2] == (0, [])


EDITS = [
    "UPDATE stream SET source = 'other' WHERE kind = 'seal'",
    "UPDATE leaf SET stream = (SELECT id FROM stream WHERE id <> leaf.stream) WHERE idx = 0",
    "UPDATE leaf SET subject = (SELECT subject FROM leaf WHERE idx = 0) || x'00' WHERE idx = 1",
    "UPDATE leaf SET idx = idx + 7 WHERE idx = 1",
    "DELETE FROM leaf WHERE idx = 0",
    "DELETE FROM leaf WHERE idx = 1",
]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("source", [None, "src"])
def test_edited_row_is_not_shown(sealed, capsys, edit, source):
    connection = sqlite3.connect(sealed.home.ledger)
    connection.execute(edit)
    connection.commit()
    connection.close()
    code, _, err = listed(sealed, capsys, *([] if source is None else ["--source", source]))
    assert code == 1
    assert "[LEDGER_CORRUPT]" in err


@pytest.mark.parametrize(
    "command",
    [["history", "src"], ["uses", "src"], ["lineage", "--source", "src"]],
    ids=lambda c: c[0],
)
def test_list_without_a_hidden_row_is_refused_too(sealed, capsys, command):
    connection = sqlite3.connect(sealed.home.ledger)
    connection.execute("DELETE FROM leaf WHERE idx = 1")
    connection.commit()
    connection.close()
    assert main([*command, "--home", str(sealed.home.root)]) == 1
    assert "[LEDGER_CORRUPT]" in capsys.readouterr().err
