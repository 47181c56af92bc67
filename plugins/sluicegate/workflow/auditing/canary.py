"""Start a task that a live guard refuses, through the real scheduler, and see who ran it.

A setting or an entry point on this machine says nothing about a worker. So Airflow's REST API
starts the canary of each queue (dags/sluicegate_canary.py). A guard that refuses it leaves a note
with its code, and Airflow records host and queue. A worker without a guard runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.airflow_rest import AirflowApiError, part
from sluicegate.errors import ConfigError, EvidenceMissing
from sluicegate.workflow.admission.admitted import ADMITTED_KEY
from sluicegate.workflow.auditing.run_records import AdmissionTrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sluicegate.adapters.airflow_rest import AirflowApi

TAG: Final = "sluicegate-canary"
_POLL_S: Final = 1.0
_ENDED: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class Plumage(StrEnum):
    """What became of one canary."""

    LIVE = "ok"
    """The guard refused it for lack of evidence, as it should."""
    UNARMED = "unarmed"
    """No guard spoke: it ran, or failed before one could."""
    UNUSABLE = "unusable"
    """Nobody can say, or a guard spoke that refuses for another reason."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One run of one canary.

    Attributes:
        queue: Queue that it was sent to.
        host: Host that ran it, as Airflow recorded; "" if none did.
        state: What became of it.
        detail: Why, for a person.
    """

    queue: str
    host: str
    state: Plumage
    detail: str


@dataclass(frozen=True, slots=True)
class _Flight:
    queue: str
    dag_id: str
    run_id: str


def fire(
    api: AirflowApi,
    queues: Sequence[str],
    *,
    times: int,
    deadline: Callable[[], bool],
    pause: Callable[[float], None],
    tell: Callable[[str], None],
) -> list[Canary]:
    """Start canaries and wait for what becomes of them.

    Args:
        api: Client of a user who may start the canary's DAGs and read their runs.
        queues: Queues to ask; every queue that has a canary when empty.
        times: How many canaries to start for each queue; each reaches one worker.
        deadline: Returns whether to stop waiting.
        pause: Waits for a number of seconds.
        tell: Takes a line of progress.

    Raises:
        ConfigError: A queue has no canary, or its DAG is paused.
        AirflowApiError: Airflow does not answer.
    """
    flights = [
        _Flight(queue, dag_id, _start(api, dag_id))
        for queue, dag_id in _asked(api, queues)
        for _ in range(times)
    ]
    tell(f"started {len(flights)} canaries: {', '.join(sorted({one.queue for one in flights}))}")
    seen: dict[_Flight, Canary] = {}
    while len(seen) < len(flights):
        for flight in flights:
            if flight not in seen and (canary := _look(api, flight)) is not None:
                seen[flight] = canary
                tell(f"{flight.queue}: {canary.state} on {canary.host or 'no host'}")
        if len(seen) == len(flights) or deadline():
            break
        pause(_POLL_S)
    return [seen.get(flight) or _unheard(flight) for flight in flights]


def _asked(api: AirflowApi, queues: Sequence[str]) -> list[tuple[str, str]]:
    found = dict(_perches(api))
    missing = sorted(set(queues) - found.keys())
    if missing or not found:
        raise ConfigError(
            "no canary for this queue",
            locator=", ".join(missing) or "sluicegate_canary.py",
            expected=f"one of {', '.join(sorted(found)) or 'none'}",
            next_step="Put sluicegate_canary.py into the DAGs folder and the queue into "
            "[sluicegate] canary_queues, then wait until the file was parsed again.",
        )
    return [(queue, found[queue]) for queue in queues or sorted(found)]


def _perches(api: AirflowApi) -> Iterator[tuple[str, str]]:
    """Yield queue and DAG of every canary."""
    for dag in api.pages("/dags", "dags", tags=TAG, order_by="dag_id"):
        dag_id = str(dag["dag_id"])
        if dag["is_paused"]:
            raise ConfigError(
                "the canary's DAG is paused", locator=dag_id, next_step="Switch it on in Airflow."
            )
        for task in api.call("GET", f"/dags/{part(dag_id)}/tasks")["tasks"]:
            yield str(task["queue"]), dag_id


def _start(api: AirflowApi, dag_id: str) -> str:
    body: dict[str, Any] = {"logical_date": None, "conf": {}}
    return str(api.call("POST", f"/dags/{part(dag_id)}/dagRuns", body)["dag_run_id"])


def _look(api: AirflowApi, flight: _Flight) -> Canary | None:
    run = f"/dags/{part(flight.dag_id)}/dagRuns/{part(flight.run_id)}/taskInstances"
    tasks = api.call("GET", run)["task_instances"]
    if not tasks or tasks[0]["state"] not in _ENDED:
        return None
    task = tasks[0]
    state, detail = _judged(task, _note(api, f"{run}/{part(task['task_id'])}", flight))
    return Canary(flight.queue, str(task["hostname"] or ""), state, detail)


def _note(api: AirflowApi, instance: str, flight: _Flight) -> AdmissionTrace | None:
    try:
        value = api.call("GET", f"{instance}/xcomEntries/{ADMITTED_KEY}")["value"]
    except AirflowApiError as error:
        if error.got != "404":
            raise
        return None
    return AdmissionTrace.of((flight.dag_id, flight.run_id, "sing", -1), value)


def _judged(task: dict[str, Any], note: AdmissionTrace | None) -> tuple[Plumage, str]:
    ran = task["pid"] is not None
    if note is None:
        if task["state"] == "success":
            return Plumage.UNARMED, "the task ran: this worker has no guard"
        if ran:
            return Plumage.UNARMED, "the task failed and no guard spoke; see its log"
        return Plumage.UNUSABLE, f"Airflow ended it as {task['state']} before any worker had it"
    guard = f"guard {note.version}, settings {note.settings or 'unreadable'}"
    if note.refused == EvidenceMissing.code and task["state"] == "failed":
        return Plumage.LIVE, guard
    if note.refused:
        return Plumage.UNUSABLE, f"{guard}; refuses everything there, by [{note.refused}]"
    return Plumage.UNUSABLE, f"{guard}; admitted it: somebody sealed and gated the canary's source"


def _unheard(flight: _Flight) -> Canary:
    said = f"not over in time: {flight.dag_id}/{flight.run_id}; does a worker listen on the queue?"
    return Canary(flight.queue, "", Plumage.UNUSABLE, said)
