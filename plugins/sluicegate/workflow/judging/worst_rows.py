"""The worst rows of a batch that something speaks against, where the policy asks for them.

The gate counts rows and keeps none, so it reads the batch once more. It does so only of a batch
that findings speak against, and of no longer one than `MOST_READ`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sluicegate.gate.worst_rows import KeptRows, Shown, WorstRow
from sluicegate.workflow.judging.threads import threads_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import pyarrow as pa

    from sluicegate.gate.worst_rows import RowRules
    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.signals.contributors.names import ContributorNames
    from sluicegate.workflow.judging.case import Case

MOST_READ: Final = 1_000_000
"""Rows of a batch that is read again: some 60 MB of traces."""


def worst_rows(case: Case, rules: RowRules, codes: Collection[str], n_rows: int) -> KeptRows:
    """Read a batch again and return the rows that findings name.

    Args:
        case: What was judged, and by what.
        rules: What may be kept.
        codes: Signals that speak against the batch.
        n_rows: Rows of the batch.

    Raises:
        SluicegateError: The batch cannot be read any more, or is not the sealed one.

    Cost: as `evaluate` with rows, beside the anchored baseline.
    """
    if n_rows > MOST_READ:
        return KeptRows(0, (), f"a batch of more than {MOST_READ} rows is not read again")
    import numpy as np

    from sluicegate.signals.evaluate import evaluate

    baseline, policy = case.anchored.baseline, case.policy
    values = _Values(baseline.schema, rules.values, policy.naming)
    found = evaluate(
        baseline,
        values.noted(case.rows()),
        tolerances=policy.tolerances,
        false_block_budget=policy.false_block_budget / len(case.signed),
        naming=policy.naming,
        threads=threads_for(os.environ),
    )
    assert found.row_scores is not None  # noqa: S101 - rows were asked for
    named = [i for i, own in enumerate(found.row_reasons) if set(own) & set(codes)]
    scores = np.round(found.row_scores, 4)
    named.sort(key=lambda i: (-float(scores[i]), i))
    worst = (
        WorstRow(
            row,
            float(scores[row]),
            tuple(code for code in found.row_reasons[row] if code in codes),
            values.of(row),
        )
        for row in named[: rules.most]
    )
    return KeptRows(len(named), tuple(worst))


class _Values:
    """Columns of some roles, kept while rows pass by."""

    def __init__(
        self, schema: BatchSchema, roles: Collection[Shown], naming: ContributorNames
    ) -> None:
        named = {role: getattr(schema, role.value) for role in sorted(roles)}
        self._columns: Mapping[Shown, str] = {r: n for r, n in named.items() if n is not None}
        self._kept: dict[Shown, list[pa.Array]] = {role: [] for role in self._columns}
        self._naming = naming

    def noted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield rows, and keep the columns that are asked for."""
        for batch in batches:
            for role, name in self._columns.items():
                if batch.schema.names.count(name) == 1:
                    self._kept[role].append(batch.column(name))
            yield batch

    def of(self, row: int) -> dict[Shown, str]:
        """Return the values of a row by role, as text."""
        return {role: self._text(role, row) for role, arrays in self._kept.items() if arrays}

    def _text(self, role: Shown, row: int) -> str:
        for array in self._kept[role]:
            if row < len(array):
                value = array[row].as_py()
                text = "" if value is None else str(value)
                return self._naming.of(text) if role is Shown.CONTRIBUTOR and text else text
            row -= len(array)
        return ""
