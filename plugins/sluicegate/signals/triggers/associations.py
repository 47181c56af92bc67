"""What is both more frequent than before and tied to a label: the search behind all triggers.

Null hypothesis of a cell: it holds no larger share of the rows than in the baseline, or, if it
does, says nothing about the label beyond what the baseline knows of it and what the rest of the
batch moved by. Both must be rejected: an innocent new word is new, a class's own word is tied,
only a trigger is both. Minimum n: 5 rows in the cell, and as many outside it: what most rows of a
batch hold, as the weekday of a day, is not asked. The search over all cells is corrected twice:
novelty over every cell asked, association over the novel ones only (selected by totals, which
under the null say nothing about the split by label).
Where a table holds so few rows that neither is beyond doubt alone, `few_associations` asks for both
together.
Source: intersection-union test, Berger 1982; Chen et al. 2018 (triggers repeat).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from sluicegate.profiling.counts import over_classes
from sluicegate.signals.decision.budget import excess_bound
from sluicegate.signals.decision.correction import percent
from sluicegate.signals.decision.finding import Candidate
from sluicegate.signals.decision.many_tails import rate_excess_ps
from sluicegate.signals.decision.tails import binomial_lower, binomial_sf, rate_excess_p

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord

MIN_ROWS_WITH_TOKEN = 5
MOVED: Final = 1.5
"""A share may grow this much, of a pair beyond its columns, without being new."""
_COMMON: Final = 0.02
"""What so large a share of the baseline holds is known to everybody: it is new from `MOVED` on."""
MIXED: Final = 0.5
"""This share of what is new in a place may carry one label: what a source begins to deliver has
its own mix of labels, what is planted has one."""
_PRIOR_ROWS = 10.0  # weight of the class's overall share against the token's own past
_NOVEL = 0.01
_MAX_NOVEL = 2000
_Z95 = 1.645
_APART = 0.1
_SHOWN = 0.005  # from here a cell counts as new, or as tied
_SURE = 0.01  # an association of clean blocks this unlikely by chance is the source's habit


@dataclass(frozen=True, slots=True)
class Association:
    """A token that is both more frequent than before and tied to a class.

    Attributes:
        cell: Table cell.
        class_index: Class it is tied to.
        rows: Batch rows with the token.
        rows_of_class: Those of the class.
        rows_before: Baseline rows with the token.
        effect: Rows of the class beyond expectation, at most the new ones, as a share of the
            batch.
        bound: Lower 95 % bound of the effect.
        p_value: Corrected over the search.
    """

    cell: int
    class_index: int
    rows: int
    rows_of_class: int
    rows_before: int
    effect: float
    bound: float
    p_value: float


class Counted(Protocol):
    """Rows by cell and class."""

    @property
    def counts(self) -> NDArray[Any]:
        """Rows by cell and class, an integer dtype, shape (n_cells, n_classes)."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of each class, int64, shape (n_classes,)."""


def associations(
    batch: Counted,
    base: Counted,
    moved: Callable[[NDArray[np.intp]], NDArray[np.float64]] | None = None,
    mixed: float = 0.0,
) -> list[Association]:
    """Search the table.

    Args:
        batch: Counts of the batch.
        base: Counts of the baseline, same classes.
        moved: Returns how many times its share of the baseline each of some cells, intp, may hold
            without being new, float64, both of shape (n,), >= 1; None for once. What is common in
            the baseline may hold `MOVED` times as much in any case.
        mixed: Share of the new rows that may carry any one label without being tied to it.

    Returns:
        Associations of novel tokens, smallest p-value first.

    Cost: one vectorised pass over the batch's table, and an exact tail for each novel token.
    """
    k = over_classes(batch.counts)
    n, m = int(batch.rows.sum()), int(base.rows.sum())
    if n == 0 or m == 0:
        return []
    asked = np.flatnonzero(k >= MIN_ROWS_WITH_TOKEN)
    # A rough normal screen keeps the exact test to tokens that could matter.
    now, before = k[asked], over_classes(base.counts[asked])
    # It only falls with growth, so growth need not be known where it is low without any.
    close = np.flatnonzero(_screened(now, before, np.full(asked.size, float(n)), m) > 1.5 - 1e-6)
    growth = np.where(before[close] > _COMMON * m, MOVED, 1.0)
    if moved is not None:
        growth = np.maximum(growth, moved(asked[close]))
    screened = _screened(now[close], before[close], n * growth, m) > 1.5
    close, growth = close[screened], growth[screened]
    p_values = rate_excess_ps(now[close], n * growth, before[close], m) * asked.size
    novelty = dict(zip(asked[close].tolist(), p_values.tolist(), strict=True))
    grown = {c: g for c, g in zip(novelty, growth.tolist(), strict=True) if novelty[c] <= _NOVEL}
    novel = sorted(grown, key=lambda c: (novelty[c], c))[:_MAX_NOVEL]
    # What most rows hold, as the weekday of a day, is the batch, and has few others beside it.
    novel = [c for c in novel if 2 * k[c] <= n]
    prior = (batch.rows + 1.0) / (n + batch.rows.size)
    found = [
        association
        for c in novel
        for association in _of_token(
            c,
            batch,
            base,
            prior,
            novelty=novelty[c],
            n_novel=len(novel),
            growth=grown[c],
            mixed=mixed,
        )
    ]
    return sorted(found, key=lambda a: (a.p_value, -a.effect, a.cell))


