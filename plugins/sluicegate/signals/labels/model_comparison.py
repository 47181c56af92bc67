"""Challenger against champion on the same labelled rows: where does the new model get worse?

Null hypothesis of each group of rows: the challenger is not worse there by more than the
policy tolerates. The effect is the drop of accuracy among the group's rows, from paired
answers; its lower bound is exact and conservative, and corrected over every group that was
asked, so that a model that is not worse anywhere is blocked at most as often as the budget
says. An average cannot hide a group: classes, slices, classes within slices, and each confusion
of one class with another are groups of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sluicegate.errors import InsufficientData
from sluicegate.signals.decision.record import SignalRecord, Status
from sluicegate.signals.decision.tails import binomial_lower, binomial_sf
from sluicegate.signals.labels.model_signals import (
    CLASS_REGRESSION,
    DISAGREEMENT,
    GOLDEN_LEAKAGE,
    MIN_ROWS,
    REGRESSION,
    SIGNALS,
    SLICE_REGRESSION,
    TARGETED,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.definition import Signal

    Mask = NDArray[np.bool_]

CODES: Final = tuple(signal.code for signal in SIGNALS)
MIN_GROUP: Final = 30
"""Smaller values of a slice or class are judged together: alone they can prove nothing."""

_SHOWN: Final = 10
RARE: Final = "(rare)"
OTHER: Final = "(no class)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTolerances:
    """Largest accepted change, shares in (0, 1].

    Attributes:
        overall: Drop of accuracy over all rows.
        by_class: The same in one class, or growth of one confusion within it.
        by_slice: The same in one slice, or one class of it.
        disagreement: Share of rows on which the two models answer differently.
    """

    overall: float
    by_class: float
    by_slice: float
    disagreement: float


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows asked together, and on which of them which model did the bad thing."""

    signal: Signal
    name: str
    n_rows: int
    worse: int
    better: int
    tolerance: float
    what: str

    @property
    def code(self) -> str:
        return self.signal.code

    @property
    def effect(self) -> float:
        return (self.worse - self.better) / self.n_rows

    def bound(self, alpha: float) -> float:
        """Return the lower bound of the drop: two exact one-sided bounds, each at alpha / 2."""
        level = 1.0 - alpha / 2
        won_at_most = 1.0 - binomial_lower(self.n_rows - self.better, self.n_rows, level)
        return binomial_lower(self.worse, self.n_rows, level) - won_at_most


def compare_models(
    labels: Sequence[str],
    champion: Sequence[str],
    challenger: Sequence[str],
    slices: Mapping[str, Sequence[str]],
    tolerances: ModelTolerances,
    *,
    alpha: float,
) -> tuple[SignalRecord, ...]:
    """Compare two models' answers to the same rows.

    Args:
        labels: The right answers, one for each row.
        champion: Answers of the model in use, same order.
        challenger: Answers of the model that wants to replace it, same order.
        slices: Values of each slicing column, same order.
        tolerances: From the policy.
        alpha: Probability of any regression reported though no group is worse than tolerated.

    Returns:
        For each question one PASSED record, or one FAILED record for each bad group.

    Raises:
        InsufficientData: Fewer than 100 rows.

    Cost: one pass over the rows for each group.
    """
    if len(labels) < MIN_ROWS:
        raise InsufficientData(
            "the golden set is too small", expected=f"{MIN_ROWS} rows", got=str(len(labels))
        )
    given = (labels, champion, challenger)
    truth, old, new = (np.asarray(values, dtype=object) for values in given)
    lost, won = (old == truth) & (new != truth), (old != truth) & (new == truth)
    grouped = {name: _pooled(values) for name, values in slices.items()}
    groups = [
        *_groups(REGRESSION, {"": np.ones(len(truth), dtype=bool)}, lost, won, tolerances.overall),
        *_groups(CLASS_REGRESSION, _by_value("", _pooled(labels)), lost, won, tolerances.by_class),
        *_groups(SLICE_REGRESSION, _slices(grouped, truth), lost, won, tolerances.by_slice),
        *_confusions(truth, old, new, tolerances.by_class),
    ]
    each = alpha / _n_asked(groups, Counter(labels))
    records = [_worst_or_passed(signal, groups, each) for signal in SIGNALS[:4]]
    differ = _disagreement(old != new, grouped, tolerances.disagreement, alpha)
    return (*(record for found in records for record in found), differ)


def _n_asked(groups: Iterable[_Group], classes: Counter[str]) -> int:
    """Count every question that could have been asked: a model must not choose how many."""
    n_large = sum(n_rows >= MIN_GROUP for n_rows in classes.values())
    return sum(group.signal is not TARGETED for group in groups) + n_large * len(classes)


def leakage_record(n_found: int, n_golden: int, tolerance: float) -> SignalRecord:
    """Return whether rows of the golden set were trained on; a fact, not an estimate.

    Args:
        n_found: Golden rows that are in the training data.
        n_golden: Rows of the golden set.
        tolerance: Largest accepted share of them, in [0, 1].
    """
    share = n_found / max(n_golden, 1)
    over = share > tolerance
    return SignalRecord(
        code=GOLDEN_LEAKAGE.code,
        family=GOLDEN_LEAKAGE.family,
        status=Status.FAILED if over else Status.PASSED,
        n_batch=n_golden,
        effect=share,
        effect_unit="share of golden rows",
        tolerance=tolerance,
        message=f"{GOLDEN_LEAKAGE.code}: {n_found} of {n_golden} golden rows are in the training "
        "data. Take them out and train again; the comparison proves nothing."
        if over
        else "",
    )


