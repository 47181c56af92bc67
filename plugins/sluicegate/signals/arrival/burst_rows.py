"""Which rows TIME_BURST names: in the window that explains most, of its class or contributor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.arrival.arrival_count import arrivals_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.traces import Traces

_MOST = 0.8


def burst_probability(traces: Traces, record: SignalRecord) -> NDArray[np.float64]:
    """Return each row's probability of belonging to what came beyond the usual.

    Args:
        traces: The rows of the batch.
        record: The fired record; times out of range name no rows.

    Returns:
        float64, shape (n_rows,), in [0, 0.999].
    """
    found = traces.of(arrivals_of)
    times = np.concatenate([part.times for part in found])
    windows = record.evidence["windows"]
    fired = [windows[s] for s in record.evidence.get("fired", []) if s in windows]
    # A window that leans to a class or contributor says more than the burst alone.
    leaning = [w for w in fired if "slot" in w or "who" in w] or fired
    out = np.zeros(times.size)
    if not leaning:
        return out
    most = max(w["rows"] - w["explained"] for w in leaning)
    # Of the windows that hold most of the excess, the one with the fewest others.
    holding = [w for w in leaning if w["rows"] - w["explained"] >= _MOST * most]
    window = min(holding, key=lambda w: w["explained"] / max(w["rows"], 1))
    inside = (times >= window["from_ms"]) & (times < window["to_ms"])
    if "slot" in window:
        inside &= np.concatenate([part.slot for part in found]) == window["slot"]
    if "who" in window:
        inside &= np.concatenate([part.contributor for part in found]) == window["who"]
    out[inside] = float(np.clip(1.0 - window["explained"] / max(window["rows"], 1), 0.01, 0.999))
    return out
