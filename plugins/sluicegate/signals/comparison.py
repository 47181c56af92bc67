"""What every signal is given: the baseline, the batch's counts, and the tolerances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.signals.decision.tolerance import tolerance_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sluicegate.profiling.counts import Profile
    from sluicegate.signals.arrival.time_burst import ArrivalCount
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.contributors.names import ContributorNames
    from sluicegate.signals.copies.conflicts import ConflictCount
    from sluicegate.signals.copies.repeats import Spectrum
    from sluicegate.signals.labels.trusted import TrustedCount
    from sluicegate.signals.triggers.pair_table import PairTable
    from sluicegate.signals.triggers.token_table import TokenTable

Counts = NDArray[np.int64]
MIN_ROWS = 50
"""Below this many rows of a batch no distribution is judged."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A batch beside its baseline.

    Attributes:
        baseline: The trusted side.
        profile: Counts of the batch.
        fields: Arrow fields of the batch in their order; names may repeat.
        flip_counts: For each contributor rows by modelled class and margin bin; the key None
            holds rows without a contributor. None when the model could not be applied.
        flip_reason: Why ``flip_counts`` is None.
        overrides: Tolerances of the policy.
        predicted: For each contributor the expected rows of each modelled class under the
            model, in units of 1/65536 row, so that sums do not depend on their order.
        distinct: Different fingerprints of the rows in each table, and the standard error.
        repeats: Spectrum of equal fingerprints in each table, and by what its numbers of groups
            are multiplied (1 unless fingerprints were sampled).
        golden_rows: Rows with a fingerprint of the golden set, by table.
        moved: Columns left out of the extremeness.
        outlying_rows: Rows beyond each of the baseline's limits of extremeness.
        hidden: Texts with hidden characters, by text column.
        odd_texts: Texts whose words are beyond each of the baseline's limits, by text column.
        token_tables: Rows by token and class, by text column.
        value_table: Rows by exact value and class.
        pair_table: Rows by cells of pairs of columns and class.
        token_names: Words by table cell, for evidence.
        trusted: Rows of known ids.
        conflicts: Rows by fingerprint and label.
        arrival: Rows by time.
        naming: What contributors are called.
    """

    baseline: Baseline
    profile: Profile
    fields: tuple[pa.Field, ...]
    flip_counts: Mapping[str | None, Counts] | None
    flip_reason: str
    overrides: Mapping[str, float]
    predicted: Mapping[str | None, Counts]
    distinct: tuple[tuple[float, float], ...]
    repeats: tuple[tuple[Spectrum, int], ...]
    golden_rows: tuple[int, ...]
    moved: tuple[str, ...]
    outlying_rows: tuple[int, ...]
    hidden: Mapping[str, int]
    odd_texts: Mapping[str, Counts]
    token_tables: Mapping[str, TokenTable]
    value_table: TokenTable | None
    pair_table: PairTable | None
    token_names: Mapping[int, str]
    trusted: TrustedCount
    conflicts: ConflictCount
    arrival: ArrivalCount
    naming: ContributorNames

    def tolerance(self, code: str, column: str, *, learned_scale: float = 1.0) -> float:
        """Return the tolerance of a signal on a column, as a share."""
        key = f"{code}:{column}"
        learned = self.baseline.tolerances.get(key, 0.0) * learned_scale
        return tolerance_for(code, column, self.overrides, learned)

    def missing(self, column: str) -> str:
        """Return why a column of the baseline cannot be counted in the batch, or ""."""
        found = [field for field in self.fields if field.name == column]
        if not found:
            return "the batch has no such column"
        if len(found) > 1:
            return "the batch has several columns of that name"
        if self.profile.n_rows and not self.profile.cells[column].sum():
            return "its type differs from the baseline's"
        return self.too_few()

    def lacking_feature(self) -> str:
        """Return which feature is not there, or "": row signals need all of them."""
        reasons = ((c.name, self.missing(c.name)) for c in self.baseline.layout.features)
        return next((f"column {name}: {why}" for name, why in reasons if why), "")

    def too_few(self) -> str:
        """Return why the batch is too small to judge, or ""."""
        n = self.profile.n_rows
        return f"{n} rows in the batch, at least {MIN_ROWS} needed" if n < MIN_ROWS else ""
