"""One streaming pass over a batch: counts, and a few dozen bytes per row if rows are wanted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from sluicegate.profiling.counts import Profile
from sluicegate.profiling.layout import without_index
from sluicegate.signals.ahead import chunks
from sluicegate.signals.chunk import Plan, chunk_of
from sluicegate.signals.comparison import Comparison
from sluicegate.signals.counting import started
from sluicegate.signals.habits import usual_for
from sluicegate.signals.registry import OF_BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.chunk import Chunk
    from sluicegate.signals.contributors.names import ContributorNames
    from sluicegate.signals.counting import Counter


@dataclass(slots=True)
class Scan:
    """What was counted so far; a monoid, so that parts of a batch may be scanned apart.

    Attributes:
        plan: What to count against.
        profile: Counts of cells, contributors and new classes.
        counters: What signals count beyond them.
        views: What is kept of each record batch; nothing if rows are not to be scored, and then
            nothing grows with clean rows.
        fields: Arrow fields of the first record batch.
        parts: The kept views of each record batch.
        sizes: Rows of each.
        ids: The id column, if the schema names one and rows are kept.
    """

    plan: Plan
    profile: Profile
    counters: Mapping[str, Counter]
    views: tuple[Callable[[Chunk], Any], ...] = ()
    fields: tuple[pa.Field, ...] = ()
    parts: list[Mapping[Callable[[Chunk], Any], Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    ids: list[pa.Array] = field(default_factory=list)

    @classmethod
    def start(cls, baseline: Baseline, *, keep_rows: bool = True) -> Self:
        """Return the state before any row.

        Args:
            baseline: What to count against.
            keep_rows: Whether rows are to be scored.
        """
        kept = (view for s in OF_BATCHES if s.applies(baseline) for view in s.keeps)
        views = tuple(dict.fromkeys(kept)) if keep_rows else ()
        profile, counters = Profile.empty(baseline.layout), started(OF_BATCHES, baseline)
        return cls(Plan(baseline), profile, counters, views)

    def update(self, batch: pa.RecordBatch) -> None:
        """Count one record batch."""
        self.add(chunk_of(self.plan, batch, self.profile.n_rows))

    def update_all(self, batches: Iterable[pa.RecordBatch], threads: int = 1) -> None:
        """Count record batches, prepared by some threads.

        Args:
            batches: The rows, the next ones of the batch.
            threads: Threads at work, 1..`MAX_THREADS`; they change nothing but the time.
        """
        scan_all([self], batches, threads)

    def add(self, chunk: Chunk) -> None:
        """Count one record batch of this scan's plan."""
        if not self.fields:
            self.fields = without_index(chunk.batch.schema)
        self.profile.add(chunk.encoded)
        for counter in self.counters.values():
            counter.update(chunk)
        if not self.views:
            return
        self.parts.append({view: chunk.once(view) for view in self.views})
        self.sizes.append(chunk.n_rows)
        array = chunk.column(chunk.baseline.schema.id)
        if array is not None:
            self.ids.append(array)

    def merge(self, other: Scan) -> Scan:
        """Return the scan of both sets of rows; the other's rows come after the own."""
        counters = {name: own.merge(other.counters[name]) for name, own in self.counters.items()}
        return Scan(
            self.plan,
            self.profile.merge(other.profile),
            counters,
            self.views,
            self.fields or other.fields,
            [*self.parts, *other.parts],
            [*self.sizes, *other.sizes],
            [*self.ids, *other.ids],
        )

    def to_json(self) -> dict[str, Any]:
        """Return what was counted as plain JSON types, the same for equal counts; no kept rows."""
        counters = {name: counter.to_json() for name, counter in self.counters.items()}
        return {"profile": self.profile.to_json(), "counters": counters}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], baseline: Baseline, columns: pa.Schema) -> Self:
        """Read what `to_json` wrote.

        Args:
            value: Parsed JSON.
            baseline: What it was counted against.
            columns: Of the batch.

        Raises:
            ValueError: Not counted against this baseline; for some faults KeyError, TypeError,
                IndexError or AttributeError instead.
        """
        start = cls.start(baseline, keep_rows=False)
        if value.keys() != {"profile", "counters"}:
            raise ValueError("a scan has other keys")
        if value["counters"].keys() != start.counters.keys():
            raise ValueError("counters are not those of the baseline")
        read = {n: type(own).from_json(value["counters"][n]) for n, own in start.counters.items()}
        # What has another shape than counters of this baseline does not merge with them.
        counters = {name: own.merge(read[name]) for name, own in start.counters.items()}
        profile = Profile.from_json(value["profile"], baseline.layout)
        none = pa.RecordBatch.from_arrays([pa.nulls(0, c.type) for c in columns], schema=columns)
        fields = without_index(baseline.layout.projected(none).schema)
        return cls(start.plan, profile, counters, fields=fields)

    def comparison(self, overrides: Mapping[str, float], naming: ContributorNames) -> Comparison:
        """Return the batch beside its baseline.

        Args:
            overrides: Tolerances of the policy, shares by ``CODE`` or ``CODE:column``.
            naming: What contributors are called in findings.
        """
        found = Comparison(
            baseline=self.plan.baseline,
            profile=self.profile,
            fields=self.fields,
            counters=self.counters,
            overrides=overrides,
            naming=naming,
        )
        return replace(found, usual=usual_for(found))


def scan_all(scans: Sequence[Scan], batches: Iterable[pa.RecordBatch], threads: int = 1) -> None:
    """Count record batches in several scans at once; they are read once.

    Args:
        scans: Scans without rows, each of a plan of its own.
        batches: The rows of the batch.
        threads: As `Scan.update_all`.
    """
    assert not any(scan.profile.n_rows for scan in scans)  # noqa: S101 - rows are numbered from 0
    turns = itertools.cycle(scans)
    for chunk in chunks([scan.plan for scan in scans], batches, threads):
        next(turns).add(chunk)
        del chunk  # or it lives until the next one is there


def scan_beside(
    baselines: Sequence[Baseline], batches: Iterable[pa.RecordBatch], threads: int = 1
) -> list[Scan]:
    """Count a batch beside each of several baselines, in one pass and without keeping rows.

    Args:
        baselines: What clean batches look like, each by itself.
        batches: The rows; read once.
        threads: As `Scan.update_all`.

    Cost: one pass; counting for each baseline.
    """
    scans = [Scan.start(baseline, keep_rows=False) for baseline in baselines]
    scan_all(scans, batches, threads)
    return scans
