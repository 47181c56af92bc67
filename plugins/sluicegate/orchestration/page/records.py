"""What Airflow's own tables say: protected tasks, where a guard spoke, and audits that ran.

Nobody signed any of it. Whoever may write Airflow's database could change it, so whatever comes
from here is shown as Airflow's word; `sluicegate audit` holds it against the ledger.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow.models.dag import DagModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, select

from sluicegate.errors import SluicegateError
from sluicegate.foreign import coded
from sluicegate.orchestration.protecting.author_code import OUR_MODULES
from sluicegate.orchestration.protecting.declared import declared
from sluicegate.orchestration.protecting.protection import protection_of, sources_of
from sluicegate.workflow.admission.admitted import ADMITTED_KEY
from sluicegate.workflow.auditing.run_records import AdmissionTrace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime

    from sqlalchemy.orm import Session

    from sluicegate.orchestration.settings import Settings

PORTION: Final = 8
"""DAGs that are read together, at least one portion in each question."""

AUDIT_MODULE: Final = "sluicegate.orchestration.operators_audit"
MOST_NOTES: Final = 200
"""Notes that are looked through, the newest."""
MOST_AUDITS: Final = 10


@dataclass(frozen=True, slots=True)
class ProtectedTask:
    """A task that the guard protects, as its serialized DAG says.

    Attributes:
        dag: Id of the DAG.
        task: Id of the task.
        reason: What protects it.
        sources: Sources whose verdicts it needs.
        queue: Queue that Airflow sends it to.
        certain: Whether more is known than references that only the run resolves.
        refusal: Why the guard will refuse it whatever the evidence; None if it will not.
    """

    dag: str
    task: str
    reason: str
    sources: tuple[str, ...]
    queue: str
    certain: bool = True
    refusal: SluicegateError | None = None


@dataclass(frozen=True, slots=True)
class ReadDag:
    """What one version of a DAG declares.

    Attributes:
        tasks: Its protected tasks.
        sources: Sources that its tasks read or announce, or that start it.
        audits: Ids of its tasks that audit.
    """

    tasks: tuple[ProtectedTask, ...]
    sources: frozenset[str]
    audits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """A decision that a guard noted.

    Attributes:
        trace: The note.
        host: Host that ran the task, as Airflow recorded.
        queue: Its queue.
        when: When it was noted, aware UTC.
    """

    trace: AdmissionTrace
    host: str
    queue: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Host:
    """A host and queue that ran tasks.

    Attributes:
        host: Its name.
        queue: Queue of the tasks.
        first: First time in the window, aware UTC.
        last: Last time.
        count: How often.
    """

    host: str
    queue: str
    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class AuditTask:
    """The newest run of a task that audits.

    Attributes:
        dag: Id of the DAG.
        task: Id of the task.
        state: State of its newest try; None if it never ran.
        ended: When that ended; None if it did not.
        findings: Number of findings by code, as it reported them.
    """

    dag: str
    task: str
    state: str | None = None
    ended: datetime | None = None
    findings: dict[str, int] = field(default_factory=dict)


class Dags:
    """Reads serialized DAGs, each version once.

    Args:
        settings: Returns what is protected; called once for each version.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._known: dict[str, tuple[datetime, ReadDag]] = {}

    def read(
        self, session: Session, wanted: Collection[str], has_time: Callable[[], bool]
    ) -> tuple[dict[str, ReadDag], int]:
        """Return what DAGs declare, of those that are known or that there is time to read.

        Args:
            session: Airflow's database.
            wanted: Ids of DAGs; those that are no longer in a file are left out.
            has_time: Whether more may be read.

        Returns:
            Declarations by id, and how many DAGs were not read yet.

        Cost: a query for all ids; about 5 ms of CPU for each DAG that is new or changed.
        """
        rows = session.execute(
            select(SerializedDagModel.dag_id, func.max(SerializedDagModel.last_updated))
            .join(DagModel, DagModel.dag_id == SerializedDagModel.dag_id)
            .where(DagModel.is_stale.is_(False))
            .group_by(SerializedDagModel.dag_id)
        )
        newest = {dag: when for dag, when in rows if dag in wanted}
        missing = [d for d in sorted(newest) if self._known.get(d, (None,))[0] != newest[d]]
        for begin in range(0, len(missing), PORTION):
            if begin and not has_time():
                break
            portion = missing[begin : begin + PORTION]
            found = SerializedDagModel.get_latest_serialized_dags(dag_ids=portion, session=session)
            for row in found:
                self._known[row.dag_id] = (newest[row.dag_id], self._declared(row))
        known = {
            dag: self._known[dag][1]
            for dag in newest
            if dag in self._known and self._known[dag][0] == newest[dag]
        }
        return known, len(newest) - len(known)

    def _declared(self, row: Any) -> ReadDag:
        try:
            dag, settings = row.dag, self._settings()
        except Exception as error:  # noqa: BLE001 - one DAG that cannot be read hides no other
            broken = ProtectedTask(row.dag_id, "", "unreadable", (), "", refusal=coded(error))
            return ReadDag((broken,), frozenset(), ())
        tasks = [one for task in dag.tasks if (one := _protected(dag, task, settings)) is not None]
        audits = [task.task_id for task in dag.tasks if _module(task) == AUDIT_MODULE]
        return ReadDag(tuple(tasks), frozenset(_sources(dag)), tuple(audits))


