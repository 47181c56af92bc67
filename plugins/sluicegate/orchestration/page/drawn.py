"""What the page draws: numbers of signed evidence, with names that a policy lets it show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sluicegate.gate.kept_shapes import shapes_to_json
from sluicegate.gate.promotion import Lane
from sluicegate.signals.decision.shape import Played

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.decision.shape import Shape
    from sluicegate.workflow.evidence.kept_findings import Kept

MOST_NAMED: Final = 7
"""Contributors that a drawing over time names; the others are one."""

_PARTS: Final = ("contributors", "information_limit", "baseline")
"""What of a record's evidence is drawn as it stands."""
_TIED: Final = ("rows", "rows_of_class", "rows_before")
_WINDOW: Final = ("from_ms", "to_ms", "rows", "explained")
_MOST: Final = 10


def drawn_evidence(record: SignalRecord) -> dict[str, Any]:
    """Return the part of a record's evidence that is drawn.

    Words, values and names of categories stay in the evidence: it is signed for whoever may read
    the ledger, not for all who may read an asset.

    Args:
        record: A finding.
    """
    found = {key: record.evidence[key] for key in _PARTS if key in record.evidence}
    tied, windows = record.evidence.get("associations"), record.evidence.get("windows")
    if isinstance(tied, list):
        found["associations"] = [_numbers(item, _TIED) for item in tied[:_MOST]]
    if isinstance(windows, dict):
        # What leans to a label or contributor is told again for each window.
        dense = [k for k, v in windows.items() if isinstance(v, dict) and v.keys() == set(_WINDOW)]
        found["windows"] = [{"subject": k, **_numbers(windows[k], _WINDOW)} for k in dense[:_MOST]]
    return found


def _numbers(item: Any, keys: Sequence[str]) -> dict[str, float]:
    if not isinstance(item, dict):
        return {}
    return {key: item[key] for key in keys if isinstance(item.get(key), int | float)}


def drawn_shapes(kept: Kept) -> dict[str, Any] | None:
    """Return how accused columns are spread; None behind a verdict of a version that kept none.

    Args:
        kept: What the gate kept.
    """
    return None if kept.shapes is None else shapes_to_json(kept.shapes)


def contributors_over_time(kept: Sequence[Kept]) -> dict[str, Any] | None:
    """Return the shares of contributors in several batches; None where no evidence tells any.

    Args:
        kept: What the gate kept of each batch.

    Returns:
        ``names``, those with most of all rows first, and ``shares`` by batch, in the order of the
        names and with all others last; None for a batch whose evidence does not tell.
    """
    told = [_rows_by_contributor(one) for one in kept]
    total: dict[str, float] = {}
    for rows in told:
        for name, share in (rows or {}).items():
            total[name] = total.get(name, 0.0) + share
    there = (name for name, share in total.items() if share)
    names = sorted(there, key=lambda name: (-total[name], name))[:MOST_NAMED]
    if not names:
        return None
    return {"names": names, "shares": [_shares(rows, names) for rows in told]}


def _shares(rows: Mapping[str, float] | None, names: Iterable[str]) -> list[float] | None:
    if rows is None:
        return None
    named = [rows.get(name, 0.0) for name in names]
    return [*named, max(0.0, 1.0 - sum(named))]


def _rows_by_contributor(kept: Kept) -> dict[str, float] | None:
    shapes: Sequence[Shape] = () if kept.shapes is None else kept.shapes.get(Lane.ANCHORED, ())
    for shape in shapes:
        if shape.role is Played.CONTRIBUTOR:
            return dict(zip(shape.cells, shape.batch, strict=True))
    return None


__all__ = ["MOST_NAMED", "contributors_over_time", "drawn_evidence", "drawn_shapes"]
