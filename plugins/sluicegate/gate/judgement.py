"""From findings to a verdict: one judgement for check and gate; a replay weighs with it too.

Commands find different things: one knows the batches before, another the partitions. But findings
mean the same under a policy, and only this module says what. If the policy asks for something that
the command does not know, that is a finding too: NOT_EVALUATED, with what is lacking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.gate.decide import decide, worst_first
from sluicegate.signals.alone import ALONE as SIGNALS
from sluicegate.signals.decision.record import CONTRIBUTOR_LIMIT, SignalRecord, Status
from sluicegate.signals.decision.tolerance import check_overrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sluicegate.gate.policy import Policy, Result, SignalRule
    from sluicegate.gate.verdict import Reason

ALONE: Final = tuple(signal.code for signal in SIGNALS)
"""Codes of the signals that are held against the batch, its files, its partitions or its history
once, and not once for each baseline; in the order of their findings."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What the comparison with one baseline found.

    Attributes:
        records: Its findings.
        expected: Keys, ``CODE`` and ``CODE:column``, that the baseline supports. Each must have
            left a finding.
    """

    records: tuple[SignalRecord, ...]
    expected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all findings of a batch mean.

    Attributes:
        result: The worst of all.
        reasons: What made it WARNED or FAILED, worst first.
        records: All findings, those NOT_EVALUATED included.
    """

    result: Result
    reasons: tuple[Reason, ...]
    records: tuple[SignalRecord, ...]


def judge(
    policy: Policy | None, compared: Sequence[Compared], alone: Iterable[SignalRecord] = ()
) -> Judgement:
    """Say what a policy makes of the findings on a batch.

    Args:
        policy: Rules of the batch's source; None lets each signal count with its own severity.
        compared: Findings against each baseline, the anchored one first.
        alone: Findings that need no baseline, in any order.

    Returns:
        The judgement. Taking findings away never improves it.
    """
    alone = list(alone)
    if policy is not None:
        alone += absent(policy, {record.code for record in alone})
    alone.sort(key=lambda record: ALONE.index(record.code) if record.code in ALONE else -1)
    reasons = weigh({} if policy is None else policy.signals, compared, alone)
    result = reasons[0].result if reasons else Status.PASSED
    found = (record for one in compared for record in one.records)
    return Judgement(result, reasons, (*found, *alone))


def weigh(
    rules: Mapping[str, SignalRule],
    compared: Iterable[Compared],
    alone: Iterable[SignalRecord],
) -> tuple[Reason, ...]:
    """Return what speaks against a batch, worst first.

    Each comparison must hold by itself. If one baseline could not judge something, it is no
    excuse that another one could.

    Args:
        rules: How signals count, by ``CODE`` or ``CODE:column``.
        compared: Findings against each baseline.
        alone: Findings that need no baseline.
    """
    alone = list(alone)
    apart = {*ALONE, *(record.code for record in alone)}
    shared = {key: rule for key, rule in rules.items() if _code(key) not in apart}
    reasons: list[Reason] = []
    for one in compared:
        reasons += decide(one.records, shared, expected=one.expected)[1]
    own = {key: rule for key, rule in rules.items() if _code(key) in {r.code for r in alone}}
    reasons += decide(alone, own)[1]
    return worst_first(reasons)


def asks(policy: Policy, code: str) -> bool:
    """Return whether a policy asks for a signal that needs no baseline.

    Args:
        policy: Rules of the batch's source.
        code: One of `ALONE`.
    """
    limited = code == CONTRIBUTOR_LIMIT and policy.contributors is not None
    return limited or any(_code(key) == code for key in policy.signals)


def absent(policy: Policy, found: Iterable[str]) -> Iterator[SignalRecord]:
    """Yield a finding NOT_EVALUATED for each signal that the policy wants and nobody evaluated.

    Args:
        policy: Rules of the batch's source.
        found: Codes of the signals that left a finding.
    """
    for signal in SIGNALS:
        code, lack = signal.code, signal.lack
        if code not in found and asks(policy, code):
            if code == CONTRIBUTOR_LIMIT and policy.contributors is not None:
                lack = "nobody held the batch against the limits"
            yield SignalRecord(
                code=code,
                family=signal.family,
                status=Status.NOT_EVALUATED,
                message=f"{code}: not evaluated: {lack}.",
            )


def require_usable(policy: Policy) -> None:
    """Return if a batch can be judged by a policy.

    The policies of its sources need no look: they may only tighten its tolerances.

    Raises:
        ConfigError: It sets a tolerance of a signal that takes none.
    """
    # It loads every signal, and numpy: only whoever asks this pays for it, not every importer.
    from sluicegate.signals.registry import FLOORS  # noqa: PLC0415

    check_overrides(policy.tolerances, FLOORS)


def _code(key: str) -> str:
    return key.partition(":")[0]
