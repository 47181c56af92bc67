"""The text for a person when Sluicegate stops something: what, where, how much, what to run next.

Commands, the gate's task and the guard show the same text.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sluicegate.errors import (
    ConfigError,
    DataError,
    EvidenceMissing,
    Expired,
    GateBlocked,
    IntegrityError,
    LedgerCorrupt,
    LedgerError,
    SluicegateError,
    VerificationError,
)
from sluicegate.gate.verdict import NOBODY, Verdict, joined
from sluicegate.signals.decision.record import UNEVALUATED, Status
from sluicegate.untrusted import visible
from sluicegate.workflow.evidence.home import SOURCE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.gate.verdict import Reason

_NO_FINDING: Final = (
    "The baseline has nothing that this signal looks at, or the suite leaves it out. If the source "
    "need not have it, write `required: false` into its rule of the policy."
)
_NOT_EVALUATED: Final = (
    "What was not evaluated counts as FAILED. If the source cannot give what is lacking, say why "
    'in the policy: CODE: {severity: block, not_evaluated: "..."} (docs/formats/policy.md).'
)

# The first class that fits counts; the last one fits anything.
_COMMANDS: Final[tuple[tuple[type[SluicegateError], str], ...]] = (
    (GateBlocked, "sluicegate history {source}"),
    (IntegrityError, "sluicegate history {source}"),
    (EvidenceMissing, "sluicegate gate {source}"),
    (Expired, "sluicegate gate {source}"),
    (VerificationError, "sluicegate audit"),
    (LedgerCorrupt, "sluicegate ledger verify"),
    (LedgerError, "sluicegate doctor"),
    (DataError, "sluicegate doctor"),
    (ConfigError, "sluicegate doctor"),
    (SluicegateError, "sluicegate doctor"),
)


def reason_lines(
    reasons: Iterable[Reason], *, most: int | None = None, rest: str = ""
) -> list[str]:
    """Return the lines that show the reasons of a verdict, in the same order.

    Args:
        reasons: Reasons of a verdict or a check, worst first.
        most: Reasons that get a line of their own; None for all.
        rest: Where to find the others.

    Returns:
        Lines, the last of them what to do if something was not evaluated.
    """
    lines = []
    reasons = list(joined(reasons))
    for reason in reasons[:most]:
        lines.append(f"  {reason.result.value}  {visible(reason.message)}")
        if reason.message.endswith(NOBODY):
            lines.append(f"          {_NO_FINDING}")
    others = [] if most is None else reasons[most:]
    if others:
        codes = by_code(reason.code for reason in others)
        lines.append(f"  and {len(others):,} more: {codes}; {rest}")
    hint = hint_of(reasons)
    return [*lines, f"  {hint}"] if hint else lines


def hint_of(reasons: Iterable[Reason]) -> str:
    """Return what to do if something was not evaluated; "" if everything was.

    Args:
        reasons: Reasons of a verdict or a check.
    """
    unevaluated = any(r.result is Status.FAILED and UNEVALUATED in r.message for r in reasons)
    return _NOT_EVALUATED if unevaluated else ""


def by_code(codes: Iterable[str]) -> str:
    """Return how many findings each signal left, most first.

    Args:
        codes: The signal of each finding.

    Example:
        >>> by_code(["SCHEMA", "OUTLIERS", "OUTLIERS"])
        '2 OUTLIERS, SCHEMA'
    """
    counts = Counter(codes).most_common()
    return ", ".join(code if n == 1 else f"{n:,} {code}" for code, n in counts)


def block(error: SluicegateError, *, command: bool = False) -> str:
    """Return everything that a person should read about an error.

    Args:
        error: What stopped the work. Its own text says what, where, and what to do.
        command: Whether to name the command that shows more.

    Returns:
        The error in one line, each reason of the verdict that blocks, and the command.
    """
    lines = [visible(str(error))]
    if isinstance(error, GateBlocked) and isinstance(error.verdict, Verdict):
        lines += reason_lines(error.verdict.reasons)
    if command:
        lines.append(f"  Next: {_command(error)}")
    return "\n".join(lines)


def _command(error: SluicegateError) -> str:
    named = error.locator.partition("@")[0]
    source = named if SOURCE_NAME.fullmatch(named) else "SOURCE"
    return next(text for kind, text in _COMMANDS if isinstance(error, kind)).format(source=source)
