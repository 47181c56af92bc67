"""Each row's probability that its label is wrong, from what two models of the baseline say.

Bayes: the prior odds of a flip, by contributor and class where the signal found where flips are;
times the likelihood ratio of the row's margin under the reference model, interpolated between its
calibrated bins; mixed with the log-odds of a linear model, by how right both are on this batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.labels.second_opinion import combine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.labels.reference import LabelReference
    from sluicegate.signals.scan import Scan

    Floats = NDArray[np.float64]

_PRIOR = 0.01  # share of bad labels assumed where no signal fired: natural label error or less


def flip_posterior(scan: Scan, reference: LabelReference, record: SignalRecord | None) -> Floats:
    """Return each row's probability of a wrong label, float64, shape (n_rows,).

    Args:
        scan: The pass over the batch, of at least one row.
        reference: What the baseline knows about labels.
        record: The signal on label flips if it fired.
    """
    class_index = np.concatenate([p.class_index for p in scan.parts]).astype(np.intp)
    known = class_index >= 0
    labels, out = class_index[known], np.zeros(class_index.size)
    if not labels.size:
        return out
    n = np.bincount(labels, minlength=len(reference.model.classes))
    shares = np.clip(n / labels.size, 1e-6, 1.0 - 1e-6)
    odds = _likelihood_ratio(scan, reference, known, labels, shares)
    odds += np.log(_by_class(scan, reference, shares, fired=record is not None))[labels]
    prior = _prior(scan, class_index.size, record)[known]
    out[known] = 1.0 / (1.0 + np.exp(-odds) * (1.0 - prior) / prior)
    return out


def _likelihood_ratio(
    scan: Scan,
    reference: LabelReference,
    known: NDArray[np.bool_],
    labels: NDArray[np.intp],
    shares: Floats,
) -> Floats:
    """Return log-likelihoods of the rows among other classes less those among their own."""
    margin = np.concatenate([p.margin for p in scan.parts]).astype(np.float64)
    odds = reference.scale.flip_odds(margin[known], labels)
    opinions = [p.second for p in scan.parts if p.second is not None]
    if len(opinions) < len(scan.parts):
        return odds
    # Models speak of labels, and know the shares of classes: add these to compare, take them off.
    others = np.log((1.0 - shares) / shares)[labels]
    return combine(odds + others, np.concatenate(opinions).astype(np.float64)[known]) - others


def _prior(scan: Scan, n_rows: int, record: SignalRecord | None) -> Floats:
    """Return the estimated flip share of the row's contributor, or of all rows."""
    prior = np.full(n_rows, _PRIOR)
    if record is None or record.effect is None:
        return prior
    fired, called = set(record.evidence.get("fired", [])), scan.naming.subject
    who = [i for name, i in scan.names.items() if name is not None and called(name) in fired]
    contributor = np.concatenate([p.contributor for p in scan.parts])
    group = np.isin(contributor, who) if who else np.ones(n_rows, dtype=bool)
    share = record.effect * n_rows / max(int(group.sum()), 1)
    prior[group] = min(max(share, _PRIOR), 0.9)
    return prior


def _by_class(scan: Scan, reference: LabelReference, shares: Floats, *, fired: bool) -> Floats:
    """How many times as often as labels at large those of each class are wrong.

    A flip may hit any row, so a label is the more often wrong the rarer it is. Where flips were
    found, the estimate of each class counts instead as far as it differs by more than its error.
    """
    usual: Floats = (1.0 - shares) / shares / max(shares.size - 1, 1)
    if not fired:
        return usual
    counts = np.sum(list(scan.flip_counts.values()), axis=0)
    u, (f, _) = reference.scale.flip_scores(), reference.scale.densities()
    n = np.maximum(counts.sum(axis=1), 1)
    found = np.maximum((counts * u).sum(axis=1) / n, 0.0)
    whole = float((n * found).sum() / n.sum())
    if whole <= 0.0:
        return usual
    apart = (found - whole * usual) ** 2
    trust = apart / (apart + (f * u**2).sum(axis=1) / n + 1e-12)
    mixed: Floats = (1.0 - trust) * usual + trust * found / whole
    return np.clip(mixed, 0.05, 20.0, out=mixed)
