"""What a seal, a gate, a guard and an audit tell while they run: one span, and their metrics."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sluicegate.foreign import coded
from sluicegate.orchestration.observing import metrics
from sluicegate.orchestration.observing.emission import Span, emit
from sluicegate.workflow.evidence.append_time import timed_appends

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.gate.verdict import Verdict
    from sluicegate.orchestration.observing.metrics import Metric
    from sluicegate.workflow.auditing.audit import Audit
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch

_DURATIONS = {"seal": metrics.SEAL_SECONDS, "gate": metrics.GATE_SECONDS}


class Step:
    """One step of a source while it runs.

    Args:
        name: ``seal``, ``gate`` or ``rollback``; "" for one that has no span.
        source: Name of the source.
    """

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source
        self.result = ""
        self.span = Span(f"sluicegate.{name}" if name else "")
        self.span.say(source=source)

    def sealed(self, batch: SealedBatch) -> None:
        """Say that a batch is sealed."""
        self.result = "SEALED"
        self.span.say(digest=str(batch.digest), version=str(batch.version))
        self._hashed(batch, "seal")

    def judged(self, issued: IssuedVerdict, batch: SealedBatch) -> None:
        """Say that a batch has a verdict.

        Args:
            issued: The verdict.
            batch: The batch that was read for it.
        """
        verdict = issued.verdict
        self.result = verdict.result.value
        signals = _signals(verdict)
        self.span.say(
            digest=str(batch.digest),
            verdict=str(issued.envelope),
            result=self.result,
            signals=sorted(signals),
        )
        emit(metrics.VERDICTS, source=self.source, result=self.result)
        for signal, result in signals.items():
            emit(metrics.SIGNALS, source=self.source, signal=signal, result=result)
        self._hashed(batch, "gate")

    def trusted(self, verdict: Verdict) -> None:
        """Say that training may start on a batch by its verdict."""
        _trusted(self.source, verdict)

    def _hashed(self, batch: SealedBatch, step: str) -> None:
        if (size := batch.size_bytes) is not None:
            emit(metrics.BYTES, size, source=self.source, step=step)


@contextmanager
def observed(name: str, source: str) -> Iterator[Step]:
    """Observe a step: its span, its duration, and the appends that it makes.

    Args:
        name: ``seal``, ``gate`` or ``rollback``; "" for one of which only appends are told.
        source: Name of the source.

    Raises:
        Exception: What the step raised, unchanged.
    """
    step, started, appended, error = Step(name, source), time.perf_counter(), list[float](), ""
    try:
        with timed_appends(appended.append):
            yield step
    except Exception as raised:
        error = coded(raised).code
        raise
    finally:
        for seconds in appended:
            emit(metrics.APPEND_SECONDS, seconds)
        if (metric := _DURATIONS.get(name)) is not None:
            result = step.result or error or "INTERRUPTED"
            emit(metric, time.perf_counter() - started, source=source, result=result)
        step.span.end(error)


def audited(found: Audit) -> None:
    """Say what an audit found."""
    emit(metrics.FINDINGS, len(found.findings))
    if found.n_armed is not None:
        emit(metrics.ARMED, found.n_armed)
        emit(metrics.UNARMED, found.counts.get("HOST_NOT_ARMED", 0))


class GuardWatch:
    """The guard of one task while it decides."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._span = Span("sluicegate.guard")

    def admitted(self, admissions: Mapping[str, IssuedVerdict]) -> None:
        """Say that the task may start.

        Args:
            admissions: Source to the verdict that admitted it.
        """
        sources = sorted(admissions)
        self._span.say(
            sources=sources,
            digests=[str(admissions[source].verdict.digest) for source in sources],
            verdicts=[str(admissions[source].envelope) for source in sources],
        )
        for source in sources:
            _trusted(source, admissions[source].verdict)
        self._end(metrics.ADMITTED)

    def refused(self, code: str) -> None:
        """Say that it may not, by the code of an error."""
        self._span.say(code=code)
        self._end(metrics.REFUSED, code)

    def _end(self, metric: Metric, code: str = "") -> None:
        emit(metric, **({"code": code} if code else {}))
        emit(metrics.GUARD_SECONDS, time.perf_counter() - self._started)
        self._span.end(code)


def _trusted(source: str, verdict: Verdict) -> None:
    emit(metrics.TRUSTED, verdict.issued.timestamp(), source=source)


def _signals(verdict: Verdict) -> dict[str, str]:
    """Return each signal that is a reason, with the worst that it makes of the verdict."""
    # Reasons stand worst first, so the last one that is set is the worst.
    return {reason.code: reason.result.value for reason in reversed(verdict.reasons)}
