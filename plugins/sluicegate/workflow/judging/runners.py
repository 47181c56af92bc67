"""Two ways to evaluate the signals of a batch: directly, or as a Great Expectations suite."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.workflow.judging.threads import threads_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.decision.shape import Shape
    from sluicegate.signals.scan import Scan


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a runner found beside one baseline.

    Attributes:
        records: The findings.
        suite: Digest of the list of signals that it evaluated.
        shapes: How label, contributor and accused columns are spread, by column.
    """

    records: tuple[SignalRecord, ...]
    suite: Digest
    shapes: Mapping[str, Shape] = field(default_factory=dict)


Runner = Callable[["Iterable[pa.RecordBatch]", "Sequence[Baseline]", "Policy"], "list[Evaluation]"]
"""Reads the rows once, and returns what it found beside each baseline."""

_ROWS: Final = 65_536  # at once, so that what is computed of them stays small


def evaluate_directly(
    batches: Iterable[pa.RecordBatch], baselines: Sequence[Baseline], policy: Policy
) -> list[Evaluation]:
    """Evaluate every signal the baselines support, without Great Expectations.

    Args:
        batches: The rows of the batch; read once.
        baselines: What the batch is compared with, each by itself.
        policy: The rules of its source.

    Cost: one pass, and memory that does not grow with it.
    """
    return evaluate_scans(count_beside(batches, baselines), policy)


def count_beside(batches: Iterable[pa.RecordBatch], baselines: Sequence[Baseline]) -> list[Scan]:
    """Count rows beside each baseline.

    Args:
        batches: Rows; read once.
        baselines: What they are compared with, each by itself.

    Cost: one pass, and memory that does not grow with it.
    """
    from sluicegate.signals.scan import scan_beside

    return scan_beside(baselines, _short(batches), threads_for(os.environ))


def evaluate_scans(scans: Sequence[Scan], policy: Policy) -> list[Evaluation]:
    """Evaluate every signal on what was counted of a batch.

    Args:
        scans: Beside one baseline each.
        policy: The rules of the source.
    """
    from sluicegate.signals.evaluate import results_of
    from sluicegate.signals.registry import expected_codes

    found = results_of(
        scans,
        tolerances=policy.tolerances,
        false_block_budget=policy.false_block_budget,
        naming=policy.naming,
    )
    codes = (sorted(expected_codes(scan.plan.baseline)) for scan in scans)
    return [
        Evaluation(f.records, sha256_bytes(dumps(c)), f.shapes)
        for f, c in zip(found, codes, strict=True)
    ]


def _short(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut record batches of sources that make long ones."""
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS):
            yield batch.slice(start, _ROWS)


def watched(runner: Runner, on_rows: Callable[[int], None] | None) -> Runner:
    """Return a runner that says how far it is.

    Args:
        runner: Does the work.
        on_rows: Is told how many rows were read, each time some were; None for nobody.
    """
    if on_rows is None:
        return runner
    tell = on_rows

    def told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            tell(batch.num_rows)
            yield batch

    return lambda batches, baselines, policy: runner(told(batches), baselines, policy)


def suite_runner(path: Path) -> Runner:
    """Return a runner for the Great Expectations suite in ``path``.

    Cost:
        Importing Great Expectations takes seconds; it happens inside the returned runner. Great
        Expectations judges a frame, so all rows of the batch are held in memory.
    """

    def run(
        batches: Iterable[pa.RecordBatch], baselines: Sequence[Baseline], policy: Policy
    ) -> list[Evaluation]:
        import pyarrow as pa

        from sluicegate.adapters.gx import load_suite, run_suite

        table = pa.Table.from_batches(batches)
        outcomes = [
            run_suite(
                table,
                suite_json=load_suite(path),
                baseline=baseline,
                tolerances=policy.tolerances,
                false_block_budget=policy.false_block_budget,
                naming=policy.naming,
            )
            for baseline in baselines
        ]
        return [Evaluation(o.records, o.suite_digest, o.shapes) for o in outcomes]

    return run
