"""What a policy may say of contributors; the counting is elsewhere, auditors need not load it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributorLimits:
    """What one contributor may deliver; None sets no limit.

    Attributes:
        max_share: Largest share of a batch's rows by one contributor, in (0, 1].
        max_class_share: The same within each class of the label.
        max_new_share: Largest share of rows by all contributors together that the baseline
            does not know, in (0, 1].
        max_period_share: Largest share by one contributor within each period.
        period_hours: Length of a period, counted from 1970; needed by ``max_period_share``.
        probation_weight: Sampling weight of a row by an unknown contributor, in (0, 1].
    """

    max_share: float | None = None
    max_class_share: float | None = None
    max_new_share: float | None = None
    max_period_share: float | None = None
    period_hours: float | None = None
    probation_weight: float | None = None

    def changed(self, other: ContributorLimits) -> Iterator[tuple[str, float | None, float | None]]:
        """Yield each limit whose value differs: name, here, there."""
        for item in fields(self):
            here, there = getattr(self, item.name), getattr(other, item.name)
            if here != there:
                yield item.name, here, there