def _module(task: Any) -> str:
    return str(getattr(task, "_task_module", ""))


def _protected(dag: Any, task: Any, settings: Settings) -> ProtectedTask | None:
    """Ask the guard's own rule; what the author's code adds to our operators is not serialized."""
    if _module(task) in OUR_MODULES:
        return None
    named = (dag.dag_id, task.task_id)
    try:
        found = protection_of(task, settings)
    except SluicegateError as refusal:
        return ProtectedTask(*named, "guard error", (), str(task.queue), refusal=refusal)
    if found is None:
        return None
    return ProtectedTask(*named, found.reason, found.sources, str(task.queue), found.certain)


def _sources(dag: Any) -> Iterator[str]:
    parts = [getattr(dag.timetable, "asset_condition", None)]
    for task in dag.tasks:
        partial = getattr(task, "partial_kwargs", None) or {}
        parts += [partial.get(name) or getattr(task, name, None) for name in ("inlets", "outlets")]
    for part in parts:
        try:
            yield from sources_of(declared(part).texts)
        except SluicegateError:
            continue  # the guard refuses such a task, and the Guard view says so


def notes(
    session: Session, dags: Collection[str], *, since: datetime, limit: int = MOST_NOTES
) -> list[Noted]:
    """Return what guards noted, newest first.

    Args:
        session: Airflow's database.
        dags: Ids of DAGs that may be told of.
        since: Aware UTC; older ones are left out.
        limit: Most notes that are looked through.
    """
    asked = _noted().where(XComModel.timestamp >= since)
    return [one for one in _read(session, asked, limit) if one.trace.dag_id in dags]


def notes_of(session: Session, dag: str, run: str, task: str, map_index: int | None) -> list[Noted]:
    """Return what guards noted in a run, newest first.

    Args:
        session: Airflow's database.
        dag: Id of the DAG.
        run: Id of its run; "" for any.
        task: Id of a task; "" for any.
        map_index: Of a mapped task; None for any.
    """
    asked = _noted().where(XComModel.dag_id == dag)
    if run:
        asked = asked.where(XComModel.run_id == run)
    if task:
        asked = asked.where(XComModel.task_id == task)
    if map_index is not None:
        asked = asked.where(XComModel.map_index == map_index)
    return _read(session, asked, MOST_NOTES)


_SAME_TASK: Final = and_(
    TaskInstance.dag_id == XComModel.dag_id,
    TaskInstance.run_id == XComModel.run_id,
    TaskInstance.task_id == XComModel.task_id,
    TaskInstance.map_index == XComModel.map_index,
)


def _noted() -> Any:
    return (
        select(
            XComModel.dag_id,
            XComModel.run_id,
            XComModel.task_id,
            XComModel.map_index,
            XComModel.value,
            TaskInstance.hostname,
            TaskInstance.queue,
            XComModel.timestamp,
        )
        .join(TaskInstance, _SAME_TASK)
        .where(XComModel.key == ADMITTED_KEY)
        .order_by(XComModel.timestamp.desc())
    )


