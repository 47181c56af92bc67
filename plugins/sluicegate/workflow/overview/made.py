"""What was made of a source, as the newest statements say: features, models, and what is of those.

`sluicegate uses` walks the whole ledger and misses nothing. A page cannot wait for that: here the
newest statements of each source are read, each once, as far as a question has time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.errors import LedgerCorrupt, LedgerError, SluicegateError
from sluicegate.gate.verdict import MODEL
from sluicegate.ledger.entry import Kind
from sluicegate.ledger.store import Query
from sluicegate.workflow.auditing.uses import Use, said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.workflow.evidence.verified import Evidence

NEWEST: Final = 3
"""Statements of each source that are read."""
PORTION: Final = 16
"""Sources that are read together, at least one portion in each question."""


@dataclass(frozen=True, slots=True)
class MadeOf:
    """What was made of a source.

    Attributes:
        found: Batches and models, in the order of the log.
        unverified: Ledger entries among those looked at that do not hold.
        waiting: Sources whose statements were not read yet.
    """

    found: tuple[Use, ...]
    unverified: tuple[int, ...]
    waiting: int


class Made:
    """Reads statements of what was made of what, and verifies each once under one trust policy."""

    def __init__(self) -> None:
        self._trust: TrustPolicy | None = None
        self._said: dict[int, Use | None] = {}
        self._note = b""
        self._newest: dict[str, list[int]] = {}  # at the checkpoint of the note

    def of(
        self,
        evidence: Evidence,
        names: Sequence[str],
        source: str,
        *,
        at: datetime,
        has_time: Callable[[], bool],
    ) -> MadeOf:
        """Find what was made of the batches of a source, directly or through others.

        Args:
            evidence: Ledger and trust policy, in a snapshot.
            names: Names of all sources, those of models among them.
            source: Name of the source.
            at: Aware UTC.
            has_time: Whether more may be read.

        Raises:
            LedgerError: The ledger cannot be read.

        Cost: after an append a look-up for each name; about 1 ms of CPU for each new statement.
        """
        if self._trust != evidence.trust:
            self._trust, self._said, self._newest = evidence.trust, {}, {}
        if self._note != (note := evidence.ledger.checkpoint()):
            self._note, self._newest = note, {}
        # Of this checkpoint, even if another thread follows a newer one meanwhile.
        said, newest = self._said, self._newest
        unread = [name for name in names if name not in newest]
        for begin in range(0, len(unread), PORTION):
            if begin and not has_time():
                break
            newest.update(_read(evidence, unread[begin : begin + PORTION], said, at))
        indexes = sorted({index for name in names for index in newest.get(name, ())})
        return MadeOf(
            _leading_to([said[index] for index in indexes], source),
            tuple(index for index in indexes if said[index] is None),
            sum(name not in newest for name in names),
        )


def _read(
    evidence: Evidence, names: Sequence[str], said: dict[int, Use | None], at: datetime
) -> dict[str, list[int]]:
    """Read the newest statements of sources that were not read before; return their entries."""
    asked = [(Kind.VERDICT if n.startswith(MODEL) else Kind.PROVENANCE, n) for n in names]
    evidence.ledger.look_ahead([Query(*one) for one in asked], limit=NEWEST)
    found = {
        one[1]: [index for index, _ in evidence.ledger.listed(*one, limit=NEWEST)] for one in asked
    }
    fresh = [index for indexes in found.values() for index in indexes if index not in said]
    evidence.ledger.prove_ahead(fresh)
    for index in fresh:
        try:
            said[index] = said_by(evidence, evidence.ledger.get_verified(index), at=at)
        except SluicegateError as error:
            if isinstance(error, LedgerError) and not isinstance(error, LedgerCorrupt):
                raise  # that ends, and says nothing of the statement
            said[index] = None
    return found


def _leading_to(said: Iterable[Use | None], source: str) -> tuple[Use, ...]:
    """Return what rests on a source; a statement can only rest on those before it in the log."""
    touched: set[tuple[str, str]] = set()
    found = []
    for use in said:
        if use is None:
            continue
        of = tuple(one for one in use.of if one[0] == source or one in touched)
        if of and use.source != source:
            touched.add((use.source, use.digest))
            found.append(Use(use.source, use.digest, use.is_model, of, use.run, use.index))
    return tuple(found)


__all__ = ["Made", "MadeOf"]
