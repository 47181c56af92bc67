"""CONTRIBUTOR_LIMIT: how much one contributor may deliver, whatever the statistics say.

No hypothesis is tested: a limit is a rule of the policy, and a share is a fact of the batch. It
bounds what poison a single hand can bring in that no statistic sees.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

from sluicegate.signals.contributors.names import SHOWN, ContributorNames
from sluicegate.signals.counting import natural, optional_name
from sluicegate.signals.decision.record import CONTRIBUTOR_LIMIT, Family, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.signals.contributors.rules import ContributorLimits

MIN_ROWS: Final = 100
"""A class or period with fewer rows is left out: a share of a handful says nothing."""

_MISSING: Final = "(missing)"
_Name = str | None
_Groups = dict[_Name, Counter[_Name]]


@dataclass(slots=True)
class LimitCounts:
    """Rows by contributor, and within each class and period; batch by batch.

    Memory grows with contributors, times classes and periods where those have a limit.

    Attributes:
        schema: Roles of the columns.
        limits: From the policy.
        naming: What contributors are called.
        rows: Rows by contributor, in the order in which they came.
        groups: The same within each class or period, by the limit that asks.
        missing: Limits of which a column was missing; "" for the contributor.
    """

    schema: BatchSchema
    limits: ContributorLimits
    naming: ContributorNames = SHOWN
    rows: Counter[_Name] = field(default_factory=Counter)
    groups: dict[str, _Groups] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def update(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Count rows; a column that is missing once could not be judged."""
        names = _column(rows, self.schema.contributor)
        if names is None:
            self.missing.add("")
            return
        self.rows.update(names)
        if self.limits.max_class_share is not None:
            self._group("max_class_share", names, _column(rows, self.schema.label))
        if self.limits.max_period_share is not None:
            self._group("max_period_share", names, _periods(rows, self.schema, self.limits))

    def _group(self, limit: str, names: list[_Name], groups: list[_Name] | None) -> None:
        if groups is None:
            self.missing.add(limit)
            return
        counts = self.groups.setdefault(limit, {})
        for name, group in zip(names, groups, strict=True):
            counts.setdefault(group, Counter())[name] += 1

    def merge(self, other: Self) -> Self:
        """Return the counts of both sets of rows; the other's rows come after the own."""
        both = type(self)(self.schema, self.limits, self.naming)
        for part in (self, other):
            # In the order in which names came, which decides between those that delivered as much.
            both.rows.update(part.rows)
            both.missing |= part.missing
            for limit, groups in part.groups.items():
                own = both.groups.setdefault(limit, {})
                for group, counts in groups.items():
                    own.setdefault(group, Counter()).update(counts)
        return both

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; names in the order in which they came."""
        return {
            "rows": list(map(list, self.rows.items())),
            "groups": {
                limit: [[group, list(map(list, counts.items()))] for group, counts in own.items()]
                for limit, own in self.groups.items()
            },
            "missing": sorted(self.missing),
        }

    def read(self, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote of counts with the schema and limits of these.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        found = type(self)(self.schema, self.limits, self.naming)
        found.rows = _read_counts(value["rows"])
        for limit, own in value["groups"].items():
            found.groups[str(limit)] = {
                optional_name(group): _read_counts(counts) for group, counts in own
            }
        found.missing = {str(limit) for limit in value["missing"]}
        return found

    def records(self, known: Collection[str]) -> tuple[SignalRecord, ...]:
        """Hold what was counted against the limits; see `limit_records`."""
        if "" in self.missing:
            return (_record("", Status.NOT_EVALUATED, "the batch has no contributor column"),)
        limits, records = self.limits, [_record("", Status.PASSED, "")]
        if limits.max_share is not None:
            records.append(self._largest("max_share", self.rows, limits.max_share, "the rows"))
        if limits.max_new_share is not None:
            total = self.rows.total()
            new = total - sum(n for name, n in self.rows.items() if name in known)
            share = new / max(total, 1)
            text = f"contributors that the baseline does not know delivered {share:.1%} of the rows"
            records.append(_limited("max_new_share", share, limits.max_new_share, text))
        for limit, most, what in (
            ("max_class_share", limits.max_class_share, "class"),
            ("max_period_share", limits.max_period_share, "period"),
        ):
            if most is not None:
                groups = None if limit in self.missing else self.groups.get(limit, {})
                records.append(self._largest_of_groups(limit, groups, most, what))
        return tuple(records)

    def _largest(
        self, limit: str, counts: Mapping[_Name, int], most: float, what: str
    ) -> SignalRecord:
        total = sum(counts.values())
        name, n_rows = max(counts.items(), key=lambda item: item[1], default=(None, 0))
        share = n_rows / max(total, 1)
        contributor = f"contributor {_MISSING}" if name is None else self.naming.subject(name)
        return _limited(limit, share, most, f"{contributor} delivered {share:.1%} of {what}")

    def _largest_of_groups(
        self, limit: str, groups: _Groups | None, most: float, what: str
    ) -> SignalRecord:
        if groups is None:
            return _record(limit, Status.NOT_EVALUATED, f"no column says the {what} of a row")
        largest = [
            self._largest(limit, found, most, f"{what} {_shown(group)}")
            for group, found in groups.items()
            if found.total() >= MIN_ROWS
        ]
        passed = _record(limit, Status.PASSED, "")
        return max(largest, key=lambda r: r.effect or 0.0, default=passed)


def limit_records(
    table: pa.Table,
    schema: BatchSchema,
    known: Collection[str],
    limits: ContributorLimits,
    naming: ContributorNames = SHOWN,
) -> tuple[SignalRecord, ...]:
    """Hold a batch against the limits.

    Args:
        table: Its rows.
        schema: Roles of the columns.
        known: Contributors of the baseline.
        limits: From the policy.
        naming: What contributors are called.

    Returns:
        One record for each limit that is set; NOT_EVALUATED if a column that it needs is missing.

    Cost: one pass over two or three columns.
    """
    counts = LimitCounts(schema, limits, naming)
    counts.update(table)
    return counts.records(known)


def sampling_weights(
    table: pa.Table, schema: BatchSchema, known: Collection[str], limits: ContributorLimits
) -> list[float]:
    """Return the weight with which each row should be drawn for training.

    A row by an unknown contributor has ``probation_weight``; then contributors that still hold
    more than ``max_share`` of all weight are scaled down to it.

    Args:
        table: The rows.
        schema: Roles of the columns.
        known: Contributors of the baseline.
        limits: From the policy.

    Returns:
        One weight for each row, in (0, 1], in the order of the rows; all 1 without contributors.
    """
    names = _column(table, schema.contributor)
    if names is None:
        return [1.0] * table.num_rows
    counts = Counter(names)
    probation = 1.0 if limits.probation_weight is None else limits.probation_weight
    weight = {name: 1.0 if name in known else probation for name in counts}
    if limits.max_share is not None:
        held = {name: weight[name] * n for name, n in counts.items()}
        cap = _cap(sorted(held.values(), reverse=True), limits.max_share)
        weight = {name: w * min(1.0, cap / held[name]) for name, w in weight.items()}
    return [weight[name] for name in names]


def _cap(held: list[float], share: float) -> float:
    """Return the most that one may hold so that nobody has more than ``share`` of all."""
    for n_capped in range(len(held)):
        rest = sum(held[n_capped:])
        if n_capped * share >= 1:
            break
        cap = share * rest / (1 - n_capped * share)
        if held[n_capped] <= cap:
            return cap if n_capped else held[0]
    return held[-1]  # too few contributors for the share: all alike


def _limited(limit: str, share: float, most: float, text: str) -> SignalRecord:
    over = share > most
    said = f"{CONTRIBUTOR_LIMIT}: {text} (at most {most:.1%}). Ask who they are." if over else ""
    return _record(limit, Status.FAILED if over else Status.PASSED, said, share, most)


def _record(
    limit: str,
    status: Status,
    message: str,
    effect: float | None = None,
    tolerance: float | None = None,
) -> SignalRecord:
    return SignalRecord(
        code=CONTRIBUTOR_LIMIT,
        family=Family.CONTAMINATION,
        status=status,
        column=limit,
        effect=effect,
        effect_unit="share of rows",
        tolerance=tolerance,
        message=message,
    )


def _read_counts(value: Any) -> Counter[_Name]:
    return Counter({optional_name(name): natural(n_rows) for name, n_rows in value})


def _column(table: pa.Table | pa.RecordBatch, name: str | None) -> list[_Name] | None:
    if name is None or name not in table.schema.names:
        return None
    found: list[_Name] = table.column(name).cast(pa.string()).to_pylist()
    return found


def _periods(
    table: pa.Table | pa.RecordBatch, schema: BatchSchema, limits: ContributorLimits
) -> list[_Name] | None:
    name = schema.timestamp
    if limits.period_hours is None or name is None or name not in table.schema.names:
        return None
    column = table.column(name)
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        return None
    length_ms = limits.period_hours * 3_600_000
    times = column.cast(pa.timestamp("ms", getattr(column.type, "tz", None))).cast(pa.int64())
    return [None if t is None else str(int(t // length_ms)) for t in times.to_pylist()]


def _shown(group: _Name) -> str:
    return _MISSING if group is None else group[:64]
