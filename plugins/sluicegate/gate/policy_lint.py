"""What a policy allows that its author may not have meant. A warning is no error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.gate.limits import DEFAULT
from sluicegate.gate.policy import Mode, Severity
from sluicegate.signals.decision.record import CONTRIBUTOR_LIMIT
from sluicegate.signals.registry import OF_POLICIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.gate.policy import Policy
    from sluicegate.gate.waiver_rules import WaiverRules

_LONG_S = 31 * 24 * 3600
_MANY_BLOCKS = 0.05
_KNOWN = frozenset(signal.code for signal in OF_POLICIES)
_EXACT = frozenset(signal.code for signal in OF_POLICIES if signal.exact)


def warnings(policy: Policy) -> tuple[str, ...]:
    """Return in words what a reviewer should ask about a policy that parses.

    Returns:
        One sentence for each question; one about a source begins with its name.
    """
    own = [f"source {name}: {said}" for name, p in policy.sources.items() for said in _of(p)]
    general = list(_of(policy))
    # A source repeats what it inherits. To say it once is enough.
    return (*general, *(said for said in own if said.partition(": ")[2] not in general))


def _of(policy: Policy) -> Iterator[str]:
    yield from _general(policy)
    for code, rule in policy.signals.items():
        if code.partition(":")[0] not in _KNOWN:
            yield f"{code}: no such signal; as long as it is required, every batch fails"
        if policy.contributors is None and code.partition(":")[0] == CONTRIBUTOR_LIMIT:
            yield f"{code}: no section contributors sets a limit, so every batch fails"
        if rule.not_evaluated and rule.severity is Severity.BLOCK:
            yield f"{code}: blocks when it fires, and passes when it cannot be evaluated"
        if rule.tolerance is not None and rule.tolerance >= 1:
            yield f"{code}: a tolerance of {rule.tolerance:g} lets every batch pass"
        if rule.severity is Severity.WARN and code in _EXACT:
            yield f"{code}: an exact fact only warns"
    if policy.waiver is not None:
        yield from _waiver(policy.waiver)


def _general(policy: Policy) -> Iterator[str]:
    if policy.mode is Mode.SHADOW:
        yield "mode shadow stops nothing"
    if policy.verdict_ttl_s > _LONG_S:
        yield f"a verdict lets training start for {policy.verdict_ttl_s / 86400:g} days"
    if policy.false_block_budget > _MANY_BLOCKS:
        yield f"one clean batch in {1 / policy.false_block_budget:.0f} may be blocked by chance"
    if all(rule.severity is Severity.WARN for rule in policy.signals.values()):
        yield "no named signal blocks"
    for name, before, after in policy.limits.looser(DEFAULT):
        yield f"limits: {name} of {after} is above the default {before}"
    if policy.freshness is None:
        yield "freshness: data may be of any age when they are trained on"
    if not policy.promoted:
        yield "promoted: a baseline that nobody promoted may judge"


def _waiver(rules: WaiverRules) -> Iterator[str]:
    if not rules.persons:
        yield "waiver: people are told apart by their keys alone; name them in persons"
    if waivable := sorted(rules.allow & _EXACT):
        yield f"waiver: {', '.join(waivable)} may be waived although it is an exact fact"
    if unknown := sorted(rules.allow - _KNOWN):
        yield f"waiver: no such signal as {', '.join(unknown)}"
