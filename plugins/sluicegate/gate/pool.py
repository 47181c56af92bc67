"""A pool: a batch too small to be judged alone, together with the small batches before it.

What one row can show is judged of the batch. All else, and so every distribution, is judged of the
pool. Of a batch whose labels are late only the labels are too few: then the pool holds the rows
that have one, and labels alone are judged of it. A verdict names the batches that it rests on, and
says whether they may serve the next batch.
docs/adr/0022-small-batches-are-pooled.md says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sluicegate.digest.algorithms import Digest
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.decision.record import SEQUENCE, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

WANTED_ROWS: Final = 200
"""Rows, or known labels, at which a pool reaches no further back: four times those needed.

With hardly 50 more than twice as many clean batches are blocked (docs/small-batches.md). In longer
pools the newest rows weigh less."""


class Of(StrEnum):
    """What a batch has too little of to be judged alone."""

    ROWS = "rows"
    """Fewer than `MIN_ROWS` rows: all of them are pooled."""

    LABELS = "labels"
    """Rows enough, but of too few is the label known: those are pooled, for what asks of labels."""


class Left(StrEnum):
    """What a judgement of a pool leaves to the batches that come next."""

    JUDGED = "judged"
    """It was judged. If it failed, the newest batch is at fault: the others pass without it."""

    WAITING = "waiting"
    """Only rows are lacking: the next batches are judged together with these."""

    SPENT = "spent"
    """It failed, and the earlier batches do not pass without the newest: all of them stay out."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What a small batch, or one with few labels, was judged together with.

    Attributes:
        n_rows: Rows of the batch and of the earlier ones, at least 1; of labels the rows whose
            label is known, at least 0.
        batches: Digests of the earlier ones, oldest first.
        left: What it leaves to the next batches.
        ended: Why it reaches no further back, in words; "" where it has the rows that are wanted,
            or nothing lies before.
        of: What is pooled.
    """

    n_rows: int
    batches: tuple[Digest, ...] = ()
    left: Left = Left.JUDGED
    ended: str = ""
    of: Of = Of.ROWS

    @property
    def text(self) -> str:
        """What it is, and how many rows are lacking, for a person."""
        n = len(self.batches)
        before = f"the {n} batches before it" if n > 1 else "the batch before it"
        said = self._together(before) if n else self._alone()
        if self.ended:
            said += f" ({self.ended})"
        if self.left is Left.SPENT:
            said += f". Without it {before} would not pass either: review all of them"
        if self.left is not Left.WAITING:
            return said
        lacking, things = MIN_ROWS - self.n_rows, self.of.value
        need = f"{lacking} more" if lacking > 0 else f"up to {WANTED_ROWS}"
        need = f"1 more {things[:-1]} is" if lacking == 1 else f"{need} {things} are"
        return f"{said}. It waits: {need} needed"

    def _together(self, before: str) -> str:
        if self.of is Of.ROWS:
            return f"judged together with {before}, {self.n_rows} rows"
        return f"its labels are judged together with those of {before}, {self.n_rows} labels"

    def _alone(self) -> str:
        if self.of is Of.ROWS:
            return f"{self.n_rows} rows, and no small batch before it to judge them with"
        return f"{self.n_rows} known labels, and no batch with few labels before it"

    @property
    def next_step(self) -> str:
        """What to do about a batch that waits; "" for any other."""
        if self.left is not Left.WAITING:
            return ""
        if self.of is Of.LABELS:
            return (
                "Wait for its labels and seal it again, or seal and judge the next batches, whose "
                "labels count with these."
            )
        return (
            "Seal and judge the next batches, which count with it, or seal several batches as one."
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, as the verdict holds them."""
        return {
            "rows": self.n_rows,
            "batches": list(map(str, self.batches)),
            "left": self.left.value,
            "ended": self.ended,
            "of": self.of.value,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Pool:
        """Read what `to_json` wrote.

        Raises:
            KeyError: A field is missing.
            TypeError: A field has another type.
            ValueError: A field has no such value.
            MalformedEnvelope: A digest cannot be read.
        """
        n_rows, ended = value["rows"], value["ended"]
        if type(n_rows) is not int or not isinstance(ended, str):
            raise TypeError("the pool of a verdict is ill-typed")
        of = Of(value.get("of", Of.ROWS))  # of nothing else before labels were pooled
        if n_rows < (of is Of.ROWS):
            raise ValueError("a pool has rows")
        batches = tuple(Digest.parse(name) for name in value["batches"])
        return cls(n_rows, batches, Left(value["left"]), ended, of)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A batch that was judged before, as far as a pool must know it.

    Attributes:
        digest: Its identity.
        judged: When the newest verdict on it was issued, aware UTC.
        counts: Whether that verdict is accepted, or only lacks rows.
        pool: What it rests on; None for a batch that was judged alone.
    """

    digest: Digest
    judged: datetime
    counts: bool
    pool: Pool | None


def poolable(newest_first: Iterable[Earlier], of: Of = Of.ROWS) -> Iterator[Earlier]:
    """Yield the batches that may stand in a pool.

    A batch that was judged alone is no part of one: it needs no others, and its rows would outweigh
    those that are to be judged; so would all rows of one that only lacked labels. A batch that
    failed is no part, and neither is one that served a pool which failed and would have failed
    without its newest batch: so nobody waits for ever behind batches that no longer pass.

    Args:
        newest_first: Batches of one source before the one that is judged, without those that are
            set aside.
        of: What is pooled.
    """
    spent: set[Digest] = set()
    for earlier in newest_first:
        if earlier.pool is None:
            continue
        if earlier.pool.left is Left.SPENT:
            spent.update(earlier.pool.batches)
        elif earlier.counts and earlier.digest not in spent and earlier.pool.of in (of, Of.ROWS):
            yield earlier


def both(
    own: Sequence[SignalRecord], pooled: Sequence[SignalRecord], shared: Collection[str]
) -> tuple[SignalRecord, ...]:
    """Return the findings on a pooled batch: each signal speaks once, of the batch or of the pool.

    Args:
        own: Findings on the batch alone.
        pooled: Findings on the pool.
        shared: Codes of the signals that are asked of the pool.
    """
    alone = (record for record in own if record.code not in shared)
    return (*alone, *(record for record in pooled if record.code in shared))


def lacks_only_rows(
    against: Iterable[tuple[str, str]],
    records: Sequence[SignalRecord],
    shared: Collection[str],
) -> bool:
    """Return whether nothing speaks against a batch but signals that could not be evaluated yet.

    Args:
        against: Code and column of each reason that the policy does not accept.
        records: Findings of the run.
        shared: Codes of the signals that are asked of the pool.
    """
    found: dict[tuple[str, str], set[Status]] = {}
    for record in records:
        found.setdefault((record.code, record.column), set()).add(record.status)
    may_wait = {*shared, SEQUENCE}
    return all(
        code in may_wait and found.get((code, column)) == {Status.NOT_EVALUATED}
        for code, column in against
    )


__all__ = ["WANTED_ROWS", "Earlier", "Left", "Of", "Pool", "both", "lacks_only_rows", "poolable"]
