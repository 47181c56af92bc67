"""Hold a ledger and a trust policy against what this installation saw of them before.

1. The trust policy is not older, and signed where it was signed     (keys that were removed)
2. The ledger extends the remembered checkpoint                      (yesterday's store, fork)
3. The leaves since then lead to the signed root                     (edited or deleted leaf)
4. Each lookup finds the newest leaf that the log is known to hold   (hidden row, damaged index)

What holds is remembered at once, whatever is decided on it afterwards: a refusal rests on leaves
that a rollback would take back. Why it is kept where it is: docs/adr/0014-remembered-state.md.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from sluicegate.adapters.ledgers.remembered import (
    Memory,
    begin_memory,
    read_memory,
    remember,
    require_writable,
)
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust_file import TrustFile
from sluicegate.errors import EvidenceMissing, LedgerCorrupt
from sluicegate.ledger.standing import BatchFold, Fold, Standing

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.log import Ledger
    from sluicegate.workflow.evidence.home import SluiceHome


class MemoryRule(Enum):
    """What is asked of the memory when evidence is opened."""

    REQUIRED = "required"
    """It must be there, and it advances: for whatever decides or appends."""

    IF_THERE = "if there"
    """It must be obeyed where it is: for listings, which an auditor also makes of a copy."""

    UNASKED = "unasked"
    """For the audit, which reports, and for the recovery of a ledger that went back."""


class Recall:
    """What one installation remembers, while its ledger is open.

    Args:
        place: The file.
        memory: What was read from it.
        advances: Whether what is seen may be written there.
        appends: Whether the ledger was opened to append; see `remember`.
    """

    def __init__(self, place: Path, memory: Memory, *, advances: bool, appends: bool) -> None:
        self._place = place
        self._memory = self._kept = memory
        self._advances = advances
        self._appends = appends

    @classmethod
    def read(cls, place: Path, rule: MemoryRule, *, appends: bool) -> Recall | None:
        """Read what is remembered; None if it is not asked for, or may be absent and is.

        Raises:
            EvidenceMissing: It is required and not there.
            LedgerError: It cannot be read, or not be written by who appends.
            MalformedEnvelope: It was edited.
        """
        if rule is MemoryRule.UNASKED:
            return None
        try:
            memory = read_memory(place)
        except EvidenceMissing:
            if rule is MemoryRule.REQUIRED:
                raise
            return None
        if appends:
            # Later it would be too late: the ledger has the leaf, and whoever appended failed.
            require_writable(place)
        return cls(place, memory, advances=rule is MemoryRule.REQUIRED, appends=appends)

    @property
    def memory(self) -> Memory:
        """What is remembered by now."""
        return self._memory

    def held(self, source: str) -> frozenset[str]:
        """Return the batches of a source of which a quarantine is remembered."""
        return frozenset(self._memory.standings.get(source, Standing()).held)

    def require_trust(self, file: TrustFile, *, locator: str) -> None:
        """Check that a trust policy may stand where the remembered one stood, and take it.

        Args:
            file: Verified by itself.
            locator: Path, for messages.

        Raises:
            VerificationError: See `TrustFile.require_not_before`.
            MalformedEnvelope: The remembered one is none.
        """
        data = file.to_bytes()
        if data != self._memory.trust:
            seen = TrustFile.from_bytes(self._memory.trust, locator=str(self._place))
            file.require_not_before(seen, locator=locator)
        self._memory = replace(self._memory, trust=data)

    def catch_up(self, ledger: Ledger) -> None:
        """Check that the ledger extends what is remembered, and remember what it holds now.

        Raises:
            Rollback: It went back.
            BadProof: It forked.
            LedgerCorrupt: A leaf since then is missing or was edited.
            VerificationError: One of the checkpoints does not hold.
            LedgerError: The memory cannot be written.

        Cost: about 8 us of CPU for each leaf since the last time.
        """
        fold = Fold(self._memory.standings)
        note = ledger.follow(self._memory.checkpoint, fold.take)
        self._keep(ledger, replace(self._memory, checkpoint=note, standings=fold.standings))

    def require_found(
        self, ledger: Ledger, kind: str, source: str, subject: str | None, found: int | None
    ) -> None:
        """Check that a lookup found the newest leaf there is, or a newer one than is known.

        Args:
            ledger: That was asked.
            kind: Asked for.
            source: Asked for.
            subject: Batch asked for; None for the newest of the source.
            found: Index that it found; None for nothing.

        Raises:
            LedgerCorrupt: A newer leaf is in the log.

        Cost: nothing, but for a batch that became the newest again after it was judged: then all
        leaves are read once, about 8 us of CPU each.
        """
        standing = self._memory.standings.get(source, Standing())
        if found is not None and subject and not standing.covers(kind, subject, found):
            standing = self._read_all_of(ledger, source, subject)
        least = standing.at_least(kind, subject)
        if least > (-1 if found is None else found):
            raise LedgerCorrupt(
                f"a {kind} is in the log and its index does not find it",
                locator=f"{ledger.locator}#{least}",
                next_step="Run: sluicegate ledger verify. Somebody hides evidence.",
            )

    def _read_all_of(self, ledger: Ledger, source: str, subject: str) -> Standing:
        size = ledger.verify_checkpoint(self._memory.checkpoint, locator="remembered").size
        fold, batch = Fold(self._memory.standings), BatchFold(source, subject)

        def take(index: int, entry: Entry) -> None:
            batch.take(index, entry)
            if index >= size:
                fold.take(index, entry)

        note = ledger.follow(self._memory.checkpoint, take, whole=True)
        standing = fold.standings[source]
        if standing.batch == subject:
            standing = fold.standings[source] = batch.complete(standing)
        self._keep(ledger, replace(self._memory, checkpoint=note, standings=fold.standings))
        return standing

    def _keep(self, ledger: Ledger, memory: Memory) -> None:
        self._memory = memory
        if self._advances and memory != self._kept:
            remember(self._place, ledger, memory, appends=self._appends)
            self._kept = memory


def begin(
    home: SluiceHome, ledger: Ledger, trust: TrustFile, *, at: datetime, why: str
) -> tuple[int, Path | None]:
    """Remember a ledger as it is now, on the word of whoever runs the command.

    Args:
        home: Paths of the installation.
        ledger: Its leaves are all read, up to the signed root.
        trust: Verified.
        at: Aware UTC.
        why: In words; kept in the file.

    Returns:
        How many leaves are remembered, and where the memory before is kept, if there was one.

    Raises:
        LedgerCorrupt: A leaf is missing or was edited.
        LedgerError: The file cannot be written.

    Cost: about 8 us of CPU a leaf.
    """
    fold = Fold({})
    note = ledger.follow(ledger.checkpoint(), fold.take, whole=True)
    began = f"{format_timestamp(at)} {why}"
    memory = Memory(note, trust.to_bytes(), fold.standings, began)
    kept = begin_memory(home.memory, memory, home=home.root)
    return ledger.verify_checkpoint(note).size, kept
