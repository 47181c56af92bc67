"""How much of a batch may be decoded: section ``limits`` of a policy.

A Parquet file says in its footer how many rows it holds, and a file of some megabytes can hold
billions. So the declared size is compared before anything is decoded, and decoded rows and bytes
are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.gate.policy_reader import PolicyReader

MOST: Final = 2**53
"""Largest limit: integers of JSON and YAML are exact up to here."""

FREE_BYTES: Final = 2 << 30
"""Decoded bytes of a batch that files of any size may expand to: 2 GiB fit most machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one batch, all its files together. Each is checked before rows are used.

    Attributes:
        max_rows: Most rows. 20 columns of 100,000,000 rows are 16 GB decoded.
        max_decoded_bytes: Most bytes in memory, as Arrow holds them.
        max_expansion: Decoded bytes for each byte on disk, above 2 GiB decoded. Tables of
            measurements stay below 50 and one-hot columns below 300; constants go to 100,000.
    """

    max_rows: int = 100_000_000
    max_decoded_bytes: int = 64 << 30
    max_expansion: int = 400

    def looser(self, than: Limits) -> Iterator[tuple[str, int, int]]:
        """Yield name, other value and own value of each limit that is larger than the other."""
        for item in fields(self):
            before, after = getattr(than, item.name), getattr(self, item.name)
            if after > before:
                yield item.name, before, after


DEFAULT: Final = Limits()
"""Limits that hold unless a policy says otherwise."""


UNLIMITED: Final = Limits(max_rows=MOST, max_decoded_bytes=MOST, max_expansion=MOST)
"""For a reader that holds one record batch at a time, and for people who read a batch again."""


def read_limits(reader: PolicyReader, value: Any) -> Limits:
    """Read the section ``limits``.

    Args:
        reader: Of the policy file.
        value: What the YAML parser made of the section.

    Raises:
        ConfigError: A key is unknown, a value is no whole number from 1 to `MOST`, or the section
            is empty.
    """
    body = reader.mapping(value, "limits")
    known = frozenset(item.name for item in fields(Limits))
    reader.only(body, known, required=frozenset(), where="limits")
    return Limits(**{key: _whole(reader, number, f"limits.{key}") for key, number in body.items()})


def _whole(reader: PolicyReader, value: Any, field: str) -> int:
    """Return a whole number, even if a YAML parser made a float of it, as of 2e9."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise reader.error(field, "a whole number", type(value).__name__)
    if not 1 <= value <= MOST:
        raise reader.error(field, f"1 to {MOST}", str(value)[:40])
    return int(value)