def _screened(
    now: NDArray[np.int64], before: NDArray[np.int64], usual: NDArray[np.float64], m: int
) -> NDArray[np.float64]:
    """Return about how many standard errors rows are more than before."""
    rate = (now + before) / (usual + m)
    z: NDArray[np.float64] = (now / usual - before / m) / np.sqrt(rate * (1 / usual + 1 / m))
    return z


def _of_token(
    cell: int,
    batch: Counted,
    base: Counted,
    prior: NDArray[np.float64],
    *,
    novelty: float,
    n_novel: int,
    growth: float,
    mixed: float,
) -> list[Association]:
    counts, before = batch.counts[cell], base.counts[cell]
    k, j = int(counts.sum()), int(before.sum())
    n, m = int(batch.rows.sum()), int(base.rows.sum())
    # Planted rows are among those that are new in a cell.
    new = k / n - growth * j / m
    usual = (before + _PRIOR_ROWS * prior) / (j + _PRIOR_ROWS)
    usual = np.maximum(usual, _shifted(usual, batch.rows - counts, base.rows - before))
    expected = usual + np.maximum(mixed - usual, 0.0) * max(new, 0.0) * n / k
    out = []
    for y in np.flatnonzero(counts > k * expected):
        hits, q = int(counts[y]), float(expected[y])
        # The expectation is known only as well as the token's past and the other rows tell.
        rest_error = np.sqrt(q * (1 - q) / (n - k))
        q_upper = min(q + np.sqrt(q * (1 - q) / (j + 10.0) * (j > 0) + rest_error**2), 1.0)
        tied = binomial_sf(hits, k, q_upper) * n_novel * counts.size
        p_value = min(1.0, max(novelty, tied))
        lower = _exact_lower if p_value < _SURE else _rough_lower
        surely_new = lower(k, n) - growth * j / m
        out.append(
            Association(
                cell=cell,
                class_index=int(y),
                rows=k,
                rows_of_class=hits,
                rows_before=j,
                effect=min((hits - k * q) / n, new),
                bound=min((lower(hits, k) - q - _Z95 * rest_error) * k / n, surely_new),
                p_value=p_value,
            )
        )
    return out


@lru_cache(maxsize=4096)
def _exact_lower(k: int, n: int) -> float:
    return binomial_lower(k, n)


def _rough_lower(k: int, n: int) -> float:
    """Return about the same: the exact bound costs a millisecond, and decides nothing here."""
    return max(k / n - _Z95 * math.sqrt(k * (n - k) / n) / n, 0.0)


def _shifted(
    usual: NDArray[np.float64], now: NDArray[Any], before: NDArray[Any]
) -> NDArray[np.float64]:
    """Return what class shares to expect if the batch moved its classes as a whole.

    What the rows without the token moved, as a day of storms makes every flight late, moves those
    with it. Either the features moved, and a token keeps its shares, or the classes did: both are
    innocent, and the larger share is expected.

    Args:
        usual: Class shares of the token, float64, shape (n_classes,).
        now: Rows of the batch without it by class, an integer dtype, same shape.
        before: The same of the baseline.
    """
    old = (before + 1.0) / (before.sum() + before.size)
    new = (now + _PRIOR_ROWS * old) / (now.sum() + _PRIOR_ROWS)
    moved = usual * new / old
    found: NDArray[np.float64] = moved / moved.sum()
    return found


