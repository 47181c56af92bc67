"""What signals count of a batch: commutative where order says nothing, always a monoid.

A counter adds up: counting rows in pieces and merging gives what counting them at once gives, in
any grouping, and a counter travels as bytes. So a batch may be counted by many threads or machines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast

from sluicegate.digest.canonical import dumps, loads
from sluicegate.errors import MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.definition import Signal

_MAX_BYTES: Final = 512 * 1024 * 1024
_MALFORMED: Final = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)


class Counter(ABC):
    """A monoid of rows: ``start`` of its `Counting` is the identity of ``merge``."""

    __slots__ = ()

    @abstractmethod
    def update(self, chunk: Chunk) -> None:
        """Count one record batch in place."""

    @abstractmethod
    def merge(self, other: Self) -> Self:
        """Return the count of both sets of rows; the other's rows come after the own."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, the same for equal counts."""

    @classmethod
    @abstractmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""

    def to_bytes(self) -> bytes:
        """Return canonical bytes."""
        return dumps(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            MalformedEnvelope: Not what a counter of this kind writes, to the byte.
        """
        locator = cls.__name__
        value = loads(data, locator=locator, max_bytes=_MAX_BYTES)
        try:
            found = cls.from_json(value)
            same = found.to_bytes() == data
        except _MALFORMED as error:
            # `from None`: the error quotes what it could not read, a word or a contributor.
            raise MalformedEnvelope(
                "counter is malformed", locator=locator, got=type(error).__name__
            ) from None
        if not same:
            raise MalformedEnvelope("counter is not in canonical form", locator=locator)
        return found

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_bytes() == cast("Self", other).to_bytes()

    __hash__ = None  # type: ignore[assignment]  # counters change


C = TypeVar("C", bound=Counter)


@dataclass(frozen=True, slots=True)
class Counting(Generic[C]):
    """One kind of counter, and how signals find theirs.

    Attributes:
        name: Under which a pass holds it.
        kind: Its class.
        start: Returns a counter without rows, for batches beside a baseline.
    """

    name: str
    kind: type[C]
    start: Callable[[Baseline], C]

    def of(self, comparison: Comparison) -> C:
        """Return what was counted; KeyError if no signal that reads it applies."""
        return cast("C", comparison.counters[self.name])


def named_counts(counts: Mapping[str | None, Any]) -> list[list[Any]]:
    """Return counts by contributor as JSON, in the order of names; null, the missing one, first."""
    ordered = sorted(counts.items(), key=lambda item: (item[0] is not None, item[0] or ""))
    return [[name, count] for name, count in ordered]


def optional_name(value: Any) -> str | None:
    """Read a contributor's name, or null.

    Raises:
        TypeError: Neither.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError("a contributor has no name")
    return value


def natural(value: Any) -> int:
    """Read a count.

    Raises:
        ValueError: No natural number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a count is not a natural number")
    return value


def added(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the sums by key.

    Args:
        first: Numbers or arrays by any key.
        second: The same for other rows.
    """
    out = dict(first)
    for key, value in second.items():
        out[key] = out[key] + value if key in out else value
    return out


def started(signals: Iterable[Signal], baseline: Baseline) -> dict[str, Counter]:
    """Return a counter without rows for each that the baseline asks for.

    Args:
        signals: Records of signals.
        baseline: What batches are held against.
    """
    wanted = (c for signal in signals if signal.applies(baseline) for c in signal.counters)
    return {counting.name: counting.start(baseline) for counting in dict.fromkeys(wanted)}
