"""SEQUENCE: flips too few for any one batch, added up over the batches of a source.

Null hypothesis: in every batch so far, the excess of contradicting labels (of all rows, of a
class, of a contributor) is chance: normal with mean 0, an error of its own, and an error all
batches share because they are compared with one frozen baseline. The shared error is part of
the model, so a baseline that is off by itself does not add up to an alarm.

The e-process is a ratio of joint densities, mixed over onsets, steps and ramps with weights
fixed in advance, and over subjects; it is a non-negative martingale with mean 1 under the null.
By Ville's inequality it exceeds 1/alpha *ever* with probability at most alpha: looking after
each batch is allowed, and one sequence costs one budget however long it gets.
Effects enter as the smaller of themselves and the normal score of their exact p-value, which
takes the skewness of small groups out.

Source: Ville 1939; method of mixtures: Robbins 1970, "Statistical methods related to the law
of the iterated logarithm"; averages of e-values under any dependence: Vovk and Wang 2021,
"E-values: calibration, combination and applications", section 3; onsets: Shin, Ramdas and
Rinaldo 2023, "E-detectors". Minimum n: one batch whose LABEL_FLIPS was evaluated.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.signals.alone import OVER_TIME
from sluicegate.signals.contributors.names import SHOWN, ContributorNames
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.record import SEQUENCE, Family, SignalRecord, Status
from sluicegate.signals.decision.tolerance import tolerance_for
from sluicegate.signals.labels.excess import Excess, Step, read_step
from sluicegate.signals.labels.flips import CODE as FLIPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_Z95 = 1.645
_STEPS = (0.01, 0.02, 0.04, 0.08)  # share of the batch, from the onset on
_RAMPS = (0.0025, 0.005, 0.01, 0.02)  # growth of the share a batch, up to _MOST
_MOST = 0.2
_CONTRIBUTOR = 2
_LEVEL_WEIGHTS = (0.5, 0.25, 0.25)  # all rows, classes, contributors
_MAX_ONSETS = 200  # older onsets keep their weight unused, which only lowers the e-value
_MAX_LOG = 690.0

Track = list[tuple[int, Excess]]
"""One subject's excesses, each with the number of its batch."""


def step_of(records: Iterable[SignalRecord]) -> Step | None:
    """Return what a batch adds to the sequence, or None if its labels were not evaluated."""
    for record in records:
        if record.code == FLIPS and record.status is not Status.NOT_EVALUATED:
            return read_step(record.evidence.get("sequence"))
    return None


def sequence_record(
    records: Sequence[SignalRecord],
    history: Sequence[Step | None],
    *,
    alpha: float,
    overrides: Mapping[str, float],
    naming: ContributorNames = SHOWN,
) -> SignalRecord:
    """Judge a batch together with the batches before it.

    Args:
        records: Findings of the batch.
        history: What earlier batches added, oldest first; None for one that added nothing.
        alpha: Largest probability that a clean sequence is ever alarmed, in (0, 1).
        overrides: Tolerances of the policy.
        naming: What contributors are called, whatever earlier batches called them.

    Cost: quadratic in batches up to 200, linear beyond; 0.1 s for 100 batches of 20 subjects.
    """
    now = step_of(records)
    flips = next((r for r in records if r.code == FLIPS), None)
    if now is None or flips is None:
        return SignalRecord(
            code=SEQUENCE,
            family=Family.LABEL,
            status=Status.NOT_EVALUATED,
            message=f"{SEQUENCE}: not evaluated: {FLIPS} says nothing about this batch.",
        )
    # The same batch checked twice must not count twice; equal to the last digit is the same.
    past: dict[Step, Step] = {}
    for step in history:
        if step is not None:
            past.setdefault(tuple(map(_same, step)), step)
    past.pop(tuple(map(_same, now)), None)
    return _record([*past.values(), now], flips, alpha, overrides, naming)


def _same(excess: Excess) -> Excess:
    """Return the excess under a subject that does not depend on how contributors are called."""
    if excess.level != _CONTRIBUTOR:
        return excess
    return replace(excess, subject=ContributorNames.track(excess.subject))


