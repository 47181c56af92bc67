"""Row scores: the probability that a row is bad, given which signals fired.

Each fired signal names rows with a probability that follows from its own counts: among rows
that show the signal's trace, the share beyond what the baseline leads one to expect. A row's
score is the largest of these. Rows without a trace keep the label model's posterior, which
ranks them even when nothing fired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sluicegate.signals.arrival.burst_rows import burst_probability
from sluicegate.signals.arrival.time_burst import CODE as BURST
from sluicegate.signals.columns import outliers
from sluicegate.signals.copies import duplicates, leakage
from sluicegate.signals.copies.conflict_rows import conflict_probability
from sluicegate.signals.copies.conflicts import CODE as CONFLICTS
from sluicegate.signals.decision.record import SignalRecord, Status
from sluicegate.signals.labels import trusted as label_trusted
from sluicegate.signals.labels.flipped_rows import flip_posterior
from sluicegate.signals.labels.flips import CODE as FLIPS
from sluicegate.signals.text import dictionary, hidden_unicode
from sluicegate.signals.triggers import associations as trigger
from sluicegate.signals.triggers import pairs as trigger_pairs
from sluicegate.signals.triggers.pair_table import rows_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.scan import Part, Scan

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_NAMED = 0.5  # a row is named when it is more likely bad than not


def row_scores(
    scan: Scan, records: Sequence[SignalRecord]
) -> tuple[Floats, tuple[tuple[str, ...], ...]]:
    """Return each row's score in [0, 1] and the codes it is named for.

    Args:
        scan: The pass over the batch.
        records: Decided records.

    Returns:
        float64, shape (n_rows,), in the order of the rows; and a tuple of codes for each row,
        empty unless a fired signal names the row.
    """
    n = scan.profile.n_rows
    scores = np.zeros(n)
    reasons: list[tuple[str, ...]] = [()] * n
    fired = [r for r in records if r.status in (Status.FAILED, Status.WARNED)]
    if scan.baseline.labels is not None and not scan.flip_reason and n:
        flips = next((r for r in fired if r.code == FLIPS), None)
        scores = flip_posterior(scan, scan.baseline.labels, flips)
        if flips is not None:
            _name(reasons, scores > _NAMED, FLIPS)
    posterior = scores
    for record in fired:
        probability = _probability(scan, record, posterior)
        if probability is not None:
            scores = np.maximum(scores, probability)
            _name(reasons, probability > _NAMED, record.code)
            continue
        traced = _trace(scan, record)
        if traced is not None and traced.any():
            share = _excess_share(record, traced)
            scores[traced] = np.maximum(scores[traced], share)
            if share > _NAMED:
                _name(reasons, traced, record.code)
    return scores, tuple(reasons)


def _probability(scan: Scan, record: SignalRecord, posterior: Floats) -> Floats | None:
    """Return each row's own probability, or None if a signal knows only which rows it means."""
    if record.code in (duplicates.CODE, leakage.CODE):
        return _copied(scan, record)
    if record.code in (trigger.TOKENS, trigger.VALUES, trigger_pairs.CODE):
        return _triggered(scan, record)
    if record.code == CONFLICTS:
        return conflict_probability(scan, record, posterior)
    return burst_probability(scan, record) if record.code == BURST else None


def _name(reasons: list[tuple[str, ...]], flags: Flags, code: str) -> None:
    for i in np.flatnonzero(flags):
        reasons[i] += (code,)


def _excess_share(record: SignalRecord, traced: Flags) -> float:
    """Share of the traced rows that the baseline does not explain, within (0, 0.999)."""
    excess = (record.effect or 0.0) * traced.size
    return float(np.clip(excess / max(int(traced.sum()), 1), 0.01, 0.999))


def _trace(scan: Scan, record: SignalRecord) -> Flags | None:
    """Return the rows that show what the signal found, or None if it has no trace in rows."""
    reference = scan.baseline.contamination
    parts = scan.parts
    if record.code == hidden_unicode.CODE:
        return np.concatenate([p.hidden for p in parts])
    if record.code == label_trusted.CODE:
        return np.concatenate(scan.trusted.flags)
    if record.code == outliers.CODE:
        far: Flags = scan.extremeness() > reference.extreme_limits[-1]
        return far
    if record.code == dictionary.CODE:
        limit = reference.texts[record.column].evidence.limits[0]
        odd: Flags = np.concatenate([p.oddness[record.column] for p in parts]) > limit
        return odd
    return None


def _copied(scan: Scan, record: SignalRecord) -> Floats:
    """Probability from each table of fingerprints that fired; the surest counts."""
    reference = scan.baseline.contamination
    prints = np.concatenate([p.prints for p in scan.parts], axis=1)
    n, m = prints.shape[1], scan.baseline.n_rows
    out = np.zeros(n)
    fired = tuple(record.evidence.get("fired", []))
    for table in np.flatnonzero([_any_of(kind, fired) for kind in _kinds(record.code)]):
        if record.code == duplicates.CODE:
            found = duplicates.copy_probability(prints[table], reference.spectra[table], m)
        else:
            hits = leakage.matches(prints[table], reference.golden[table])
            before = reference.golden_in_baseline[table] * n / m
            more = hits & (out <= _NAMED)  # a coarser table must explain its own finds
            found = more * np.clip(1.0 - before / max(int(more.sum()), 1), 0.0, 0.999)
        out = np.maximum(out, found)
    return out


def _any_of(kind: str, fired: Sequence[str]) -> bool:
    return any(subject.startswith(kind) for subject in fired)


def _kinds(code: str) -> tuple[str, ...]:
    return duplicates.KINDS if code == duplicates.CODE else leakage.KINDS


def _triggered(scan: Scan, record: SignalRecord) -> Floats:
    """Share of the rows with a trigger that are new; each must explain what those before did not.

    The rows of a phrase hold its rare words and its common ones, and most rows with a common one
    are honest.
    """
    out = np.zeros(scan.profile.n_rows)
    ratio = record.n_batch / max(record.n_baseline, 1)
    for association in _sure(record):
        found = [_with_trigger(part, record, association) for part in scan.parts]
        more = np.concatenate(found) & (out <= _NAMED)
        usual = association["rows_before"] * ratio
        out = np.maximum(out, more * np.clip(1.0 - usual / max(int(more.sum()), 1), 0.0, 0.999))
    return out


def _with_trigger(part: Part, record: SignalRecord, found: dict[str, Any]) -> Flags:
    """Return the rows of a part that hold what was found and have its label."""
    rows = np.zeros(part.n_rows, dtype=bool)
    if record.code == trigger_pairs.CODE:
        rows = rows_in(part.groups, found["columns"], found["place"], found["width"])
    elif record.column in part.tokens:
        row, cell = part.tokens[record.column]
        rows[row[cell == found["cell"]]] = True
    rows &= part.class_index == found["class"]
    return rows


def _sure(record: SignalRecord) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record.evidence["associations"]
    return [a for a in found if a["p_value"] <= (record.alpha or 0.0)]
