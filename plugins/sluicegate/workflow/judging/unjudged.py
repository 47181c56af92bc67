"""UNJUDGED: files of a batch that no reader knows, so nobody has judged their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.signals.decision.record import UNJUDGED
from sluicegate.workflow.judging.facts import fact_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.adapters.files.formats import Unjudged
    from sluicegate.signals.decision.record import SignalRecord

_NAMED: Final = 5


def unjudged_records(found: Sequence[Unjudged]) -> tuple[SignalRecord, ...]:
    """Return the finding about a batch's files.

    Args:
        found: Files that were not read; empty for a batch that was read whole, or has no files.

    Returns:
        One record. It is FAILED if a file was not read: its rows may be anything.
    """
    if not found:
        return (_record(0, f"{UNJUDGED}: every file was read."),)
    named = ", ".join(str(item) for item in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    text = f"{UNJUDGED}: {len(found)} file(s) of the batch were not read: {named}{more}"
    return (_record(len(found), text),)


def _record(n_files: int, text: str) -> SignalRecord:
    known = "what was read is a fact"
    return fact_record(UNJUDGED, n_files, unit="files", known=known, message=text)
