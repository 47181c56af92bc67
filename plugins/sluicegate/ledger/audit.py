"""Re-verification of a whole ledger: every leaf, envelope, node, and the signed head."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sluicegate.errors import (
    BadProof,
    BadSignature,
    ConfigError,
    LedgerCorrupt,
    MalformedEnvelope,
    Rollback,
    SluicegateError,
    UntrustedKey,
    VerificationError,
)
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint
from sluicegate.ledger.frontier import Frontier, n_positions
from sluicegate.ledger.lookup import rolled_back, stored_frontier

if TYPE_CHECKING:
    from sluicegate.ledger.note import NoteVerifier
    from sluicegate.ledger.store import LedgerStore, Snapshot

MAX_FINDINGS: Final = 1000
"""Findings that are kept; more add nothing to the decision that a person must take."""

# Gravest first: a rollback explains all that follows from it, damage explains least.
_GRAVITY: Final = (
    Rollback,
    BadProof,
    BadSignature,
    UntrustedKey,
    MalformedEnvelope,
    LedgerCorrupt,
)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found.

    Attributes:
        origin: Name of the ledger.
        size: Leaves under the newest checkpoint; 0 if that does not verify.
        root: Root hash under the newest checkpoint; empty if that does not verify.
        n_checked: Leaves that were read and hashed.
        findings: Everything that is wrong, in the order found; at most 1,000.
    """

    origin: str
    size: int
    root: bytes
    n_checked: int
    findings: tuple[SluicegateError, ...]

    @property
    def root_hex(self) -> str:
        """The root in hexadecimal."""
        return self.root.hex()

    def require_clean(self) -> None:
        """Raise the gravest finding, if there is any.

        Raises:
            Rollback, BadProof, BadSignature, UntrustedKey, MalformedEnvelope, LedgerCorrupt:
                In this order of gravity.
        """
        for grave in _GRAVITY:
            for finding in self.findings:
                if isinstance(finding, grave):
                    raise finding