def _record(
    steps: Sequence[Step],
    flips: SignalRecord,
    alpha: float,
    overrides: Mapping[str, float],
    naming: ContributorNames,
) -> SignalRecord:
    tracks = _tracks(steps)
    total, weighed = 0.0, []
    for weight, track in tracks:
        value = weight * math.exp(min(_log_e_value(track, len(steps)), _MAX_LOG))
        total += value
        weighed.append((value, _called(track, naming), track))
    total += 1.0 - sum(weight for weight, _ in tracks)
    worth, subject, track = max(weighed, key=lambda item: (item[0], item[1]))
    effect, bound = _mean(track)
    floor = tolerance_for(OVER_TIME, "", overrides, 0.0)
    learned = 0.0 if subject or SEQUENCE in overrides else flips.evidence.get("budget", 0.0)
    tolerance = max(floor, float(learned))
    p = min(1.0, 1.0 / total)
    fired = p <= alpha and bound > tolerance
    of = f": {subject}" if subject else ""
    text = (
        f"{SEQUENCE}{of}: over {len(steps)} batches about {percent(max(effect, 0.0))} of rows "
        f"carry labels that contradict the baseline's model (lower bound "
        f"{percent(bound)}, tolerance {percent(tolerance)}, p = {p:.2g} at any time)."
    )
    hint = (
        " The change is slow: look for a contributor or a labelling rule that changed since the "
        "baseline, and label a sample of the recent batches again."
    )
    return SignalRecord(
        code=SEQUENCE,
        family=Family.LABEL,
        status=Status.FAILED if fired else Status.PASSED,
        column=flips.column,
        null_hypothesis="no batch since the baseline has more flipped labels than chance explains",
        n_baseline=flips.n_baseline,
        n_batch=flips.n_batch,
        effect=effect,
        effect_bound=bound,
        effect_unit="share of rows",
        tolerance=tolerance,
        p_value=p,
        alpha=alpha,
        evidence={
            "batches": len(steps),
            "e_value": min(total, 1e300),
            "subject": subject,
            "subject_share_of_e_value": worth / total,
            "effects": [excess.effect for _, excess in track][-100:],
        },
        message=text + (hint if fired else " Within what is tolerated."),
    )


def _called(track: Track, naming: ContributorNames) -> str:
    newest = track[-1][1]
    return naming.again(newest.subject) if newest.level == _CONTRIBUTOR else newest.subject


def _tracks(steps: Sequence[Step]) -> list[tuple[float, Track]]:
    """Return each subject's weight and its excesses with the number of their batch.

    Subjects of the first batch share half of their level's weight evenly; the other half is
    for those who come later, 1/(j (j + 1)) for the j-th, so that weights never depend on what
    is still to come.
    """
    out: dict[tuple[str, int], tuple[float, Track]] = {}
    later = [0, 0, 0]
    first = [sum(excess.level == level for excess in steps[0]) for level in range(3)]
    for t, step in enumerate(steps):
        for excess in sorted(step, key=_place):
            level, key = excess.level, (_same(excess).subject, excess.level)
            if key not in out:
                later[level] += t > 0
                rank = later[level]
                share = 0.5 / first[level] if t == 0 else 0.5 / (rank * (rank + 1))
                # All rows are one subject: nothing needs to be kept for later ones.
                out[key] = (_LEVEL_WEIGHTS[level] * (share if level else 1.0), [])
            out[key][1].append((t, excess))
    return list(out.values())


def _place(excess: Excess) -> tuple[int, str]:
    """Contributors stand in the order of their names already, and pseudonyms would not."""
    return excess.level, "" if excess.level == _CONTRIBUTOR else excess.subject


def _log_e_value(track: Track, n_steps: int) -> float:
    """Return the log of the mixed likelihood ratio of one subject."""
    at = np.array([t for t, _ in track], dtype=np.float64)
    x = np.array([e.gaussian for _, e in track])
    weight = 1.0 / np.array([e.own_error for _, e in track]) ** 2
    loading = np.array([e.shared_error for _, e in track])
    onsets = np.arange(min(n_steps, _MAX_ONSETS), dtype=np.float64)
    since = at[None, :] - onsets[:, None]
    shapes = [np.where(since >= 0, a, 0.0) for a in _STEPS]
    shapes += [np.clip((since + 1.0) * a, 0.0, _MOST) for a in _RAMPS]
    means = np.stack(shapes)  # shape (alternatives, onsets, batches)
    # Sherman-Morrison: inverse of diag(1 / weight) + loading loading'.
    shrink = 1.0 / (1.0 + float(weight @ loading**2))
    along = means @ (weight * loading)
    cross = means @ (weight * x) - along * float((weight * loading) @ x) * shrink
    square = (means**2) @ weight - along**2 * shrink
    prior = np.log(1.0 / ((onsets + 1.0) * (onsets + 2.0)) / len(shapes))
    logs = (cross - 0.5 * square + prior[None, :]).ravel()
    # Onsets still to come have a ratio of 1, and this weight.
    logs = np.append(logs, -math.log(onsets.size + 1.0))
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def _mean(track: Track) -> tuple[float, float]:
    """Return the mean effect since the likeliest onset, and its lower 95 % bound."""
    best = (-math.inf, 0.0, 0.0)
    for start in range(max(0, len(track) - _MAX_ONSETS), len(track)):
        part = [e for _, e in track[start:]]
        weight = np.array([1.0 / e.own_error**2 for e in part])
        share = weight / weight.sum()
        effect = float(share @ np.array([e.effect for e in part]))
        shared = float(share @ np.array([e.shared_error for e in part]))
        error = math.sqrt(1.0 / float(weight.sum()) + shared**2)
        best = max(best, (effect / error, effect, effect - _Z95 * error))
    return best[1], best[2]


__all__ = ["sequence_record", "step_of"]
