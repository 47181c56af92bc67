"""Which rows TIME_BURST names: those of the window that explains most, of its class or sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.scan import Scan

_MOST = 0.8


def burst_probability(scan: Scan, record: SignalRecord) -> NDArray[np.float64]:
    """Return each row's probability of belonging to what came beyond the usual.

    Args:
        scan: The pass over the batch.
        record: The fired record; times out of range name no rows.

    Returns:
        float64, shape (n_rows,), in [0, 0.999].
    """
    times, who, slot = (np.concatenate(parts) for parts in zip(*scan.arrival.kept, strict=True))
    windows = record.evidence["windows"]
    fired = [windows[s] for s in record.evidence.get("fired", []) if s in windows]
    # A window that leans to a class or sender says more than the burst alone.
    leaning = [w for w in fired if "slot" in w or "who" in w] or fired
    out = np.zeros(times.size)
    if not leaning:
        return out
    most = max(w["rows"] - w["explained"] for w in leaning)
    # Of the windows that hold most of the excess, the one with the fewest others.
    holding = [w for w in leaning if w["rows"] - w["explained"] >= _MOST * most]
    window = min(holding, key=lambda w: w["explained"] / max(w["rows"], 1))
    inside = (times >= window["from_ms"]) & (times < window["to_ms"])
    inside &= slot == window["slot"] if "slot" in window else True
    inside &= who == window["who"] if "who" in window else True
    out[inside] = float(np.clip(1.0 - window["explained"] / max(window["rows"], 1), 0.01, 0.999))
    return out
