"""What expectations are judged against: a baseline and limits, named by their digests.

Keyword arguments of an expectation end up in metric ids, in stored results and on Data Docs
pages. A baseline is megabytes of JSON and does not belong there, so an expectation carries
digests and the values behind them are looked up here, for the duration of one run.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.errors import ConfigError, DataError, SluicegateError
from sluicegate.signals.contributors.names import SHOWN, ContributorNames, Display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.decision.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """One baseline with one set of limits.

    Attributes:
        baseline: What the batch is compared with.
        baseline_digest: Its digest, computed once because it serialises the baseline.
        tolerances: Largest accepted effects by signal code.
        false_block_budget: Probability of blocking a clean batch, over all signals.
        naming: What contributors are called.
        failures: Errors of evaluations, in the order they happened; Great Expectations
            keeps only their text.
        shapes: What the evaluation drew, by column.
    """

    baseline: Baseline
    baseline_digest: Digest
    tolerances: Mapping[str, float]
    false_block_budget: float
    naming: ContributorNames = SHOWN
    failures: list[SluicegateError] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    @property
    def limits(self) -> Digest:
        """Digest of tolerances and budget, and of hidden names: two of them are never one."""
        limits: dict[str, Any] = {
            "tolerances": {code: float(t) for code, t in self.tolerances.items()},
            "false_block_budget": float(self.false_block_budget),
        }
        if self.naming.hidden:
            limits["contributor_names"] = Display.HIDDEN.value
        return sha256_bytes(dumps(limits))

    @property
    def parameters(self) -> dict[str, str]:
        """Suite parameters that bind a suite to these."""
        return {"baseline": str(self.baseline_digest), "limits": str(self.limits)}

    def records(self, read: Callable[[], Iterable[pa.RecordBatch]]) -> tuple[SignalRecord, ...]:
        """Evaluate all signals on a batch.

        Args:
            read: Starts the one pass over the rows; called once. What it raises counts as a
                failure of the evaluation.

        Returns:
            The records of the core, unchanged.

        Raises:
            SluicegateError: What the core or the reader raised.
            DataError: Any other exception, without its text, which may hold row values.
        """
        try:
            return self._evaluate(read())
        except SluicegateError as error:
            self.failures.append(error)
            raise
        except Exception as error:  # noqa: BLE001 - nothing may escape with its text
            safe = DataError(
                "signals could not be evaluated",
                got=f"{type(error).__name__} at {place(error)}",
                next_step="Evaluate the batch with `sluicegate check` to see the whole error.",
            )
            self.failures.append(safe)
            # `from None`: Great Expectations stores the traceback's text, values and all.
            raise safe from None

    def _evaluate(self, batches: Iterable[pa.RecordBatch]) -> tuple[SignalRecord, ...]:
        from sluicegate.signals.evaluate import evaluate

        result = evaluate(
            self.baseline,
            batches,
            tolerances=self.tolerances,
            false_block_budget=self.false_block_budget,
            rows=False,
            naming=self.naming,
            values=False,
        )
        self.shapes.update(result.shapes)
        return result.records

    def demands(self, code: str) -> bool:
        """Return whether the baseline supports a signal, so that it must leave a record."""
        from sluicegate.signals.registry import expected_codes

        return code in expected_codes(self.baseline)


_ACTIVE: ContextVar[Mapping[tuple[str, str], Yardstick]] = ContextVar("sluicegate_yardsticks")


@contextmanager
def judging(
    baseline: Baseline,
    *,
    tolerances: Mapping[str, float],
    false_block_budget: float,
    naming: ContributorNames = SHOWN,
) -> Iterator[Yardstick]:
    """Let expectations find a baseline and limits by their digests.

    Args:
        baseline: What batches are compared with.
        tolerances: Largest accepted effects by signal code; may be empty.
        false_block_budget: Probability in (0, 0.5] of blocking a clean batch.
        naming: What contributors are called in results.

    Yields:
        Both as one; pass its ``parameters`` as ``expectation_parameters`` to Great
        Expectations, within this context and on this thread.
    """
    yardstick = Yardstick(
        baseline=baseline,
        baseline_digest=baseline.digest,
        tolerances=dict(tolerances),
        false_block_budget=false_block_budget,
        naming=naming,
    )
    key = (yardstick.parameters["baseline"], yardstick.parameters["limits"])
    token = _ACTIVE.set({**_ACTIVE.get({}), key: yardstick})
    try:
        yield yardstick
    finally:
        _ACTIVE.reset(token)


def find_yardstick(baseline: str, limits: str) -> Yardstick:
    """Return the baseline and limits with these digests.

    Args:
        baseline: Digest of a baseline.
        limits: Digest of its limits.

    Raises:
        ConfigError: None is active in this context.
    """
    found = _ACTIVE.get({}).get((baseline, limits))
    if found is None:
        raise ConfigError(
            "no such baseline and limits are active",
            locator="great_expectations suite",
            got=f"baseline {_short(baseline)}, limits {_short(limits)}",
            next_step="Run the suite within `sluicegate.adapters.gx.judging(...)`.",
        )
    return found


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:12] or "none"


def place(error: BaseException) -> str:
    """Return file and line where an exception was raised, which hold no row values."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
