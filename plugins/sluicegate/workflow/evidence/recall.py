"""Compare a ledger and a trust policy with what this installation saw of them before.

1. The trust policy is not older, and signed where it was signed     (keys that were removed)
2. The ledger extends the remembered checkpoint                      (yesterday's store, fork)
3. The leaves since then lead to the signed root                     (edited or deleted leaf)
4. Each lookup finds the newest leaf that the log is known to hold   (hidden row, damaged index)

What holds is remembered at once, whatever is decided afterwards: a refusal too rests on leaves that
a rollback would take back. docs/adr/0014-remembered-state.md says why the memory lies where it is.
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
    """How the memory is used when evidence is opened."""

    REQUIRED = "required"
    """It must exist, and it advances. For whatever decides or appends."""

    IF_THERE = "if there"
    """It is obeyed if it exists. For listings, which an auditor also makes of a copy."""

    UNASKED = "unasked"
    """It is not read. For the audit, which reports, and to recover a ledger that went back."""


class Recall:
    """What one installation remembers, while its ledger is open.

    Args:
        place: File of the memory.
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
        """Read what is remembered; None if the rule does not ask for it, or allows it to be absent.

        Args:
            place: The file.
            rule: What is asked of the memory.
            appends: Whether the ledger is opened to append; the file must then be writable.

        Raises:
            EvidenceMissing: The memory is required and does not exist.
            LedgerError: It cannot be read; or it cannot be written, to append.
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
            # Later is too late: the ledger would have the leaf, and whoever appended it would fail.
            require_writable(place)
        return cls(place, memory, advances=rule is MemoryRule.REQUIRED, appends=appends)

    @property
    def memory(self) -> Memory:
        """What is remembered by now."""
        return self._memory

    def held(self, source: str) -> frozenset[str]:
        """Return the batches of a source whose quarantine is remembered."""
        return frozenset(self._memory.standings.get(source, Standing()).held)

    def require_trust(self, file: TrustFile, *, locator: str) -> None:
        """Check that a trust policy may follow the remembered one, and remember it instead.

        Args:
            file: The trust policy; its own signatures are verified.
            locator: Its path, for messages.

        Raises:
            VerificationError: See `TrustFile.require_not_before`.
            MalformedEnvelope: What is remembered is no trust policy.
        """
        data = file.to_bytes()
        if data != self._memory.trust:
            seen = TrustFile.from_bytes(self._memory.trust, locator=str(self._place))
            file.require_not_before(seen, locator=locator)
        self._memory = replace(self._memory, trust=data)

    def catch_up(self, ledger: Ledger) -> None:
        """Check that the ledger extends what is remembered, and remember what it holds now.

        Raises:
            Rollback: The ledger went back.
            BadProof: The ledger forked.
            LedgerCorrupt: A leaf since then is missing or was edited.
            VerificationError: One of the two checkpoints does not hold.
            LedgerError: The memory cannot be written.

        Cost: about 8 us of CPU for each leaf since the last time.
        """
        fold = Fold(self._memory.standings)
        note = ledger.follow(self._memory.checkpoint, fold.take)
        self._keep(ledger, replace(self._memory, checkpoint=note, standings=fold.standings))

    def require_found(
        self, ledger: Ledger, kind: str, source: str, subject: str | None, found: int | None
    ) -> None:
        """Check that a lookup found no older leaf than the newest one that is known.

        Args:
            ledger: The ledger that was searched.
            kind: Ledger kind that was searched for.
            source: Name of the source that was searched for.
            subject: Batch that was searched for; None for the newest of the source.
            found: Index that the lookup found; None if it found nothing.

        Raises:
            LedgerCorrupt: A newer leaf is in the log.

        Cost: nothing in general. If a batch became the newest again after it was judged, all leaves
            are read once, about 8 us of CPU for each.
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
        ledger: All its leaves are read, up to the signed root.
        trust: The trust policy, verified.
        at: Aware UTC.
        why: The reason, in words; kept in the file.

    Returns:
        How many leaves are remembered, and where the memory before this one is kept, if there was
        one.

    Raises:
        LedgerCorrupt: A leaf is missing or was edited.
        LedgerError: The file cannot be written.

    Cost: about 8 us of CPU for each leaf.
    """
    fold = Fold({})
    note = ledger.follow(ledger.checkpoint(), fold.take, whole=True)
    began = f"{format_timestamp(at)} {why}"
    memory = Memory(note, trust.to_bytes(), fold.standings, began)
    kept = begin_memory(home.memory, memory, home=home.root)
    return ledger.verify_checkpoint(note).size, kept
