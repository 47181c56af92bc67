"""The table digest from its parts, without numpy, so that an auditor can recompute it from them.

Specified in docs/formats/table-digest.md, section "Digest".
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sluicegate.digest import canonical
from sluicegate.digest.algorithms import TABLE_HASH_1, Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

N_BUCKETS: Final = 4096
"""Number of buckets; part of the algorithm's name. Any table has 128 KiB of bucket digests."""

_ROOT_PREFIX: Final = b"sluicegate.dev/tableHash1\n"


def table_digest(columns: Sequence[Sequence[Any]], n_rows: int, buckets: bytes) -> Digest:
    """Return the digest over columns, number of rows and buckets.

    Args:
        columns: Pairs of name and logical class as JSON, ascending by name.
        n_rows: Number of rows, repetitions counted.
        buckets: SHA-256 of each bucket, `N_BUCKETS` times 32 bytes.
    """
    header = canonical.dumps({"columns": [list(pair) for pair in columns], "rows": n_rows})
    covered = _ROOT_PREFIX + sha256(header).digest() + buckets
    return Digest(TABLE_HASH_1, sha256(covered).hexdigest())
