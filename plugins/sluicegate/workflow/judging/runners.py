"""Two ways to evaluate the signals of a batch: directly, or as a Great Expectations suite."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.workflow.judging.gate import Evaluation, Runner
from sluicegate.workflow.judging.threads import threads_for

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.gate.policy import Policy
    from sluicegate.signals.baseline.stored import Baseline

_ROWS: Final = 65_536  # at once, so that what is computed of them stays small


def evaluate_directly(table: pa.Table, baseline: Baseline, policy: Policy) -> Evaluation:
    """Evaluate every signal the baseline supports, without Great Expectations.

    Args:
        table: All rows of the batch.
        baseline: What the batch is compared with.
        policy: The rules of its source.
    """
    from sluicegate.signals.evaluate import evaluate
    from sluicegate.signals.registry import expected_codes

    result = evaluate(
        baseline,
        table.to_batches(max_chunksize=_ROWS),
        tolerances=policy.tolerances,
        false_block_budget=policy.false_block_budget,
        rows=False,
        naming=policy.naming,
        threads=threads_for(os.environ),
    )
    suite = sha256_bytes(dumps(sorted(expected_codes(baseline))))
    return Evaluation(result.records, suite)


def suite_runner(path: Path) -> Runner:
    """Return a runner for the Great Expectations suite in ``path``.

    Cost:
        Importing Great Expectations takes seconds; it happens inside the returned runner.
    """

    def run(table: pa.Table, baseline: Baseline, policy: Policy) -> Evaluation:
        from sluicegate.adapters.gx import load_suite, run_suite

        outcome = run_suite(
            table,
            suite_json=load_suite(path),
            baseline=baseline,
            tolerances=policy.tolerances,
            false_block_budget=policy.false_block_budget,
            naming=policy.naming,
        )
        return Evaluation(outcome.records, outcome.suite_digest)

    return run