def habit(blocks: Iterable[Iterable[Association]], *, complete: bool = False) -> float:
    """Return the largest association to expect of one more block of a clean source, a share.

    Args:
        blocks: What each block of the baseline shows against all others.
        complete: As for `budget.prediction_bound`.
    """
    sure = [[a.bound for a in found if a.p_value < _SURE] for found in blocks]
    return excess_bound(np.array([max([0.0, *bounds]) for bounds in sure]), complete=complete)


def shared_by(found: Association, comparison: Comparison, thing: str) -> str:
    """Return in words who shares what, and with which label.

    Args:
        found: The association.
        comparison: Names its class.
        thing: What the rows share: one value of a column, a pair, a token.
    """
    name = comparison.told_class(found.class_index)
    tied = f'the label "{name}"' if name else "one label"
    now, before = (
        found.rows / comparison.profile.n_rows,
        found.rows_before / comparison.baseline.n_rows,
    )
    return (
        f"{found.rows} rows ({percent(now)}, baseline {percent(before)}) share one {thing}, and "
        f"{percent(found.rows_of_class / found.rows)} of them have {tied}: {percent(found.effect)} "
        "of the batch more than usual"
    )


def candidate(found: Association, tolerance: float, text: str) -> Candidate:
    """Return an association as a question of a finding.

    Args:
        found: The association.
        tolerance: Of the signal, a share of rows.
        text: Its sizes in words.
    """
    return Candidate(
        effect=found.effect,
        bound=found.bound,
        tolerance=tolerance,
        p_value=found.p_value,
        text=text,
        hint="This may be a planted trigger. `check --rows` names the rows: keep them out of "
        "training unless you can explain them.",
    )


def nothing_found(tolerance: float, text: str) -> Candidate:
    """Return the answer where the search found nothing.

    Args:
        tolerance: Of the signal, a share of rows.
        text: That in words.
    """
    return Candidate(effect=0.0, bound=0.0, tolerance=tolerance, p_value=1.0, text=text)


def described(found: Association) -> dict[str, object]:
    """Return an association as evidence; `sure` reads it again."""
    return {
        "class": found.class_index,
        "rows": found.rows,
        "rows_of_class": found.rows_of_class,
        "rows_before": found.rows_before,
        "p_value": found.p_value,
    }


