"""What a statement says of rows is read as it was written, or refused."""

from __future__ import annotations

import base64

import pytest

from sluicegate.attest.sealed_table import SealedTable
from sluicegate.digest.table_hash import N_BUCKETS
from sluicegate.errors import MalformedEnvelope

TABLE = SealedTable((("id", "int"), ("label", "text")), 2, bytes(N_BUCKETS * 32))


@pytest.mark.parametrize("sketch", [None, {"cells": "AA=="}])
def test_statement_written_then_read_is_unchanged(sketch):
    table = SealedTable(TABLE.columns, TABLE.n_rows, TABLE.buckets, sketch)
    predicate = table.to_predicate()
    assert ("sketch" in predicate) == (sketch is not None)
    assert SealedTable.from_predicate(predicate, locator="seal") == table


OTHER = base64.b64encode(b"\1" * N_BUCKETS * 32).decode()


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"rows": 3}, "contradicts its buckets"),
        ({"buckets": OTHER}, "contradicts its buckets"),
        ({"algorithm": "tableHash2"}, "contradicts its buckets"),
        ({"digest": "0" * 64}, "contradicts its buckets"),
        ({"columns": [["id", "int"]]}, "contradicts its buckets"),
        ({"rows": True}, "missing or unknown"),
        ({"rows": -1}, "missing or unknown"),
        ({"rows": "2"}, "missing or unknown"),
        ({"extra": 1}, "missing or unknown"),
        ({"columns": [["label", "text"], ["id", "int"]]}, "not a sorted list"),
        ({"columns": [["id", "int"], ["id", "int"]]}, "not a sorted list"),
        ({"columns": [["id"]]}, "not a sorted list"),
        ({"columns": [[1, "int"]]}, "not a sorted list"),
        ({"buckets": "AA=="}, "damaged"),
        ({"buckets": OTHER[:-4]}, "damaged"),
        ({"buckets": "*" + OTHER[1:]}, "damaged"),
    ],
)
def test_edited_statement_is_malformed(edit, reason):
    with pytest.raises(MalformedEnvelope, match=reason):
        SealedTable.from_predicate({**TABLE.to_predicate(), **edit}, locator="seal")


@pytest.mark.parametrize("field", ["algorithm", "digest", "columns", "rows", "buckets"])
def test_statement_without_a_field_is_malformed(field):
    predicate = TABLE.to_predicate()
    del predicate[field]
    with pytest.raises(MalformedEnvelope, match="missing or unknown"):
        SealedTable.from_predicate(predicate, locator="seal")
