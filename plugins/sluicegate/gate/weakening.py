"""What one policy lets pass that an earlier one stopped.

A tightened rule is no finding. If a rule changed its meaning in a way that this module does not
know, it counts as weakened: the auditor reads one line too many, never one too few.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sluicegate.signals.decision.record import EXTRA_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.gate.policy import Policy, SignalRule
    from sluicegate.gate.policy_sections import Freshness, ModelRules
    from sluicegate.gate.waiver_rules import WaiverRules
    from sluicegate.signals.contributors.rules import ContributorLimits


def weakened(old: Policy, new: Policy) -> tuple[str, ...]:
    """Return in words every way in which ``new`` lets more pass than ``old``.

    Args:
        old: Policy of the earlier verdict.
        new: Policy of the later verdict.

    Returns:
        One clause for each weakening, the general ones first, then by signal code; empty if the
        new policy is as strict or stricter.

    Example:
        >>> from dataclasses import replace
        >>> from sluicegate.digest.algorithms import sha256_bytes
        >>> from sluicegate.gate.policy import Mode, Policy, Severity, SignalRule
        >>> from sluicegate.signals.decision.record import Status
        >>> old = Policy(digest=sha256_bytes(b""), mode=Mode.ENFORCE, raw=b"",
        ...     accept=frozenset({Status.PASSED}), false_block_budget=0.01, verdict_ttl_s=60,
        ...     signals={"DRIFT": SignalRule(severity=Severity.BLOCK)})
        >>> weakened(old, replace(old, mode=Mode.SHADOW))
        ('mode enforce -> shadow',)
    """
    return (*_one(old, new), *_sources(old, new))


def _one(old: Policy, new: Policy) -> Iterator[str]:
    yield from _general(old, new)
    yield from _waiver(old.waiver, new.waiver)
    yield from _freshness(old.freshness, new.freshness)
    yield from _contributors(old.contributors, new.contributors)
    yield from _model(old.model, new.model)
    for name, before, after in new.limits.looser(old.limits):
        yield f"limits {name} {before} -> {after}"
    if dropped := sorted(old.promoted - new.promoted):
        yield f"promoted no longer asks for {', '.join(dropped)}"
    yield from _signals(old, new)


def _sources(old: Policy, new: Policy) -> Iterator[str]:
    for source in sorted(old.sources.keys() | new.sources.keys()):
        clauses = _one(old.for_source(source), new.for_source(source))
        yield from (f"source {source}: {clause}" for clause in clauses)


def _freshness(old: Freshness | None, new: Freshness | None) -> Iterator[str]:
    for name in ("sealed", "baseline"):
        before, after = (getattr(item, f"{name}_s", None) for item in (old, new))
        if before is not None and (after is None or after > before):
            shown = "no limit" if after is None else f"{after / 3600:g}"
            yield f"freshness {name}_hours {before / 3600:g} -> {shown}"


def _model(old: ModelRules | None, new: ModelRules | None) -> Iterator[str]:
    if old is None or new is None:
        return  # without the section no model passes, so it is no weakening to add it
    for name in (
        "max_regression",
        "max_class_regression",
        "max_slice_regression",
        "max_disagreement",
        "max_leakage",
    ):
        before, after = getattr(old, name), getattr(new, name)
        if after > before:
            yield f"model {name} {before:g} -> {after:g}"
    if dropped := sorted(set(old.slices) - set(new.slices)):
        yield f"model no longer sliced by {', '.join(dropped)}"


def _contributors(old: ContributorLimits | None, new: ContributorLimits | None) -> Iterator[str]:
    if old is None:
        return
    if new is None:
        yield "contributor limits dropped"
        return
    for name, before, after in old.changed(new):
        # Longer and shorter periods stop different floods, so any change of one counts.
        looser = after is None or (before is not None and after > before)
        if before is not None and (looser or name == "period_hours"):
            shown = "no limit" if after is None else f"{after:g}"
            yield f"contributors {name} {before:g} -> {shown}"


def _general(old: Policy, new: Policy) -> Iterator[str]:
    if (old.mode, new.mode) == ("enforce", "shadow"):
        yield "mode enforce -> shadow"
    if added := sorted(new.accept - old.accept):
        yield f"accept widened by {', '.join(added)}"
    if new.verdict_ttl_s > old.verdict_ttl_s:
        yield f"verdict_ttl_hours {old.verdict_ttl_s / 3600:g} -> {new.verdict_ttl_s / 3600:g}"
    if new.false_block_budget < old.false_block_budget:
        # A smaller budget for false alarms asks for stronger evidence before it blocks.
        yield f"false_block_budget {old.false_block_budget:g} -> {new.false_block_budget:g}"


def _waiver(old: WaiverRules | None, new: WaiverRules | None) -> Iterator[str]:
    if new is None:
        return
    if old is None:
        yield f"waivers allowed for {', '.join(sorted(new.allow))}"
        return
    if added := sorted(new.allow - old.allow):
        yield f"waiver allow widened by {', '.join(added)}"
    if new.max_s > old.max_s:
        yield f"waiver max_hours {old.max_s / 3600:g} -> {new.max_s / 3600:g}"
    if new.approvers < old.approvers:
        yield f"waiver approvers {old.approvers} -> {new.approvers}"
    if old.persons and old.persons != new.persons:
        yield "waiver persons changed"


def _signals(old: Policy, new: Policy) -> Iterator[str]:
    for code in sorted(old.signals.keys() | new.signals.keys()):
        before, after = old.signals.get(code), new.signals.get(code)
        if after is None:
            # It still counts with its own severity, but need not have been evaluated.
            yield f"{code}: rule dropped"
        elif before is None:
            yield from (f"{code}: {change}" for change in _new_rule(old, code, after))
        else:
            yield from (f"{code}: {change}" for change in _rule(before, after))


def _new_rule(old: Policy, code: str, new: SignalRule) -> Iterator[str]:
    """Yield what a new rule weakens: the rule of a column replaces the rule of its signal."""
    if code == EXTRA_COLUMNS:
        return  # without the rule no column too many ever fires
    general, _, column = code.partition(":")
    if column and (before := old.signals.get(general)) is not None:
        # It need not be required: the baseline says whether the column is there.
        yield from _rule(replace(before, required=new.required), new)
        return
    # Without a rule the signal's own severity counts, so a named rule may excuse it.
    if new.severity == "warn":
        yield "new rule with severity warn"
    if new.not_evaluated:
        yield "may now stay unevaluated"
    if new.tolerance is not None:
        yield f"tolerance learned -> {_number(new.tolerance)}"


def _rule(old: SignalRule, new: SignalRule) -> Iterator[str]:
    if (old.severity, new.severity) == ("block", "warn"):
        yield "severity block -> warn"
    if old.required and not new.required:
        yield "required dropped"
    if new.not_evaluated and not old.not_evaluated:
        yield "may now stay unevaluated"
    if old.tolerance != new.tolerance and not _tighter(old.tolerance, new.tolerance):
        yield f"tolerance {_number(old.tolerance)} -> {_number(new.tolerance)}"


def _tighter(old: float | None, new: float | None) -> bool:
    """Return whether the tolerance surely fell; nobody can compare with a learned one."""
    return old is not None and new is not None and new < old


def _number(tolerance: float | None) -> str:
    return "learned" if tolerance is None else f"{tolerance:g}"
