"""What a pass kept of each row, for the signals that say which rows they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.comparison import Comparison
    from sluicegate.signals.decision.record import SignalRecord

    Floats = NDArray[np.float64]
    View = Callable[[Chunk], Any]

T = TypeVar("T")
NAMED = 0.5
"""A row is named when it is more likely bad than not."""
_LEAST, _MOST = 0.01, 0.999


@dataclass(frozen=True, slots=True)
class Traces:
    """All rows of a batch.

    Attributes:
        comparison: The batch beside its baseline.
        parts: Kept views of each record batch, in the order of rows.
        sizes: Rows of each record batch.
        ranking: The label model's probability that each row's label is wrong, float64, shape
            (n_rows,); 0 where there is none.
    """

    comparison: Comparison
    parts: Sequence[Mapping[View, Any]]
    sizes: Sequence[int]
    ranking: Floats

    @property
    def baseline(self) -> Baseline:
        """What the batch was held against."""
        return self.comparison.baseline

    @property
    def n_rows(self) -> int:
        """Rows of the batch."""
        return self.comparison.profile.n_rows

    def of(self, view: Callable[[Chunk], T]) -> list[T]:
        """Return what was kept of each record batch."""
        return [part[view] for part in self.parts]

    def joined(self, view: Callable[[Chunk], NDArray[Any]]) -> NDArray[Any]:
        """Return the arrays of all record batches, joined along the rows, their last axis.

        Args:
            view: A kept view that gives arrays of one dtype whose last axis has shape (n_rows,).

        Returns:
            Of the view's dtype, last axis with shape (n_rows,) of the batch.
        """
        return np.concatenate(self.of(view), axis=-1)


def excess_share(record: SignalRecord, traced: NDArray[np.bool_]) -> Floats:
    """Give rows with a signal's trace the share of them that the baseline does not explain.

    Args:
        record: What fired; its effect is that excess as a share of all rows.
        traced: Rows that show the trace, bool, shape (n_rows,).

    Returns:
        float64, shape (n_rows,): between 0.01 and 0.999 on traced rows, else 0.
    """
    excess = (record.effect or 0.0) * traced.size
    share = float(np.clip(excess / max(int(traced.sum()), 1), _LEAST, _MOST))
    return traced.astype(np.float64) * share


def unexplained(flags: NDArray[np.bool_], usual: float) -> Floats:
    """Give some rows the share of them that is beyond so many usual ones.

    Args:
        flags: The rows, bool, shape (n_rows,).
        usual: Such rows that the baseline leads one to expect.

    Returns:
        float64, shape (n_rows,), in [0, 0.999].
    """
    share = float(np.clip(1.0 - usual / max(int(flags.sum()), 1), 0.0, _MOST))
    return flags.astype(np.float64) * share