def _groups(
    signal: Signal, masks: Mapping[str, Mask], lost: Mask, won: Mask, tolerance: float
) -> Iterator[_Group]:
    for name, mask in masks.items():
        n_rows, worse, better = (int(found.sum()) for found in (mask, lost & mask, won & mask))
        yield _Group(signal, name, n_rows, worse, better, tolerance, "accuracy fell")


def _confusions(
    truth: NDArray[np.object_], old: NDArray[np.object_], new: NDArray[np.object_], tolerance: float
) -> Iterator[_Group]:
    """Yield each pair of a class and a wrong answer that either model gives at all."""
    known = set(truth.tolist())
    old, new = (
        np.asarray([answer if answer in known else OTHER for answer in model.tolist()], object)
        for model in (old, new)
    )
    for label, n_rows in sorted(Counter(truth.tolist()).items()):
        if n_rows < MIN_GROUP:
            continue
        own = truth == label
        for target in sorted(set(new[own].tolist()) - {label}):
            more = int((own & (new == target) & (old != target)).sum())
            fewer = int((own & (old == target) & (new != target)).sum())
            what = "wrong answers grew"
            yield _Group(TARGETED, f"{label} as {target}", n_rows, more, fewer, tolerance, what)


def _slices(grouped: Mapping[str, list[str]], truth: NDArray[np.object_]) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for column, values in grouped.items():
        own = _by_value(f"{column}=", values)
        masks |= own
        for name, mask in own.items():
            for label in sorted(set(truth[mask].tolist())):
                both = mask & (truth == label)
                if MIN_GROUP <= both.sum() < mask.sum():
                    masks[f"{name}, class {label}"] = both
    return masks


def _by_value(prefix: str, values: list[str]) -> dict[str, Mask]:
    array = np.asarray(values, dtype=object)
    return {f"{prefix}{value}": array == value for value in sorted(set(values))}


def _pooled(values: Iterable[str]) -> list[str]:
    found = list(values)
    counts = Counter(found)
    return [value if counts[value] >= MIN_GROUP else RARE for value in found]


def _worst_or_passed(signal: Signal, groups: Iterable[_Group], alpha: float) -> list[SignalRecord]:
    own = [group for group in groups if group.signal is signal]
    judged = [(group.bound(alpha), group) for group in own]
    bad = sorted((pair for pair in judged if pair[0] > pair[1].tolerance), key=lambda p: -p[0])
    if bad:
        return [_failed(group, bound, alpha) for bound, group in bad[:_SHOWN]]
    bound, worst = max(judged, key=lambda pair: pair[0], default=(0.0, None))
    if worst is None:
        return [_record(signal, Status.PASSED, "")]
    return [_record(signal, Status.PASSED, "", group=worst, bound=bound, alpha=alpha)]


def _failed(group: _Group, bound: float, alpha: float) -> SignalRecord:
    where = f" for {group.name}" if group.name else ""
    said = (
        f"{group.code}: {group.what} by {group.effect:.1%}{where} (lower bound {bound:.1%}, "
        f"tolerance {group.tolerance:.1%}). Compare what it was trained on with the data of the "
        "champion."
    )
    return _record(group.signal, Status.FAILED, said, group=group, bound=bound, alpha=alpha)


def _record(
    signal: Signal,
    status: Status,
    message: str,
    *,
    group: _Group | None = None,
    bound: float | None = None,
    alpha: float | None = None,
) -> SignalRecord:
    n_differ = 0 if group is None else group.worse + group.better
    return SignalRecord(
        code=signal.code,
        family=signal.family,
        status=status,
        column=group.name if group is not None and status is Status.FAILED else "",
        null_hypothesis="the challenger is not worse than tolerated in this group",
        n_batch=0 if group is None else group.n_rows,
        effect=None if group is None else group.effect,
        effect_bound=bound,
        effect_unit="share of rows",
        tolerance=None if group is None else group.tolerance,
        p_value=None if group is None else binomial_sf(group.worse, n_differ, 0.5),
        alpha=alpha,
        evidence={} if group is None else {"worse": group.worse, "better": group.better},
        message=message,
    )


def _disagreement(
    differ: Mask, grouped: Mapping[str, list[str]], tolerance: float, alpha: float
) -> SignalRecord:
    share, n_rows = float(differ.mean()), len(differ)
    bound = binomial_lower(int(differ.sum()), n_rows, 1.0 - alpha)
    masks = {k: m for c, v in grouped.items() for k, m in _by_value(f"{c}=", v).items()}
    most = sorted(masks, key=lambda name: -float(differ[masks[name]].mean()))[:_SHOWN]
    over = bound > tolerance
    return SignalRecord(
        code=DISAGREEMENT.code,
        family=DISAGREEMENT.family,
        status=DISAGREEMENT.severity if over else Status.PASSED,
        n_batch=n_rows,
        effect=share,
        effect_bound=bound,
        effect_unit="share of rows",
        tolerance=tolerance,
        alpha=alpha,
        evidence={"most": [[name, round(float(differ[masks[name]].mean()), 6)] for name in most]},
        message=f"{DISAGREEMENT.code}: the models answer {share:.1%} of the rows differently "
        f"(at most {tolerance:.1%}). Look where: {', '.join(most[:3]) or 'no slices named'}."
        if over
        else "",
    )