def _read(session: Session, asked: Any, limit: int) -> list[Noted]:
    return [
        Noted(
            AdmissionTrace.of((row.dag_id, row.run_id, row.task_id, row.map_index), row.value),
            row.hostname or "",
            row.queue or "",
            row.timestamp,
        )
        for row in session.execute(asked.limit(limit))
    ]


def armed_hosts(session: Session, dags: Collection[str], *, since: datetime) -> list[Host]:
    """Return where guards spoke.

    Args:
        session: Airflow's database.
        dags: Ids of DAGs that may be told of.
        since: Aware UTC; what is older is left out.

    Cost: one query over the notes since then.
    """
    rows = session.execute(
        select(
            XComModel.dag_id,
            TaskInstance.hostname,
            TaskInstance.queue,
            func.min(XComModel.timestamp),
            func.max(XComModel.timestamp),
            func.count(),
        )
        .join(TaskInstance, _SAME_TASK)
        .where(XComModel.key == ADMITTED_KEY, XComModel.timestamp >= since)
        .group_by(XComModel.dag_id, TaskInstance.hostname, TaskInstance.queue)
    )
    return _by_host(tuple(row[1:]) for row in rows if row[0] in dags)


def training_hosts(
    session: Session, tasks: Iterable[ProtectedTask], *, since: datetime
) -> list[Host]:
    """Return which hosts ran protected tasks, whether a guard spoke there or not.

    Args:
        session: Airflow's database.
        tasks: The protected tasks.
        since: Aware UTC; what is older is left out.

    Cost: one query over the task instances of their DAGs since then.
    """
    named = {(one.dag, one.task) for one in tasks if one.certain}
    rows = session.execute(
        select(
            TaskInstance.dag_id,
            TaskInstance.task_id,
            TaskInstance.hostname,
            TaskInstance.queue,
            func.min(TaskInstance.start_date),
            func.max(TaskInstance.start_date),
            func.count(),
        )
        .where(
            TaskInstance.dag_id.in_({dag for dag, _ in named}),
            TaskInstance.start_date >= since,
            TaskInstance.end_date.is_not(None),  # a guard may not have spoken yet
            TaskInstance.pid.is_not(None),
        )
        .group_by(
            TaskInstance.dag_id, TaskInstance.task_id, TaskInstance.hostname, TaskInstance.queue
        )
    )
    return _by_host(tuple(row[2:]) for row in rows if (row[0], row[1]) in named)


def _by_host(rows: Iterable[tuple[Any, ...]]) -> list[Host]:
    found: dict[tuple[str, str], Host] = {}
    for host, queue, first, last, count in rows:
        key = (host or "", queue or "")
        one = found.get(key, Host(*key, first, last, 0))
        found[key] = Host(*key, min(one.first, first), max(one.last, last), one.count + count)
    return [found[key] for key in sorted(found) if key[0]]


def audits(session: Session, dags: dict[str, ReadDag]) -> list[AuditTask]:
    """Return what became of the tasks that audit.

    Args:
        session: Airflow's database.
        dags: What DAGs declare.
    """
    named = [(dag, task) for dag, found in sorted(dags.items()) for task in found.audits]
    return [_audit(session, dag, task) for dag, task in named[:MOST_AUDITS]]


def _audit(session: Session, dag: str, task: str) -> AuditTask:
    last = session.execute(
        select(TaskInstance.run_id, TaskInstance.state, TaskInstance.end_date)
        .where(
            TaskInstance.dag_id == dag,
            TaskInstance.task_id == task,
            TaskInstance.end_date.is_not(None),
        )
        .order_by(TaskInstance.end_date.desc())
        .limit(1)
    ).first()
    if last is None:
        return AuditTask(dag, task)
    value = session.scalar(
        select(XComModel.value).where(
            XComModel.dag_id == dag,
            XComModel.task_id == task,
            XComModel.run_id == last.run_id,
            XComModel.key == "findings",
        )
    )
    return AuditTask(dag, task, last.state, last.end_date, _counts(value))


def _counts(value: Any) -> dict[str, int]:
    """Return numbers by code, whatever somebody put there."""
    try:
        read = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    pairs = read.items() if isinstance(read, dict) else ()
    return {str(code)[:64]: count for code, count in pairs if isinstance(count, int)}
