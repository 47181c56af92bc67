"""All sources of an installation as they stand, kept from one question to the next.

A question costs what changed since the last one: the new leaves of the ledger say which sources
they are about. What counts for all sources (policy, trust, a batch set aside) makes all of them
new. Time alone ends a verdict: an answer is not given again after its verdict has expired, nor when
it is older than `FRESH`, because keys, seals and waivers end too.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sluicegate.adapters.policy_file import read_policy
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.evidence.kept_findings import Kept, kept_evidence, kept_records
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.overview.past import Past
from sluicegate.workflow.overview.source_state import SourceState, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.gate.policy import Policy
    from sluicegate.ledger.checkpoint import Checkpoint
    from sluicegate.ledger.entry import Entry
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.overview.past import PastVerdict

FRESH: Final = timedelta(minutes=10)
"""Oldest answer that is given again."""

_FOR_ALL: Final = frozenset({Kind.QUARANTINE, Kind.RELEASE, Kind.PROMOTION, Kind.BASELINE})
"""Kinds of leaves that may change what other sources are told."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Answers, and what they were given under.

    Attributes:
        trust: The trust policy.
        policy: The gate policy.
        note: Checkpoint up to which the ledger was looked at.
        past: Verdicts that held.
        states: Answers by source.
    """

    trust: TrustPolicy
    policy: Policy
    note: bytes
    past: Past = field(default_factory=Past)
    states: dict[str, SourceState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """One look at an installation.

    Attributes:
        home: Paths of the installation.
        evidence: Ledger and trust policy, open.
        policy: The policy in force.
        at: Aware UTC.
        head: The ledger's newest checkpoint, verified.
        past: Reads verdicts.
    """

    home: SluiceHome
    evidence: Evidence
    policy: Policy
    at: datetime
    head: Checkpoint
    past: Past
    _states: dict[str, SourceState]

    def sources(self) -> list[str]:
        """Return the names of all sources, in order, as the store tells them."""
        return self.evidence.ledger.sources()

    def state(self, source: str) -> SourceState:
        """Return how a source stands.

        Args:
            source: Name of the source.

        Cost: as `state_of`, unless it was asked before and the answer still holds.
        """
        known = self._states.get(source)
        if known is None or not known.holds(self.at, FRESH):
            known = state_of(self.evidence, self.policy, source, at=self.at)
            self._states[source] = known
        return known

    def findings(self, past: PastVerdict) -> list[SignalRecord]:
        """Return the findings behind a verdict; none behind one that does not hold.

        Args:
            past: Read by `past`.

        Raises:
            SluicegateError: They are not in the ledger, or do not verify.
        """
        if past.issued is None:
            return []
        then = min(past.issued.verdict.issued, self.at)
        return kept_records(self.evidence, str(past.issued.test_result), at=then, asked=self.at)

    def kept(self, past: PastVerdict) -> Kept:
        """Return all that the gate kept behind a verdict; nothing behind one that does not hold.

        Args:
            past: Read by `past`.

        Raises:
            SluicegateError: As `findings`.
        """
        if past.issued is None:
            return Kept((), None)
        then = min(past.issued.verdict.issued, self.at)
        return kept_evidence(self.evidence, str(past.issued.test_result), at=then, asked=self.at)


class Overview:
    """Answers questions about one installation.

    Args:
        home: Returns its paths; called for each question, so that a published home is the newest.
        clock: Returns now, aware UTC.
    """

    def __init__(self, home: Callable[[], SluiceHome], clock: Callable[[], datetime]) -> None:
        self._home, self._clock = home, clock
        self._kept: _Kept | None = None

    @contextmanager
    def question(self) -> Iterator[Question]:
        """Open the installation for one question.

        Raises:
            SluicegateError: As `open_evidence` and `read_policy`.

        Cost: as `open_evidence`, and about 8 us of CPU for each leaf since the last question.
        """
        home, at = self._home(), self._clock()
        policy = read_policy(home.policy)
        evidence = open_evidence(home, at=at)
        with closing(evidence.ledger):
            kept = self._kept = _followed(self._kept, evidence, policy)
            head = evidence.ledger.verify_checkpoint(kept.note)
            yield Question(home, evidence, policy, at, head, kept.past, kept.states)


def _followed(kept: _Kept | None, evidence: Evidence, policy: Policy) -> _Kept:
    """Return the answers that still hold."""
    if kept is None or kept.trust != evidence.trust:
        return _Kept(evidence.trust, policy, evidence.ledger.checkpoint())
    changed: set[str] = set()
    kinds: set[str] = set()

    def take(_index: int, leaf: Entry) -> None:
        changed.add(leaf.source)
        kinds.add(leaf.kind)

    note = evidence.ledger.follow(kept.note, take)
    if kinds & _FOR_ALL or policy != kept.policy:
        return _Kept(kept.trust, policy, note, kept.past)
    states = {name: state for name, state in kept.states.items() if name not in changed}
    return _Kept(kept.trust, policy, note, kept.past, states)