def sure(record: SignalRecord) -> list[dict[str, Any]]:
    """Return the associations of a fired record that chance does not explain."""
    found: list[dict[str, Any]] = record.evidence["associations"]
    return [a for a in found if a["p_value"] <= (record.alpha or 0.0)]


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A cell that may be new and tied to a class.

    Attributes:
        association: With the p-value of being neither, uncorrected.
        new: P-value of "it holds no more than what is no news".
        tied: P-value of "no more than what is no tie carries the class".
    """

    association: Association
    new: float
    tied: float


def few_associations(
    tables: Sequence[tuple[Counted, Counted, NDArray[np.float64]]], moved: float, mixed: float
) -> list[list[Association]]:
    """Search tables of few rows, where a dozen planted ones are hardly new and hardly tied alone.

    Null hypothesis of a cell: it holds no larger share than in the baseline, times its growth, and
    its rows carry a class no more often than usual. Totals and their split by label are independent
    under it, so both p-values are combined, and corrected over every cell and class asked. A cell
    that is only new, or only tied, must not be found for that: where features decide the label,
    every cell is tied. It must hold more than ``moved`` times as much, with more than ``mixed`` of
    the new rows in one class. Each is tested at 10 %, corrected over all cells that show the other.
    Minimum n: 5 rows in the cell.

    Args:
        tables: Batch, baseline of the same classes, and how many times its share of the baseline
            each cell may hold by what else grew, float64, shape (n_cells,), >= 1.
        moved: How many times more than that is no news.
        mixed: Share of the new rows that may carry any one label without being tied to it.

    Returns:
        For each table associations, smallest p-value first, corrected over all tables.

    Source: Fisher 1932 (product of p-values); tests of both, Bogomolov and Heller 2013.
    """
    asked, suspects = 0, list[tuple[int, _Suspect]]()
    for i, (batch, base, growth) in enumerate(tables):
        held = batch.counts.sum(axis=1)
        cells = np.flatnonzero((held >= MIN_ROWS_WITH_TOKEN) & (2 * held <= batch.rows.sum()))
        asked += cells.size * batch.rows.size
        found = _suspects(batch, base, growth, cells, moved=moved, mixed=mixed)
        suspects += [(i, suspect) for suspect in found]
    n_new = len({(i, s.association.cell) for i, s in suspects if s.new <= _SHOWN})
    n_tied = sum(s.tied <= _SHOWN for _, s in suspects)
    out: list[list[Association]] = [[] for _ in tables]
    for i, s in sorted(suspects, key=lambda item: item[1].association.p_value):
        p_value = s.association.p_value * asked
        shown = max(s.new, s.tied) <= _SHOWN
        if p_value <= _NOVEL and shown and max(s.new * n_tied, s.tied * n_new) <= _APART:
            out[i].append(replace(s.association, p_value=p_value))
    return out


def _suspects(
    batch: Counted,
    base: Counted,
    growth: NDArray[np.float64],
    cells: NDArray[np.intp],
    *,
    moved: float,
    mixed: float,
) -> Iterator[_Suspect]:
    k, j = batch.counts.sum(axis=1), base.counts.sum(axis=1)
    n, m = int(batch.rows.sum()), int(base.rows.sum())
    prior = (batch.rows + 1.0) / (n + batch.rows.size)
    for c in cells if n and m else ():
        rows, before, g = int(k[c]), int(j[c]), float(growth[c])
        new = rows / n - moved * g * before / m
        usual = (base.counts[c] + _PRIOR_ROWS * prior) / (before + _PRIOR_ROWS)
        rest = batch.rows - batch.counts[c], base.rows - base.counts[c]
        usual = np.maximum(usual, _shifted(usual, *rest))
        innocent = usual + np.maximum(mixed - usual, 0.0) * max(new, 0.0) * n / rows
        # Far from being tied it is neither found nor counted.
        far = batch.counts[c] - rows * innocent > np.sqrt(rows * innocent * (1.0 - innocent))
        novelty = rate_excess_p(rows, n * moved * g, before, m) if new > 0.0 else 1.0
        for y in np.flatnonzero(far | ((novelty <= _SHOWN) & (batch.counts[c] > rows * usual))):
            yield _suspect(
                Association(
                    cell=int(c),
                    class_index=int(y),
                    rows=rows,
                    rows_of_class=int(batch.counts[c, y]),
                    rows_before=before,
                    effect=0.0,
                    bound=0.0,
                    p_value=1.0,
                ),
                usual=float(usual[y]),
                innocent=float(innocent[y]),
                new=novelty,
                growth=g,
                moved=moved,
                sizes=(n, m),
            )


def _suspect(
    a: Association,
    *,
    usual: float,
    innocent: float,
    new: float,
    growth: float,
    moved: float,
    sizes: tuple[int, int],
) -> _Suspect:
    (n, m), rest = sizes, sizes[0] - a.rows
    tied = binomial_sf(a.rows_of_class, a.rows, _upper(innocent, rest, a.rows_before))
    if max(new, tied) > _SHOWN:
        return _Suspect(a, new, tied)
    both = rate_excess_p(a.rows, n * growth, a.rows_before, m)
    both *= binomial_sf(a.rows_of_class, a.rows, _upper(usual, rest, a.rows_before))
    past = moved * growth * a.rows_before / m
    own = _exact_lower(a.rows_of_class, a.rows) - usual - _Z95 * _error(usual, rest)
    found = replace(
        a,
        effect=min((a.rows_of_class - a.rows * usual) / n, a.rows / n - past),
        bound=min(own * a.rows / n, _exact_lower(a.rows, n) - past),
        p_value=both * (1.0 - math.log(max(both, 1e-300))),
    )
    return _Suspect(found, new, tied)


def _error(share: float, n: int) -> float:
    return math.sqrt(share * (1.0 - share) / n)


def _upper(share: float, n_rest: int, before: int) -> float:
    """A class's share is known only as well as the cell's past and the other rows tell."""
    past = share * (1.0 - share) / (before + 10.0) * (before > 0)
    return min(share + math.sqrt(past + _error(share, n_rest) ** 2), 1.0 - 1e-9)
