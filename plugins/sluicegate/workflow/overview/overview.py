"""All sources of an installation as they stand, kept from one question to the next.

A question costs what changed since the last one: the new leaves of the ledger say which sources
they are about. What counts for all sources (policy, trust, a batch set aside) makes all of them
new. Time alone ends a verdict: an answer is not given again after its verdict has expired, nor when
it is older than `FRESH`, because keys, seals and waivers end too.

To ask for a source takes about 1.5 ms of CPU, so hundreds are not asked for in one question. Each
question asks for as many as its budget allows, and says how many it knows. What is not known yet is
left out and never guessed, so whoever wants all asks again. Answers are renewed before they are too
old, with what the budget leaves.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sluicegate.adapters.policy_file import read_policy
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.admission.ahead import read_ahead
from sluicegate.workflow.evidence.kept_findings import Kept, kept_evidence, kept_records
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.overview.past import Past
from sluicegate.workflow.overview.source_state import TROUBLE, SourceState, is_trouble, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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

BUDGET_S: Final = 0.05
"""CPU that a question may spend on what is not known yet, in seconds."""

PATIENCE_MS: Final = 2_000
"""How long a question waits for others that hold the ledger, in milliseconds. It keeps a thread of
Airflow's API server; whoever decides or appends waits longer."""

PORTION: Final = 8
"""Sources that are asked for together, at least one portion in each question."""

_MOST_STRIPS: Final = 1000  # of some 60 kB each

_FOR_ALL: Final = frozenset({Kind.QUARANTINE, Kind.RELEASE})
"""Kinds of leaves that change what other sources are told: a batch may consist of their parts."""


@dataclass(frozen=True, slots=True)
class _Strip:
    """Newest verdicts of a source, and when they were read."""

    at: datetime
    verdicts: list[PastVerdict]

    def holds(self, at: datetime) -> bool:
        """Return whether they may be told again, if nothing was logged since."""
        trouble = any(is_trouble(verdict.refusal) for verdict in self.verdicts)
        return not trouble or at - self.at <= TROUBLE


@dataclass(frozen=True, slots=True)
class _Kept:
    """Answers, and what they were given under.

    Attributes:
        trust: The trust policy.
        policy: The gate policy.
        note: Checkpoint up to which the ledger was looked at.
        past: Verdicts that held.
        states: Answers by source.
        strips: Newest verdicts by source and number.
    """

    trust: TrustPolicy
    policy: Policy
    note: bytes
    past: Past = field(default_factory=Past)
    states: dict[str, SourceState] = field(default_factory=dict)
    strips: dict[tuple[str, int], _Strip] = field(default_factory=dict)


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
        has_time: Whether more may be asked for.
    """

    home: SluiceHome
    evidence: Evidence
    policy: Policy
    at: datetime
    head: Checkpoint
    past: Past
    has_time: Callable[[], bool]
    _states: dict[str, SourceState]
    _strips: dict[tuple[str, int], _Strip]
    _asked: set[str] = field(default_factory=set)

    def sources(self) -> list[str]:
        """Return the names of all sources, in order, as the store tells them."""
        return self.evidence.ledger.sources()

    def state(self, source: str) -> SourceState:
        """Return how a source stands, however little time there is.

        Args:
            source: Name of the source.

        Cost: as `state_of`, unless it was asked before and the answer still holds.
        """
        known = self._states.get(source)
        if known is None or not known.holds(self.at, FRESH):
            known = self._ask([source])[source]
        return known

    def states(self, sources: Sequence[str]) -> list[SourceState]:
        """Return how sources stand, of those that are known or that there is time to ask for.

        Args:
            sources: Their names; the first are asked for first.

        Returns:
            Answers in the same order. Those that lack will be there when it is asked again.

        Cost: the time that `has_time` gives, or one portion; see `PORTION`.
        """
        known = {
            name: state
            for name in sources
            if (state := self._states.get(name)) is not None and state.holds(self.at, FRESH)
        }
        aging = [name for name, state in known.items() if not state.holds(self.at, FRESH / 2)]
        aging.sort(key=lambda name: known[name].at)
        for portion in (
            *_portions([one for one in sources if one not in known]),
            *_portions(aging),
        ):
            if self._asked and not self.has_time():
                break
            known |= self._ask(portion)
        return [known[name] for name in sources if name in known]

    def strips(self, sources: Sequence[str], *, limit: int) -> dict[str, list[PastVerdict]]:
        """Return the newest verdicts of sources, newest first, of those that there is time to read.

        Args:
            sources: Their names; the first are read first.
            limit: Most verdicts of each.

        Cost: the time that `has_time` gives, or one source; see `Past.newest`.
        """
        kept = {name: self._strips.get((name, limit)) for name in sources}
        known = {
            name: strip.verdicts
            for name, strip in kept.items()
            if strip is not None and strip.holds(self.at)
        }
        for number, name in enumerate(name for name in sources if name not in known):
            if number and not self.has_time():
                break
            known[name] = self.past.newest(self.evidence, name, limit=limit, at=self.at)
            if len(self._strips) >= _MOST_STRIPS:
                self._strips.clear()
            self._strips[name, limit] = _Strip(self.at, known[name])
        return known

    def expect_findings(self, pasts: Sequence[PastVerdict]) -> None:
        """Get the findings behind several verdicts together; `findings` verifies and reads them.

        Args:
            pasts: Read by `past`.
        """
        ledger = self.evidence.ledger
        named = [str(past.issued.test_result) for past in pasts if past.issued is not None]
        ledger.prove_ahead([record.index for record in ledger.look_ahead(envelopes=named)])

    def _ask(self, sources: Sequence[str]) -> dict[str, SourceState]:
        self._asked.update(sources)
        read_ahead(self.evidence, sources)
        found = {name: state_of(self.evidence, self.policy, name, at=self.at) for name in sources}
        self._states.update(found)
        return found

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
        spent: Returns the CPU that this thread has taken, in seconds.
    """

    def __init__(
        self,
        home: Callable[[], SluiceHome],
        clock: Callable[[], datetime],
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._home, self._clock, self._spent = home, clock, spent
        self._kept: _Kept | None = None

    @contextmanager
    def question(self) -> Iterator[Question]:
        """Open the installation for one question.

        Raises:
            SluicegateError: As `open_evidence` and `read_policy`.

        Cost: as `open_evidence`, and about 8 us of CPU for each leaf since the last question.
        """
        home, at, until = self._home(), self._clock(), self._spent() + BUDGET_S
        policy = read_policy(home.policy)
        opened = open_evidence(home, at=at, patience_ms=PATIENCE_MS)
        with closing(opened.ledger), opened.snapshot() as evidence:
            kept = self._kept = _followed(self._kept, evidence, policy)
            head = evidence.ledger.verify_checkpoint(kept.note)
            yield Question(
                home=home,
                evidence=evidence,
                policy=policy,
                at=at,
                head=head,
                past=kept.past,
                has_time=lambda: self._spent() < until,
                _states=kept.states,
                _strips=kept.strips,
            )


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
    if note == kept.note and policy == kept.policy:
        return kept  # and whoever asks at the same time adds to the same answers
    strips = {
        asked: strip for asked, strip in kept.strips.copy().items() if asked[0] not in changed
    }
    states = {name: state for name, state in kept.states.copy().items() if name not in changed}
    if kinds & _FOR_ALL or policy != kept.policy:
        states = {}
    return _Kept(kept.trust, policy, note, kept.past, states, strips)


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), PORTION):
        yield names[begin : begin + PORTION]
