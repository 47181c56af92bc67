"""What later rows of a baseline do to earlier ones: how far a source moves on, learned in advance.

Blocks that are held against all others of a baseline have neighbours on both sides. A batch has
none after it: it is held against a past that it goes on from, so it differs by more. So a small
baseline is built from the first half of the rows by time, and blocks of the second half are held
against it. What chance does not explain there, though nobody changed anything, is what a batch may
do too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sluicegate.signals.contributors.names import SHOWN
from sluicegate.signals.decision.budget import excess_bound
from sluicegate.signals.decision.finding import surely
from sluicegate.signals.learning import chosen_rows
from sluicegate.signals.model.evidence import SILENT, silent_share
from sluicegate.signals.registry import FINDINGS
from sluicegate.signals.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.finding import Finding
    from sluicegate.signals.learning import Split

MIN_BLOCKS: Final = 8
"""Parts of a baseline of which half can stand for its past."""
_MOST_BLOCKS: Final = 12


class Later:
    """Blocks of the second half of a baseline, held against its first half.

    Args:
        past: A baseline of the first half.
        table: All rows.
        later: Which of them are in the second half, bool, shape (n_rows,).
    """

    def __init__(self, past: Baseline, table: pa.Table, later: NDArray[np.bool_]) -> None:
        self._past = past
        self._table = table
        self._later = later

    def of(self, split: Split) -> dict[str, float]:
        """Return what one more block is expected to do at most, shares by `Candidate.key`.

        Args:
            split: Blocks of time.

        Cost: a check of at most twelve blocks.
        """
        found = [self._surprises(rows) for rows in self._blocks(split)]
        keys = {key for block in found for key in block}
        bounds = {
            key: excess_bound(np.array([block[key] for block in found if key in block]))
            for key in keys
        }
        return {key: min(bound, 1.0) for key, bound in sorted(bounds.items()) if bound > 0.0}

    def _blocks(self, split: Split) -> Iterator[pa.Table]:
        inside = split.blocks >= 0
        rows = np.bincount(split.blocks[inside], minlength=split.n_blocks)
        late = np.bincount(split.blocks[inside & self._later], minlength=split.n_blocks)
        whole = np.flatnonzero((late == rows) & (rows > 0))
        places = np.linspace(0, whole.size - 1, min(whole.size, _MOST_BLOCKS)).astype(int)
        for block in whole[places].tolist():
            yield chosen_rows(self._table, split.blocks == block).combine_chunks()

    def _surprises(self, rows: pa.Table) -> dict[str, float]:
        scan = Scan.start(self._past, keep_rows=False)
        for batch in rows.to_batches():
            scan.update(batch)
        comparison = scan.comparison({}, SHOWN)
        found: dict[str, float] = {}
        if self._past.labels is not None:
            found[SILENT] = silent_share(comparison)
        for finding in (f for findings in FINDINGS for f in findings(comparison)):
            for key, bound in _bounds(finding):
                found[key] = max(bound, found.get(key, 0.0))
        return found


def _bounds(finding: Finding) -> Iterator[tuple[str, float]]:
    if finding.exact or not finding.signal.moves:
        return
    for candidate in finding.candidates:
        key = candidate.key(finding.signal, finding.column)
        sure = candidate.computable and surely(candidate, finding.candidates)
        yield key, max(candidate.bound, 0.0) if sure else 0.0


__all__ = ["MIN_BLOCKS", "Later"]
