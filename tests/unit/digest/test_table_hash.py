"""The table digest covers columns, number of rows and every bucket, as the specification says."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from sluicegate.digest.table_hash import N_BUCKETS, table_digest

COLUMNS = [["id", "int"], ["label", {"list": "text"}]]
BUCKETS = b"".join(sha256(b"%d" % number).digest() for number in range(N_BUCKETS))


def test_digest_is_that_of_the_specification():
    header = json.dumps({"columns": COLUMNS, "rows": 2}, separators=(",", ":"), sort_keys=True)
    covered = b"sluicegate.dev/tableHash1\n" + sha256(header.encode()).digest() + BUCKETS
    digest = table_digest(COLUMNS, 2, BUCKETS)
    assert (digest.algorithm, digest.hex) == (
        "tableHash1-sha256-4096",
        sha256(covered).hexdigest(),
    )


@pytest.mark.parametrize(
    ("columns", "n_rows", "buckets"),
    [
        (COLUMNS[:1], 2, BUCKETS),
        ([["id", "float"], COLUMNS[1]], 2, BUCKETS),
        (COLUMNS[::-1], 2, BUCKETS),
        (COLUMNS, 3, BUCKETS),
        (COLUMNS, 2, BUCKETS[32:] + BUCKETS[:32]),
        (COLUMNS, 2, BUCKETS[:-1] + bytes([BUCKETS[-1] ^ 1])),
    ],
)
def test_any_other_part_gives_another_digest(columns, n_rows, buckets):
    assert table_digest(columns, n_rows, buckets) != table_digest(COLUMNS, 2, BUCKETS)
