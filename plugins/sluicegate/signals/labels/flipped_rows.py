"""Each row's probability that its label is wrong, from what two models of the baseline say.

Bayes: the prior odds of a flip, by contributor and class where the signal found where flips are;
times the likelihood ratio of the row's margin under the reference model, interpolated between its
calibrated bins; mixed with the log-odds of a linear model, by how right both are on this batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.chunk import kept_classes
from sluicegate.signals.labels.information import tells
from sluicegate.signals.model.evidence import evidence_of
from sluicegate.signals.model.margin_count import kept_margins, kept_views, second_opinions
from sluicegate.signals.model.second_opinion import combine
from sluicegate.signals.model.unknown import SILENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.model.reference import LabelReference
    from sluicegate.signals.traces import Traces

    Floats = NDArray[np.float64]

_PRIOR = 0.01  # share of bad labels assumed where no signal fired: natural label error or less


def kept_contributors(chunk: Chunk) -> tuple[NDArray[np.int32] | None, tuple[str | None, ...]]:
    """Return each row's contributor, int32, shape (n_rows,), and their names; or None and none."""
    return chunk.encoded.contributor, chunk.encoded.contributors


KEPT = (kept_classes, kept_margins, kept_views, second_opinions, kept_contributors)
"""Views of each record batch that the posterior needs."""


def flip_posterior(traces: Traces, record: SignalRecord | None) -> Floats:
    """Return each row's probability of a wrong label.

    Args:
        traces: The rows of the batch.
        record: The signal on label flips if it fired.

    Returns:
        float64, shape (n_rows,), in [0, 1]; 0 for rows whose label is not modelled.
    """
    reference = traces.baseline.labels
    if reference is None or not tells(reference) or not traces.n_rows:
        return np.zeros(traces.n_rows)
    class_index, view = traces.joined(kept_classes).astype(np.intp), traces.joined(kept_views)
    known = (class_index >= 0) & (view != SILENT)
    labels, out = class_index[known], np.zeros(class_index.size)
    if not labels.size:
        return out
    n = np.bincount(labels, minlength=len(reference.model.classes))
    shares = np.clip(n / labels.size, 1e-6, 1.0 - 1e-6)
    odds = _likelihood_ratio(traces, reference, known, labels, shares)
    odds += np.log(_by_class(traces, shares, fired=record is not None))[labels]
    prior = _prior(traces, record)[known]
    out[known] = 1.0 / (1.0 + np.exp(-odds) * (1.0 - prior) / prior)
    return out


def _likelihood_ratio(
    traces: Traces,
    reference: LabelReference,
    known: NDArray[np.bool_],
    labels: NDArray[np.intp],
    shares: Floats,
) -> Floats:
    """Return log-likelihoods of the rows among other classes less those among their own."""
    margin = traces.joined(kept_margins).astype(np.float64)
    view, odds = traces.joined(kept_views)[known], np.zeros(labels.size)
    for v, calibration in enumerate(reference.calibrations):
        rows = view == v
        odds[rows] = calibration.scale.flip_odds(margin[known][rows], labels[rows])
    opinions = [part for part in traces.of(second_opinions) if part is not None]
    if len(opinions) < len(traces.parts):
        return odds
    # Models speak of labels, and know the shares of classes: add these to compare, take them off.
    others = np.log((1.0 - shares) / shares)[labels]
    return combine(odds + others, np.concatenate(opinions).astype(np.float64)[known]) - others


def _prior(traces: Traces, record: SignalRecord | None) -> Floats:
    """Return the estimated flip share of the row's contributor, or of all rows."""
    prior = np.full(traces.n_rows, _PRIOR)
    if record is None or record.effect is None:
        return prior
    group = _accused(traces, set(record.evidence.get("fired", [])))
    share = record.effect * traces.n_rows / max(int(group.sum()), 1)
    prior[group] = min(max(share, _PRIOR), 0.9)
    return prior


def _accused(traces: Traces, fired: set[str]) -> NDArray[np.bool_]:
    """Return the rows of the contributors that fired; all rows if none did."""
    called, flags, some = traces.comparison.naming.subject, [], False
    for (index, names), n_rows in zip(traces.of(kept_contributors), traces.sizes, strict=True):
        named = np.array([name is not None and called(name) in fired for name in names], dtype=bool)
        some = some or bool(named.any())
        flags.append(np.zeros(n_rows, dtype=bool) if index is None else named[index])
    return np.concatenate(flags) if some else np.ones(traces.n_rows, dtype=bool)


def _by_class(traces: Traces, shares: Floats, *, fired: bool) -> Floats:
    """How many times as often as labels at large those of each class are wrong.

    A flip may hit any row, so a label is the more often wrong the rarer it is. Where flips were
    found, the estimate of each class counts instead as far as it differs by more than its error.
    """
    usual: Floats = (1.0 - shares) / shares / max(shares.size - 1, 1)
    if not fired:
        return usual
    judged = evidence_of(traces.comparison)
    n = np.maximum(judged.total.sum(axis=(0, 2)), 1)
    found = np.maximum((judged.total * judged.scores).sum(axis=(0, 2)) / n, 0.0)
    whole = float((n * found).sum() / n.sum())
    if whole <= 0.0:
        return usual
    apart = (found - whole * usual) ** 2
    variance = (judged.total.sum(axis=2) * judged.variance).sum(axis=0) / n
    trust = apart / (apart + variance / n + 1e-12)
    mixed: Floats = (1.0 - trust) * usual + trust * found / whole
    return np.clip(mixed, 0.05, 20.0, out=mixed)
