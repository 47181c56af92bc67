"""Apply a policy's rules to the signals of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sluicegate.gate.policy import RESULTS, Result, Severity, SignalRule
from sluicegate.gate.verdict import NOBODY, Reason
from sluicegate.signals.decision.record import EXTRA_COLUMNS, SCHEMA, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def decide(
    records: Iterable[SignalRecord],
    rules: Mapping[str, SignalRule],
    *,
    expected: Iterable[str] = (),
) -> tuple[Result, tuple[Reason, ...]]:
    """Return the verdict's result and what led to it.

    The result is monotonic: it never improves when a signal's records are taken away, because
    a signal that is expected and left no record counts as failed. A signal that could not be
    evaluated leaves a NOT_EVALUATED record, which the policy may excuse in words.

    Args:
        records: Findings of one run, at most one for each code and column.
        rules: How signals count, by ``CODE:column`` or else by ``CODE``. A signal that is marked
            required must have left a record. A signal without a rule counts with the severity
            that it gave itself.
        expected: Further keys of both forms that must have left a record, because the baseline
            supports them.

    Returns:
        The worst result, and a reason for each record that is not PASSED, worst first.
    """
    required = {code for code, rule in rules.items() if rule.required}.union(expected)
    seen: set[str] = set()
    reasons = []
    for record in records:
        seen.update(_keys(record))
        result = _worst(_result(record, rule) for rule in _rules_of(record, rules))
        if result is not Status.PASSED:
            reasons.append(Reason(record.code, record.column, result, _message(record)))
    reasons.extend(_unevaluated(key) for key in sorted(required) if not _is_left(key, seen))
    ordered = worst_first(reasons)
    return (ordered[0].result if ordered else Status.PASSED), ordered


def worst_first(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return reasons with the worst first; equal ones keep their order."""
    return tuple(sorted(reasons, key=lambda reason: -RESULTS.index(reason.result)))


def _keys(record: SignalRecord) -> tuple[str, ...]:
    """Return the keys under which a record was left; one about the batch counts for each column."""
    if record.code == SCHEMA:
        return SCHEMA, EXTRA_COLUMNS
    return record.code, f"{record.code}:{record.column}"


def _is_left(key: str, seen: set[str]) -> bool:
    return key in seen or f"{key.partition(':')[0]}:" in seen


def _rules_of(
    record: SignalRecord, rules: Mapping[str, SignalRule]
) -> tuple[SignalRule | None, ...]:
    """Return the rules that count for a record; two for a batch with columns too many.

    ``SCHEMA`` warns only about extra columns, which may have a rule of their own. If other
    columns failed too, both rules count.
    """
    general = rules.get(record.code)
    if record.code != SCHEMA:
        return (rules.get(f"{record.code}:{record.column}", general),)
    extra = rules.get(EXTRA_COLUMNS, general)
    if record.status is Status.WARNED:
        return (extra,)
    return (general, extra) if record.status is Status.FAILED and _has_extra(record) else (general,)


def _has_extra(record: SignalRecord) -> bool:
    return bool(record.evidence.get("extra"))


def _worst(results: Iterable[Result]) -> Result:
    return max(results, key=RESULTS.index)


def _unevaluated(key: str) -> Reason:
    code, _, column = key.partition(":")
    where = f"{code}: column {column}" if column else code
    return Reason(code, column, Status.FAILED, f"{where}: {NOBODY}")


def _result(record: SignalRecord, rule: SignalRule | None) -> Result:
    if record.status is Status.NOT_EVALUATED or _has_nan(record):
        excused = rule is not None and rule.not_evaluated
        return Status.WARNED if excused else Status.FAILED
    if record.status is Status.PASSED or rule is None:
        # Silence is not consent: a signal that nobody named still counts.
        return record.status
    return Status.FAILED if rule.severity is Severity.BLOCK else Status.WARNED


def _has_nan(record: SignalRecord) -> bool:
    numbers = (record.effect, record.effect_bound, record.p_value, record.tolerance, record.alpha)
    return any(number is not None and math.isnan(number) for number in numbers)


def _message(record: SignalRecord) -> str:
    return record.message or ": ".join(filter(None, (record.code, record.column, record.status)))
