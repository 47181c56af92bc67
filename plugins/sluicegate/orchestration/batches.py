"""Which batch a gate task judges, as of which day, and which partitions it consists of.

All of it comes through XCom and templates, so it is a pointer: the gate looks each digest up in
the ledger and judges what was sealed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sluicegate.digest.algorithms import Digest
    from sluicegate.orchestration.operators import TrainingGateOperator
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import IssuedVerdict, SealedBatch
    from sluicegate.workflow.judging.gate import GateSigners


def judge(
    task: TrainingGateOperator,
    home: SluiceHome,
    signers: GateSigners,
    context: Mapping[str, Any],
    *,
    run: Mapping[str, str],
    at: datetime,
) -> tuple[IssuedVerdict, SealedBatch]:
    """Judge what a gate task is set to judge.

    Args:
        task: Its settings.
        home: Paths of the installation.
        signers: Gate and ledger keys.
        context: Airflow's task context.
        run: Who judges.
        at: Aware UTC.

    Raises:
        SluicegateError: It could not be judged.
    """
    from sluicegate.orchestration.stores import filesystem_of
    from sluicegate.workflow.judging.gate import gate_source
    from sluicegate.workflow.judging.runners import evaluate_directly, suite_runner

    _require_awaited(task)
    return gate_source(
        home,
        task.source,
        signers=signers,
        at=at,
        run=run,
        runner=suite_runner(Path(task.suite)) if task.suite else evaluate_directly,
        filesystem=lambda locator: filesystem_of(locator, task.conn_id),
        digest=digest_of(task.batch, task.source) or own_batch(task, home, context, run, at=at),
        as_of=judged_day(context),
        parts=parts_of(task.parts),
    )


def own_batch(
    task: TrainingGateOperator,
    home: SluiceHome,
    context: Mapping[str, Any],
    run: Mapping[str, str],
    *,
    at: datetime,
) -> Digest | None:
    """Return the batch that this run sealed, for a gate that names none.

    By the signed provenance of the run; where its seal task found what was sealed before, and so
    signed nothing, by that task's output.

    Args:
        task: The gate.
        home: Paths of the installation.
        context: Airflow's task context.
        run: Dag, run, task and map index of the gate.
        at: Aware UTC.

    Returns:
        None if no task of this run sealed the gate's source.

    Raises:
        ConfigError: The run sealed several batches.
        SluicegateError: The ledger cannot be read, or what it says does not hold.
    """
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.verified import open_evidence
    from sluicegate.workflow.sealing.own_batch import batch_of_run, require_one

    evidence = open_evidence(home, at=at)
    found = batch_of_run(evidence, task.source, run, at=at, before=task.upstream_task_ids)
    if found is not None:
        return found.digest
    told = {str(digest) for name, digest in _told(task, context) if name == task.source}
    require_one(told, task.source)
    return Digest.parse(told.pop()) if told else None


def _told(task: TrainingGateOperator, context: Mapping[str, Any]) -> Iterator[tuple[str, Digest]]:
    """Yield what the seal tasks before a gate returned; Airflow knows which map index is meant."""
    for before in task.get_flat_relatives(upstream=True):
        if getattr(getattr(before, "operator_class", type(before)), "seals", False):
            said = before.output.resolve(context)
            yield from map(_pointer, [said] if isinstance(said, Mapping) else said or ())


def awaited(**given: Any) -> tuple[str, ...]:
    """Return what another task is to say; text may be an empty template, for the newest batch."""
    return tuple(name for name, value in given.items() if not isinstance(value, str | None))


def _require_awaited(task: TrainingGateOperator) -> None:
    """Return unless a task that was to name batch or partitions left nothing.

    Raises:
        ConfigError: It did; the newest batch, or one of no partitions, is another than meant.
    """
    for name in task.awaited:
        if getattr(task, name) is None:
            raise ConfigError(
                f"the task that was to name the gate's {name} left nothing",
                locator=task.source,
                next_step="Clear that task and this one.",
            )


def digest_of(batch: Any, source: str) -> Digest | None:
    """Return the digest that a seal task's output names.

    Args:
        batch: ``{source, digest, ...}``, a digest as text, or nothing.
        source: The source it must be of.

    Returns:
        None for nothing, which means the newest batch.

    Raises:
        ConfigError: A batch of another source, or no batch.
    """
    if batch is None or batch in ("", "None"):
        return None
    if isinstance(batch, Mapping):
        named, digest = _pointer(batch)
        if named != source:
            raise ConfigError(
                "the batch is of another source", locator="batch", expected=source, got=named
            )
        return digest
    from sluicegate.digest.algorithms import Digest

    return Digest.parse(str(batch))


def parts_of(parts: Iterable[Any] | None) -> list[tuple[str, Digest]] | None:
    """Return source and digest of each partition.

    Raises:
        ConfigError: Not the outputs of seal tasks.
    """
    return None if parts is None else [_pointer(part) for part in parts]


def judged_day(context: Mapping[str, Any]) -> datetime | None:
    """Return the day of a backfilled run, and None for every other.

    A run that somebody started by hand with an old date is judged by today's baselines: else
    whoever may trigger the DAG would choose the baseline.
    """
    run_type = getattr(context.get("dag_run"), "run_type", None)
    if str(getattr(run_type, "value", run_type)) != "backfill":
        return None
    day: datetime | None = context.get("logical_date")
    return None if day is None else day.replace(microsecond=0)


def _pointer(value: Any) -> tuple[str, Digest]:
    if not isinstance(value, Mapping) or not {"source", "digest"} <= value.keys():
        raise ConfigError(
            "not a sealed batch",
            locator="batch",
            expected="what a seal task returns",
            got=type(value).__name__,
            next_step="Pass the output of a SealSourceOperator.",
        )
    from sluicegate.digest.algorithms import Digest

    return check_source_name(str(value["source"])), Digest.parse(str(value["digest"]))
