"""Which batch a gate task judges, as of which day, and which partitions it consists of.

All of this comes through XCom and templates, so it is only a pointer: the gate looks each digest up
in the ledger, and judges what was sealed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from airflow.sdk import BaseOperator

    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.judging.gate import GateSigners


@dataclass(frozen=True, slots=True)
class Tallies:
    """What tasks counted of one batch.

    Attributes:
        digest: The batch.
        place: Where the tallies lie.
        locations: Of each.
        conn_id: Airflow connection of their store; None for none.
    """

    digest: Digest
    place: str
    locations: list[str]
    conn_id: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What one gate task judges.

    Attributes:
        source: Name of the source.
        digest: The sealed batch; None for the newest of the source.
        parts: Source and digest of each partition; None for a batch without partitions.
        as_of: The day as of which to judge; None for now.
        tallies: What tasks counted of it; None where the gate reads its rows.
    """

    source: str
    digest: Digest | None
    parts: list[tuple[str, Digest]] | None
    as_of: datetime | None
    tallies: Tallies | None = None

    def gate(
        self,
        home: SluiceHome,
        policy: Policy,
        signers: GateSigners,
        *,
        suite: str | None,
        conn_id: str | None,
        run: Mapping[str, str],
        at: datetime,
    ) -> tuple[IssuedVerdict, SealedBatch]:
        """Judge it, and return the verdict and the batch.

        Args:
            home: Paths of the installation.
            policy: The policy in force.
            signers: Gate and ledger keys.
            suite: Path of a Great Expectations suite; None evaluates the signals directly.
            conn_id: Airflow connection of the store, if another than the batch was sealed by.
            run: DAG, run, task and map index of the gate.
            at: Aware UTC.
        """
        from sluicegate.adapters.sources.connection import filesystem_of
        from sluicegate.workflow.judging.gate import gate_source
        from sluicegate.workflow.judging.runners import evaluate_directly, suite_runner

        tallies = None
        if self.tallies is not None:
            from sluicegate.adapters.tally_store import TallyStore

            store = TallyStore.open(self.tallies.place, self.tallies.conn_id)
            tallies = store, self.tallies.locations
        return gate_source(
            home,
            self.source,
            signers=signers,
            at=at,
            run=run,
            runner=suite_runner(Path(suite)) if suite else evaluate_directly,
            filesystem=conn_id and partial(filesystem_of, conn_id=conn_id),
            digest=self.digest,
            as_of=self.as_of,
            parts=self.parts,
            policy=policy,
            tallies=tallies,
        )


def own_batch(
    home: SluiceHome,
    source: str,
    run: Mapping[str, str],
    *,
    before: Collection[str],
    told: Iterable[tuple[str, Digest]],
    at: datetime,
) -> Digest | None:
    """Return the batch that this run sealed, for a gate that names none.

    The signed provenance of the run says which. If its seal task signed nothing, because the same
    batch was sealed before, the output of that task says which.

    Args:
        home: Paths of the installation.
        source: The gate's source.
        run: DAG, run, task and map index of the gate.
        before: Ids of the tasks directly before the gate.
        told: Source and digest that the seal tasks before the gate returned; only read if the
            provenance names no batch.
        at: Aware UTC.

    Returns:
        None if no task of this run sealed the gate's source.

    Raises:
        ConfigError: The run sealed several batches.
        SluicegateError: The ledger cannot be read, or what it says does not hold.
    """
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.opening import open_evidence
    from sluicegate.workflow.sealing.own_batch import batch_of_run, require_one

    evidence = open_evidence(home, at=at)
    found = batch_of_run(evidence, source, run, at=at, before=before)
    if found is not None:
        return found.digest
    named = {str(digest) for name, digest in told if name == source}
    require_one(named, source)
    return Digest.parse(named.pop()) if named else None


def named_or_own(
    task: BaseOperator,
    source: str,
    batch: Any,
    *,
    home: SluiceHome,
    context: Mapping[str, Any],
    run: Mapping[str, str],
    at: datetime,
) -> Digest | None:
    """Return the batch that a task names, or else the one that its run sealed.

    Args:
        task: It is running.
        source: Its source.
        batch: As `digest_of`.
        home: Paths of the installation.
        context: Airflow's task context.
        run: DAG, run, task and map index of the task.
        at: Aware UTC.

    Returns:
        None for the newest batch of the source.

    Raises:
        SluicegateError: As `digest_of` and `own_batch`.
    """
    told, before = sealed_before(task, context), task.upstream_task_ids
    return digest_of(batch, source) or own_batch(home, source, run, before=before, told=told, at=at)


def sealed_before(task: BaseOperator, context: Mapping[str, Any]) -> Iterator[tuple[str, Digest]]:
    """Yield what the seal tasks before a task returned; Airflow picks the map index.

    Args:
        task: Any task of the running DAG.
        context: Airflow's task context.
    """
    for before in task.get_flat_relatives(upstream=True):
        if getattr(getattr(before, "operator_class", type(before)), "seals", False):
            said = before.output.resolve(context)
            yield from map(_pointer, [said] if isinstance(said, Mapping) else said or ())


def awaited(**given: Any) -> tuple[str, ...]:
    """Return the names of values that another task must give; empty text means the newest batch."""
    return tuple(name for name, value in given.items() if not isinstance(value, str | None))


def require_left(source: str, left: Mapping[str, Any]) -> None:
    """Return if each task that must name batch or partitions did so.

    Args:
        source: The gate's source.
        left: What each such task left, by the gate's argument.

    Raises:
        ConfigError: One left nothing; the newest batch, or one without partitions, is not meant.
    """
    for name, value in left.items():
        if value is None:
            raise ConfigError(
                f"the task that was to name the gate's {name} left nothing",
                locator=source,
                next_step="Clear that task and this one.",
            )


def digest_of(batch: Any, source: str) -> Digest | None:
    """Return the digest that a seal task's output names.

    Args:
        batch: ``{source, digest, ...}``, a digest as text, or nothing.
        source: The source that the batch must belong to.

    Returns:
        The digest; None if nothing is named, which means the newest batch.

    Raises:
        ConfigError: The batch is of another source, or the value names no batch.
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
        ConfigError: A part is not the output of a seal task.
    """
    return None if parts is None else [_pointer(part) for part in parts]


def tallies_of(tallies: Iterable[Any] | None, source: str, conn_id: str | None) -> Tallies | None:
    """Return what tasks counted of one batch, as their pointers say.

    Args:
        tallies: What the tasks that counted portions returned; None for none.
        source: The source that the batch must belong to.
        conn_id: Airflow connection of their store.

    Raises:
        ConfigError: One is no such output, or they are of several batches or places.
    """
    if tallies is None:
        return None
    found = list(tallies)
    told = {(*_pointer(one), str(one.get("place"))) for one in found}
    if len(told) != 1 or not all(isinstance(one.get("tally"), str) for one in found):
        raise ConfigError(
            "not the tallies of one batch",
            locator="tallies",
            expected="what the mapped CountPortionOperator returns",
            got=f"{len(found)} values about {len(told)} batches and places",
        )
    [(named, digest, place)] = told
    if named != source:
        raise ConfigError(
            "the tallies are of another source", locator="tallies", expected=source, got=named
        )
    return Tallies(digest, place, [one["tally"] for one in found], conn_id)


def judged_day(context: Mapping[str, Any]) -> datetime | None:
    """Return the day of a backfilled run, and None for every other run.

    A run that somebody started by hand with an old date is judged by today's baselines. Otherwise
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
