"""UNJUDGED: files of a batch that no reader knows, so that nobody can have judged their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.signals.decision.record import UNJUDGED, Family, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.adapters.files.formats import Unjudged

_NAMED: Final = 5


def unjudged_records(found: Sequence[Unjudged]) -> tuple[SignalRecord, ...]:
    """Return the finding about a batch's files.

    Args:
        found: Files that were not read; empty for a batch that was read whole, or has no files.

    Returns:
        One record, FAILED if there is a file: the rows in it may be anything.
    """
    if not found:
        return (_record(Status.PASSED, 0, f"{UNJUDGED}: every file was read."),)
    named = ", ".join(str(item) for item in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    text = f"{UNJUDGED}: {len(found)} file(s) of the batch were not read: {named}{more}"
    return (_record(Status.FAILED, len(found), text),)


def _record(status: Status, n_files: int, text: str) -> SignalRecord:
    return SignalRecord(
        code=UNJUDGED,
        family=Family.COMPLETENESS,
        status=status,
        null_hypothesis="none: what was read is a fact",
        effect=float(n_files),
        effect_unit="files",
        tolerance=0.0,
        message=text,
    )
