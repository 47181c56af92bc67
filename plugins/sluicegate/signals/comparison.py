"""What every signal is given: the baseline, what was counted of the batch, and the tolerances."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluicegate.signals.decision.tolerance import tolerance_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from sluicegate.profiling.counts import Profile
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.contributors.names import ContributorNames
    from sluicegate.signals.counting import Counter
    from sluicegate.signals.decision.finding import Candidate
    from sluicegate.signals.definition import Signal
    from sluicegate.signals.habits import Usual
    from sluicegate.signals.model.reference import LabelReference

_NAMED = 3
_OLD = math.sqrt(2.0)  # half a length after the end of a baseline is twice its half from the middle
MIN_ROWS = 50
"""Below this many rows of a batch no distribution is judged."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A batch beside its baseline.

    Attributes:
        baseline: The trusted side.
        profile: Counts of the batch.
        fields: Arrow fields of the batch in their order; names may repeat.
        counters: What signals counted beyond the profile; `Counting.of` finds a signal's own.
        overrides: Tolerances of the policy.
        naming: What contributors are called.
        usual: What blocks of the baseline do that are as short and as narrow as the batch.
    """

    baseline: Baseline
    profile: Profile
    fields: tuple[pa.Field, ...]
    counters: Mapping[str, Counter]
    overrides: Mapping[str, float]
    naming: ContributorNames
    usual: Usual | None = None

    def tolerance(self, signal: Signal, column: str) -> float:
        """Return how much of a column's rows a signal tolerates.

        Args:
            signal: Whose tolerance it is.
            column: Name; for some signals the kind of finding instead; "" for the whole batch.

        Returns:
            A share in [0, 1].
        """
        learned = self.learned(f"{signal.code}:{column}")
        return tolerance_for(signal, column, self.overrides, learned)

    def expecting(
        self, signal: Signal, column: str, candidates: Sequence[Candidate]
    ) -> tuple[Candidate, ...]:
        """Return questions that tolerate at least what the source moves on by.

        Args:
            signal: Whose questions they are.
            column: Column of the finding, or "".
            candidates: The questions. What the policy tolerates stays.
        """
        ruled = {signal.code, f"{signal.code}:{column}"} & set(self.overrides)
        if not signal.moves or ruled:
            return tuple(candidates)
        learned = (self.learned(c.key(signal, column)) for c in candidates)
        pairs = zip(candidates, learned, strict=True)
        return tuple(replace(c, tolerance=max(c.tolerance, own)) for c, own in pairs)

    def learned(self, key: str) -> float:
        """Return what the source does by itself, a share; 0 for nothing.

        Args:
            key: "CODE:column".
        """
        known = self.baseline.tolerances if self.usual is None else self.usual.tolerances
        return known.get(key, 0.0)

    @property
    def old(self) -> bool:
        """Whether the batch begins later than half the baseline's length after its end."""
        return self.usual is not None and self.usual.aged >= _OLD

    @property
    def labels(self) -> LabelReference | None:
        """The label model, with what labels do in blocks like the batch; None without one."""
        reference = self.baseline.labels
        if reference is None or self.usual is None or self.usual.labels is None:
            return reference
        return reference.in_blocks(self.usual.labels)

    def told_class(self, index: int) -> str:
        """Return what a class is called in messages; "" for a slice of a measured label.

        Args:
            index: Place among the baseline's classes.
        """
        layout = self.baseline.layout
        if layout.label is None or not layout.label.listed:
            return ""
        if layout.label.n_cells != layout.n_slots:
            return ""  # classes too many to be told apart share slots
        return layout.label.categories[self.baseline.classes[index]][:64]

    def missing(self, column: str) -> str:
        """Return why the distribution of a column cannot be judged in the batch, or ""."""
        return self._uncounted(column) or self.too_few()

    def absent(self, column: str) -> str:
        """Return why not even one row can be judged by a column of the baseline, or ""."""
        return self._uncounted(column) or ("" if self.profile.n_rows else "no rows in the batch")

    def _uncounted(self, column: str) -> str:
        found = [field for field in self.fields if field.name == column]
        if not found:
            return "the batch has no such column"
        if len(found) > 1:
            return "the batch has several columns of that name"
        if self.profile.n_rows and not self.profile.cells[column].sum():
            return "its type differs from the baseline's"
        return ""

    def lacking_feature(self) -> str:
        """Return which feature is not there, or "": signals of whole rows need all of them."""
        return self.lacking(c.name for c in self.baseline.layout.features)

    def lacking(self, columns: Iterable[str]) -> str:
        """Return which of some columns are not there and why, or "": the others are judged.

        Args:
            columns: Columns of the baseline.
        """
        reasons = ((name, self.absent(name)) for name in columns)
        found = [f"column {name[:64]}: {why}" for name, why in reasons if why]
        more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
        return "; ".join([*found[:_NAMED], *more])

    def unjudged(self, columns: Iterable[str]) -> tuple[str, str]:
        """Return why none of some columns can be judged, or "", and else what is not judged.

        Args:
            columns: Columns of the baseline that a signal judges each for itself.
        """
        asked = list(columns)
        lacking = self.lacking(asked)
        if all(self.missing(name) for name in asked):
            return self.too_few() or lacking, ""
        return "", f"not judged: {lacking}" if lacking else ""

    def lacking_labels(self, n_known: int, lacking: str) -> str:
        """Return why rows of known labels cannot be judged, or "".

        Args:
            n_known: Rows of the batch whose label the model knows.
            lacking: Why what stands beside the label cannot be judged, or "".
        """
        label = self.baseline.layout.label
        reason = (self.missing(label.name) if label else "no label") or lacking
        if reason or n_known >= MIN_ROWS:
            return reason
        return self.few_labels(n_known)

    def few_labels(self, n_known: int) -> str:
        """Return that too few rows have a label to judge.

        Args:
            n_known: Rows of the batch whose label the baseline's model knows.
        """
        return (
            f"{n_known} of {self.profile.n_rows} rows have a label that the baseline knows, "
            f"{MIN_ROWS} needed: wait for labels; `sluicegate gate` judges few together with those "
            "of the batches before"
        )

    def too_few(self) -> str:
        """Return why the batch is too small to judge, or ""."""
        n = self.profile.n_rows
        return f"{n} rows, at least {MIN_ROWS} needed" if n < MIN_ROWS else ""
