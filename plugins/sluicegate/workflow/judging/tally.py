"""What one task counted of a portion of a batch; tallies of all portions add up to the batch.

A tally is a monoid: counting a batch in portions and merging gives, to the byte, what counting it
in one piece gives. Its bytes are specified in docs/formats/tally.md.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

from sluicegate.adapters.files.bounds import Meter
from sluicegate.adapters.files.formats import Unjudged
from sluicegate.adapters.files.promotion import CommonSchema
from sluicegate.attest.tally import MAX_BYTES
from sluicegate.digest import canonical
from sluicegate.errors import MalformedEnvelope, UnreadableData
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.counting import natural
from sluicegate.signals.scan import Scan
from sluicegate.workflow.judging.runners import evaluate_scans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sluicegate.gate.policy import Policy
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.contributors.limits import LimitCounts
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.judging.case import Case
    from sluicegate.workflow.judging.runners import Evaluation

_KEYS: Final = {"columns", "seen", "scans", "contributors", "meter", "unjudged"}
_MALFORMED: Final = (
    KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, pa.ArrowException
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of some files of a batch, beside each baseline.

    Attributes:
        schema: Columns of all files of the batch, in which rows were counted.
        seen: Columns that the counted files have in common; None for no row.
        scans: What signals counted, beside each baseline, the anchored one first.
        contributors: What the policy limits; None where it limits nothing.
        meter: How much was decoded.
        unjudged: Files that no reader knows.
    """

    schema: pa.Schema
    seen: pa.Schema | None
    scans: list[Scan]
    contributors: LimitCounts | None
    meter: Meter
    unjudged: list[Unjudged] = field(default_factory=list)

    @classmethod
    def start(cls, case: Case, schema: pa.Schema) -> Self:
        """Return the tally of no file, the identity of `merge`.

        Args:
            case: What is counted, and against what.
            schema: Columns of all files of the batch.
        """
        scans = [Scan.start(baseline, keep_rows=False) for baseline in case.baselines]
        meter = Meter(case.policy.limits, case.batch.location)
        return cls(schema.remove_metadata(), None, scans, case.limit_counts(), meter)

    def merge(self, other: Self) -> Self:
        """Return the tally of both sets of files; the other's come after the own.

        Raises:
            UnreadableData: Together they are more than the limits, or columns contradict.
        """
        common = CommonSchema()
        for seen in (self.seen, other.seen):
            if seen is not None:
                common.add(seen, self.meter.locator)
        own, others = self.contributors, other.contributors
        return type(self)(
            self.schema,
            common.schema,
            [a.merge(b) for a, b in zip(self.scans, other.scans, strict=True)],
            None if own is None or others is None else own.merge(others),
            self.meter.plus(other.meter),
            [*self.unjudged, *other.unjudged],
        )

    @property
    def n_rows(self) -> int:
        """Rows that were counted."""
        return self.scans[0].profile.n_rows

    @property
    def too_few(self) -> bool:
        """Whether the rows, or those of them with a known label, cannot be judged alone."""
        return self.n_rows < MIN_ROWS or self.lacks_labels

    @property
    def lacks_labels(self) -> bool:
        """Whether too few rows have a label that the anchored baseline knows."""
        scan = self.scans[0]
        classes = list(scan.plan.baseline.classes)
        return bool(classes) and int(scan.profile.label_counts()[classes].sum()) < MIN_ROWS

    def require_whole(self) -> None:
        """Return if the rows needed exactly the columns in which they were counted.

        Raises:
            UnreadableData: Files were changed between the look at them and the counting.
        """
        if self.n_rows and not self.schema.equals(self.seen):
            raise UnreadableData(
                "files have other columns than when the batch was cut into portions",
                locator=self.meter.locator,
                next_step="Stop the writer, then run again.",
            )

    def few(self) -> None:
        """Return no rows: a tally of too few is not asked."""

    def labelled(self) -> None:
        """Return no rows, as `few`."""

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Return no rows: they were counted elsewhere."""
        return iter(())

    def evaluate(
        self, _rows: object, _baselines: Sequence[Baseline], policy: Policy
    ) -> list[Evaluation]:
        """Evaluate every signal on what was counted: a `Runner`.

        Args:
            _rows: Not read.
            _baselines: Those that the rows were counted beside.
            policy: The rules of the source.
        """
        return evaluate_scans(self.scans, policy)

    def limits(self) -> tuple[SignalRecord, ...]:
        """Hold the batch against what one contributor may deliver."""
        known = self.scans[0].plan.baseline.known_contributors
        return () if self.contributors is None else self.contributors.records(known)

    def to_bytes(self) -> bytes:
        """Return canonical bytes, the same for equal counts."""
        meter = self.meter
        return canonical.dumps(
            {
                "columns": _packed(self.schema),
                "seen": "" if self.seen is None else _packed(self.seen.remove_metadata()),
                "scans": [scan.to_json() for scan in self.scans],
                "contributors": None if self.contributors is None else self.contributors.to_json(),
                "meter": [meter.n_rows, meter.n_bytes, meter.on_disk],
                "unjudged": [[file.name, file.why] for file in self.unjudged],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, case: Case, *, locator: str) -> Self:
        """Read what `to_bytes` wrote of the same case.

        Args:
            data: Bytes that the gate signed.
            case: What was counted, and against what.
            locator: Where they lie, for messages.

        Raises:
            MalformedEnvelope: Not what a task of this code writes, to the byte.
        """
        value = canonical.loads(data, locator=locator, max_bytes=MAX_BYTES)
        try:
            found = cls._read(value, case)
            same = found.to_bytes() == data
        except _MALFORMED as error:
            # `from None`: the error quotes what it could not read, a word or a contributor.
            raise MalformedEnvelope(
                "tally is malformed", locator=locator, got=type(error).__name__
            ) from None
        if not same:
            raise MalformedEnvelope("tally is not in canonical form", locator=locator)
        return found

    @classmethod
    def _read(cls, value: dict[str, Any], case: Case) -> Self:
        if value.keys() != _KEYS:
            raise ValueError("a tally has other keys")
        start = cls.start(case, _unpacked(value["columns"]))
        pairs = zip(value["scans"], case.baselines, strict=True)
        limits, meter = start.contributors, start.meter
        meter.n_rows, meter.n_bytes, meter.on_disk = map(natural, value["meter"])
        return cls(
            start.schema,
            _unpacked(value["seen"]) if value["seen"] else None,
            [Scan.from_json(scan, baseline, start.schema) for scan, baseline in pairs],
            None if limits is None else limits.read(value["contributors"]),
            meter,
            [Unjudged(str(name), str(why)) for name, why in value["unjudged"]],
        )


def _packed(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize()).decode()


def _unpacked(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
