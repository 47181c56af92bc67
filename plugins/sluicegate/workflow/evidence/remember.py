"""What an administrator does about the memory: begin one, give one up, recover a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.adapters.ledgers.remembered import read_memory, read_version_1
from sluicegate.errors import EvidenceMissing, SluicegateError
from sluicegate.workflow.evidence.opening import open_evidence, read_trust_file
from sluicegate.workflow.evidence.recall import MemoryRule, Recall, begin

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sluicegate.ledger.entry import Entry
    from sluicegate.ledger.log import Ledger, Receipt
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered from now on.

    Attributes:
        size: Leaves of the ledger.
        before: Leaves that were remembered until now; None if there was no memory, or it cannot be
            read.
        kept: Where a memory that was given up is kept; None if none was.
    """

    size: int
    before: int | None
    kept: Path | None


def remember_ledger(home: SluiceHome, *, at: datetime, forget: str = "") -> Remembered:
    """Verify a whole ledger that exists, and begin to remember it.

    Args:
        home: Paths of the installation.
        at: Aware UTC.
        forget: Why the memory until now may be given up; empty to obey that memory.

    Raises:
        VerificationError: The ledger is not sound, or it lacks leaves that are remembered.
        LedgerError: It cannot be read, or the memory cannot be written.

    Cost: an audit of the whole ledger.
    """
    evidence = open_evidence(home, at=at, memory=MemoryRule.UNASKED)
    if forget:
        return _begun(home, evidence, at, forget, before=_size_before(home, evidence.ledger))
    try:
        older = read_version_1(home.memory)
    except EvidenceMissing:
        evidence.ledger.audit()
        return _begun(home, evidence, at, "first use")
    if older is not None:
        evidence.ledger.audit(older)
        before = evidence.ledger.verify_checkpoint(older).size
        return _begun(home, evidence, at, "upgrade of version 1", before=before)
    recall = Recall.read(home.memory, MemoryRule.REQUIRED, appends=True)
    assert recall is not None  # noqa: S101 - it is required
    recall.require_trust(read_trust_file(home.trust), locator=str(home.trust))
    evidence.ledger.audit(recall.memory.checkpoint)
    before = _size(evidence.ledger, recall)
    recall.catch_up(evidence.ledger)
    return Remembered(_size(evidence.ledger, recall), before, None)


def require_remembered(
    home: SluiceHome, evidence: Evidence, rule: MemoryRule = MemoryRule.IF_THERE
) -> bytes:
    """Compare the trust policy with the memory, and return the remembered checkpoint.

    Args:
        home: Paths of the installation.
        evidence: Opened without asking the memory.
        rule: Whether the memory must exist.

    Returns:
        A signed note; empty if nothing is remembered.

    Raises:
        EvidenceMissing: The memory must exist and does not.
        VerificationError: The trust policy went back, or the checkpoint is another ledger's.
        MalformedEnvelope: The memory was edited.
    """
    recall = Recall.read(home.memory, rule, appends=False)
    if recall is None:
        return b""
    recall.require_trust(read_trust_file(home.trust), locator=str(home.trust))
    evidence.ledger.verify_checkpoint(recall.memory.checkpoint, locator=str(home.memory))
    return recall.memory.checkpoint


def append_again(
    home: SluiceHome, evidence: Evidence, entry: Entry, envelope: bytes
) -> tuple[Receipt, int]:
    """Append an envelope that was made elsewhere, even to a ledger that lost remembered leaves.

    Args:
        home: Paths of the installation.
        evidence: Open for appending, without asking the memory.
        entry: The leaf.
        envelope: Its exact bytes.

    Returns:
        The receipt, and how many of the remembered leaves are still missing.

    Raises:
        EvidenceMissing: Nothing is remembered, so nobody could say whether this is a fork.
        BadProof: The ledger is as long as before, and is another one.
    """
    recall = Recall.read(home.memory, MemoryRule.REQUIRED, appends=True)
    assert recall is not None  # noqa: S101 - it is required
    recall.require_trust(read_trust_file(home.trust), locator=str(home.trust))
    known = _size(evidence.ledger, recall)
    if evidence.ledger.size() >= known:
        recall.catch_up(evidence.ledger)
    receipt = evidence.ledger.append(entry, envelope)
    if receipt.size >= known:
        recall.catch_up(evidence.ledger)
    return receipt, max(0, known - receipt.size)


def _begun(
    home: SluiceHome, evidence: Evidence, at: datetime, why: str, *, before: int | None = None
) -> Remembered:
    trust = read_trust_file(home.trust)
    size, kept = begin(home, evidence.ledger, trust, at=at, why=why)
    return Remembered(size, before, kept)


def _size_before(home: SluiceHome, ledger: Ledger) -> int | None:
    try:
        return ledger.verify_checkpoint(read_memory(home.memory).checkpoint).size
    except SluicegateError:
        return None  # edited, or another ledger's: it is given up either way


def _size(ledger: Ledger, recall: Recall) -> int:
    return ledger.verify_checkpoint(recall.memory.checkpoint, locator="remembered").size
