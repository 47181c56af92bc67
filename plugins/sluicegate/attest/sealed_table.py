"""What a signed statement says of the rows of a table, readable without numpy.

Specified in docs/formats/table-difference.md, section "Statement". The difference sketch is
kept as it was signed. Only code that compares rows decodes it (`workflow.table_record`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sluicegate.digest.table_hash import N_BUCKETS, table_digest
from sluicegate.errors import MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.digest.algorithms import Digest


@dataclass(frozen=True, slots=True)
class SealedTable:
    """Rows of a table, whatever their order and place.

    Attributes:
        columns: Pairs of name and logical class as JSON, ascending by name.
        n_rows: Number of rows, repetitions counted.
        buckets: SHA-256 of each bucket, 4096 times 32 bytes.
        sketch: Difference sketch as it stands in the statement; None if none was kept.
    """

    columns: tuple[tuple[str, Any], ...]
    n_rows: int
    buckets: bytes
    sketch: Any = None

    @property
    def digest(self) -> Digest:
        """The table digest. Cost: one SHA-256 of 128 KiB."""
        return table_digest(self.columns, self.n_rows, self.buckets)

    def to_predicate(self) -> dict[str, Any]:
        """Return the predicate of the specification."""
        digest = self.digest
        predicate: dict[str, Any] = {
            "algorithm": digest.algorithm,
            "digest": digest.hex,
            "columns": [list(pair) for pair in self.columns],
            "rows": self.n_rows,
            "buckets": base64.b64encode(self.buckets).decode(),
        }
        return predicate if self.sketch is None else {**predicate, "sketch": self.sketch}

    @classmethod
    def from_predicate(cls, predicate: Mapping[str, Any], *, locator: str) -> Self:
        """Read what `to_predicate` wrote.

        Args:
            predicate: Of a verified statement.
            locator: Where the statement came from, for messages.

        Raises:
            MalformedEnvelope: Fields are missing, unknown or mistyped, columns are out of
                order, or the buckets contradict the digest.
        """
        match dict(predicate):
            case {
                "algorithm": str(algorithm),
                "digest": str(value),
                "columns": list(columns),
                "rows": int(n_rows),
                "buckets": str(text),
                **rest,
            } if rest.keys() <= {"sketch"} and type(n_rows) is int and n_rows >= 0:
                made = cls(_columns(columns, locator), n_rows, _buckets(text, locator), **rest)
                if (made.digest.algorithm, made.digest.hex) != (algorithm, value):
                    raise MalformedEnvelope("table digest contradicts its buckets", locator=locator)
                return made
        raise MalformedEnvelope("table statement has missing or unknown fields", locator=locator)


def _columns(columns: list[Any], locator: str) -> tuple[tuple[str, Any], ...]:
    pairs = tuple((c[0], c[1]) for c in columns if isinstance(c, list) and len(c) == 2)
    names = [name for name, _ in pairs if isinstance(name, str)]
    if len(names) != len(columns) or names != sorted(set(names)):
        raise MalformedEnvelope(
            "columns are not a sorted list of names and classes", locator=locator
        )
    return pairs


def _buckets(text: str, locator: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != N_BUCKETS * 32:
        raise MalformedEnvelope("bucket digests are damaged", locator=locator)
    return raw