class _Audit:
    """State of one run; an attribute for each thing that later steps compare with."""

    def __init__(self, locator: str) -> None:
        self.locator = locator
        self.findings: list[SluicegateError] = []
        self.n_checked = 0
        self.head: Checkpoint | None = None

    def run(
        self,
        snapshot: Snapshot,
        verifier: NoteVerifier,
        remembered: Checkpoint | None,
        *,
        only_new: bool,
    ) -> None:
        self.snapshot = snapshot
        self.head = self._open_head(verifier)
        if remembered is not None and self.head is not None and self.head.size < remembered.size:
            self.found(rolled_back(remembered, self.head.size, self.locator))
        trusted = remembered if only_new else None
        start = 0 if trusted is None else trusted.size
        frontier = self._start(trusted)
        try:
            if frontier is not None:
                self._walk(frontier, remembered)
            self._count(start)
        except LedgerCorrupt as error:
            self.found(error)
        for damage in self.snapshot.damage(thorough=not only_new):
            self.corrupt("the store is damaged", got=damage)

    def found(self, finding: SluicegateError) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def corrupt(self, what: str, *, at: str = "", expected: str = "", got: str = "") -> None:
        locator = self.locator + at
        self.found(LedgerCorrupt(what, locator=locator, expected=expected, got=got))

    def _open_head(self, verifier: NoteVerifier) -> Checkpoint | None:
        try:
            note = self.snapshot.checkpoint()
            return open_checkpoint(note, [verifier], locator=self.locator)
        except (VerificationError, LedgerCorrupt) as error:
            self.found(error)
            return None

    def _start(self, trusted: Checkpoint | None) -> Frontier | None:
        if trusted is None:
            return Frontier()
        try:
            return stored_frontier(self.snapshot, trusted.size, self.locator)
        except LedgerCorrupt as error:
            self.found(error)
            return None

    def _walk(self, frontier: Frontier, remembered: Checkpoint | None) -> None:
        """Hash all leaves from the frontier on and compare every node on the way.

        The loop is the whole cost of an audit, so it calls nothing that it need not.
        """
        place = n_positions(frontier.size)
        stored = self.snapshot.scan_hashes(place)
        turn = -1 if remembered is None else remembered.size
        self._compare_remembered(frontier, remembered)
        for index, leaf, digest, envelope in self.snapshot.scan(frontier.size):
            if envelope is None or sha256(envelope).digest() != digest:
                self._envelope_differs(index, digest, envelope)
            self.n_checked += 1
            if index != frontier.size:
                # Behind a gap every hash differs, which would say nothing more.
                self.corrupt("a leaf is missing", at=f"#{frontier.size}", got=f"next is {index}")
                return
            for hashed in frontier.extend(sha256(b"\x00" + leaf).digest()):
                found = next(stored, None)
                if found != (place, hashed):
                    self._node_differs(index, place, hashed, found)
                place += 1
            if frontier.size == turn:
                self._compare_remembered(frontier, remembered)
        self._compare_head(frontier)

    def _envelope_differs(self, index: int, digest: bytes, envelope: bytes | None) -> None:
        if envelope is None:
            self.corrupt("the leaf's envelope is missing", at=f"#{index}")
        else:
            self.corrupt(
                "the envelope is not the one that the leaf names",
                at=f"#{index}",
                expected=digest.hex()[:12],
                got=sha256(envelope).hexdigest()[:12],
            )

    def _node_differs(
        self, index: int, place: int, hashed: bytes, found: tuple[int, bytes] | None
    ) -> None:
        level = place - n_positions(index) + 1
        self.corrupt(
            "a node of the tree is missing or not the hash of its children",
            expected=f"{hashed.hex()[:12]} at level {level}, index {index >> level}",
            got="nothing" if found is None else found[1].hex()[:12],
        )

    def _compare_remembered(self, frontier: Frontier, remembered: Checkpoint | None) -> None:
        if remembered is None or frontier.size != remembered.size:
            return
        if frontier.root() != remembered.root:
            self.found(
                BadProof(
                    "the ledger forked: it rewrites what it had signed",
                    locator=self.locator,
                    expected=f"{remembered.root.hex()[:12]} at size {remembered.size}",
                    got=frontier.root().hex()[:12],
                    next_step="Keep both copies; find out who held the ledger's key.",
                )
            )

    def _compare_head(self, frontier: Frontier) -> None:
        if self.head is None:
            return
        if frontier.size != self.head.size:
            self.corrupt(
                "the ledger holds another number of leaves than was signed",
                expected=str(self.head.size),
                got=str(frontier.size),
            )
        elif frontier.root() != self.head.root:
            self.found(
                BadProof(
                    "the leaves do not hash to the signed root",
                    locator=self.locator,
                    expected=self.head.root.hex()[:12],
                    got=frontier.root().hex()[:12],
                    next_step="Compare with a kept copy; the first wrong node names the place.",
                )
            )

    def _count(self, start: int) -> None:
        """Compare the numbers of rows; from a size on that is believed, or from the first."""
        if self.head is None or self.head.size < start:
            return
        size, place = self.head.size, n_positions(start)
        counts = self.snapshot.counts(start, place)
        for name, expected, got in (
            ("leaves", size - start, counts.leaves),
            ("envelopes", size - start, counts.envelopes),
            ("tree nodes", n_positions(size) - place, counts.hashes),
            ("streams", counts.used_streams, counts.streams),
        ):
            if got != expected:
                self.corrupt(
                    f"the store holds another number of {name}",
                    expected=str(expected),
                    got=str(got),
                )


def examine(
    store: LedgerStore,
    verifier: NoteVerifier,
    remembered: bytes | None = None,
    *,
    only_new: bool = False,
) -> AuditReport:
    """Re-verify a ledger and report everything that is wrong with it.

    Args:
        store: Where the ledger is.
        verifier: Its public key.
        remembered: A checkpoint note it once handed out; without one, neither a rollback nor
            a fork made with the ledger's own key can be seen.
        only_new: Believe what the remembered checkpoint covers and read only newer rows; the
            store's own check of its pages, which reads everything, is left out too.

    Returns:
        The report; `require_clean` turns it into an exception.

    Raises:
        ConfigError: `only_new` without a remembered checkpoint.
        LedgerError: The store cannot be read.
        VerificationError: The remembered checkpoint is not one of this ledger's.

    Cost: reads everything once; about 7 us of CPU a leaf, constant memory.
    """
    old = None
    if remembered is not None:
        old = open_checkpoint(remembered, [verifier], locator="remembered checkpoint")
    elif only_new:
        raise ConfigError("an audit of what is new needs a checkpoint to start from")
    audit = _Audit(store.locator)
    try:
        with store.reading() as snapshot:
            audit.run(snapshot, verifier, old, only_new=only_new)
    except LedgerCorrupt as error:  # the store itself cannot make sense of what it holds
        audit.found(error)
    head = audit.head
    return AuditReport(
        origin=verifier.name,
        size=0 if head is None else head.size,
        root=b"" if head is None else head.root,
        n_checked=audit.n_checked,
        findings=tuple(audit.findings),
    )
