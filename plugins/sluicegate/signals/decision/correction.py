"""From findings to records: one budget of false alarms for the whole run.

The budget is split over the groups that are present (weights below) and inside a group
by Holm's step-down procedure over its findings; a finding has corrected for its own
candidates. The family-wise error of the run is therefore at most the budget under any
dependence (Holm 1979; weighted Bonferroni between families). A finding fires only if, beyond
that, the lower bound of its effect exceeds the tolerance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.signals.decision.record import UNEVALUATED, Family, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.signals.decision.finding import Candidate, Finding

# Contamination and labels are what a gate is for; drift and other warnings, and lost values,
# are rarely borderline.
_WEIGHTS: Mapping[Family, float] = {
    Family.COMPLETENESS: 0.5,
    Family.DRIFT: 1.0,
    Family.LABEL: 3.0,
    Family.CONTAMINATION: 5.0,
}
_MILD_WEIGHT = 0.5
_ORDER = (Status.FAILED, Status.WARNED)


def corrected_records(
    findings: Sequence[Finding], false_block_budget: float
) -> tuple[SignalRecord, ...]:
    """Return a record for each finding, in the order given.

    Args:
        findings: All findings of the run.
        false_block_budget: Largest probability that a clean batch raises any alarm, (0, 1).
    """
    levels = _levels(findings, false_block_budget)
    return tuple(_record(finding, level) for finding, level in zip(findings, levels, strict=True))


def _levels(findings: Sequence[Finding], budget: float) -> list[float | None]:
    tested = [i for i, f in enumerate(findings) if not f.reason and not f.exact and _computable(f)]
    groups = sorted({_group(findings[i]) for i in tested})
    total = sum(weight for _, _, weight in groups)
    levels: list[float | None] = [None] * len(findings)
    for group in groups:
        share = budget * group[2] / total
        members = sorted(
            (i for i in tested if _group(findings[i]) == group), key=lambda i: findings[i].p_value
        )
        level, open_ = share / len(members), True
        for rank, i in enumerate(members):
            # After the first acceptance Holm rejects nothing more, so the level stays there
            # (and later p-values are larger: they cannot pass it).
            if open_:
                level = share / (len(members) - rank)
                open_ = findings[i].p_value <= level
            levels[i] = level
    return levels


def _group(finding: Finding) -> tuple[str, bool, float]:
    """Findings that share a budget: one family, and those that can only warn apart.

    A warning must not take error budget from what protects the training.
    """
    mild = all(finding.severity(c) is Status.WARNED for c in finding.candidates)
    apart = mild and finding.family is not Family.DRIFT
    weight = _MILD_WEIGHT if apart else _WEIGHTS.get(finding.family, 1.0)
    return finding.family.value, apart, weight


def _computable(finding: Finding) -> bool:
    return all(candidate.computable for candidate in finding.candidates)


def _record(finding: Finding, level: float | None) -> SignalRecord:
    if finding.reason or not _computable(finding) or not finding.candidates:
        reason = finding.reason or "a statistic is not a number"
        return SignalRecord(
            code=finding.code,
            family=finding.family,
            status=Status.NOT_EVALUATED,
            column=finding.column,
            null_hypothesis=finding.null_hypothesis,
            n_baseline=finding.n_baseline,
            n_batch=finding.n_batch,
            evidence=dict(finding.evidence),
            message=f"{_where(finding)}{UNEVALUATED}{reason}.",
        )
    fired = [c for c in finding.candidates if _fires(finding, c, level)]
    # The narrowest subject explains most: a contributor before a class before the whole batch.
    fired.sort(key=lambda c: (_ORDER.index(finding.severity(c)), -c.depth, c.p_value, -c.bound))
    shown = (
        fired[0]
        if fired
        else max(finding.candidates, key=lambda c: (c.bound - c.tolerance, c.effect))
    )
    evidence = dict(finding.evidence)
    if fired and fired[0].subject:
        evidence["fired"] = [c.subject for c in fired]
    return SignalRecord(
        code=finding.code,
        family=finding.family,
        status=finding.severity(shown) if fired else Status.PASSED,
        column=finding.column,
        null_hypothesis=finding.null_hypothesis,
        n_baseline=finding.n_baseline,
        n_batch=finding.n_batch,
        effect=shown.effect,
        effect_bound=shown.bound,
        effect_unit=finding.effect_unit,
        tolerance=shown.tolerance,
        p_value=None if finding.exact else min(1.0, shown.p_value * len(finding.candidates)),
        alpha=level,
        evidence=evidence,
        message=_message(finding, shown, fired=bool(fired)),
    )


def _fires(finding: Finding, candidate: Candidate, level: float | None) -> bool:
    if candidate.bound <= candidate.tolerance:
        return False
    if finding.exact:
        return True
    return level is not None and candidate.p_value * len(finding.candidates) <= level


def _where(finding: Finding) -> str:
    return f"{finding.code}: column {finding.column}" if finding.column else finding.code


def _message(finding: Finding, shown: Candidate, *, fired: bool) -> str:
    head = _where(finding) + (f": {shown.subject}" if shown.subject else "")
    if finding.exact:
        return f"{head}: {shown.text}." + (f" {shown.hint}" if fired and shown.hint else "")
    p = min(1.0, shown.p_value * len(finding.candidates))
    chance = "p < 1e-12" if p < 1e-12 else f"p = {p:.2g}"
    beyond = " >" if shown.bound > shown.tolerance else ","
    numbers = (
        f"lower bound {percent(shown.bound)}{beyond} tolerance {percent(shown.tolerance)}, {chance}"
    )
    note = f" {finding.note[0].upper()}{finding.note[1:]}." if finding.note else ""
    text = f"{head}: {shown.text} ({numbers})."
    if not fired:
        return f"{text} Within what is tolerated.{note}"
    return f"{text} {shown.hint}{note}" if shown.hint else f"{text}{note}"


def percent(share: float) -> str:
    """Return a share as text with two significant digits, never more than needed."""
    value = 100.0 * share
    return f"{value:.1f} %" if abs(value) >= 1 else f"{value:.2g} %"


def listed(names: Sequence[str]) -> str:
    """Return names as text, at most five of them, each cut to 64 characters.

    One without a name, or with a blank at an end, is quoted.

    Example:
        >>> listed(["x", "", "y "])
        'x, "", "y "'
    """
    cut = (name[:64] for name in names[:5])
    shown = ", ".join(name if name and name == name.strip() else f'"{name}"' for name in cut)
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
