"""Airflow's REST API, for what a person does in the web page."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sluicegate.adapters.airflow_rest import AirflowApi, AirflowApiError, part
from sluicegate.errors import SluicegateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FINISHED", "AirflowApiError", "AirflowRest", "wait_until"]

_T = TypeVar("_T")

FINISHED = frozenset({"success", "failed"})
"""States that a DAG run does not leave by itself."""

_POLL_S = 0.5
_TRIES = 20
_BUSY, _TAKEN = "500", "409"


class AirflowRest(AirflowApi):
    """Client of one API server that also does what a person does in the web page."""

    __slots__ = ()

    def health(self) -> dict[str, dict[str, str | None]]:
        """Return what each component reports; nothing while the server does not answer.

        A status stays "healthy" for some time after a component was killed. Its
        ``latest_..._heartbeat`` shows the truth.
        """
        try:
            return dict(self.send("GET", "/api/v2/monitor/health", None, {}))
        except AirflowApiError:
            return {}

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run by hand and return its id.

        A busy SQLite answers 500, whether it took the run or not: what is asked again has its name.

        Args:
            dag_id: Id of the DAG.
            conf: The run's parameters, in types that JSON has.

        Raises:
            AirflowApiError: The DAG is unknown, or the API refuses.
        """
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        for tried in range(_TRIES):
            try:
                self.call("POST", f"/dags/{part(dag_id)}/dagRuns", body)
                break
            except AirflowApiError as error:
                if error.got == _TAKEN and tried:
                    break
                if error.got != _BUSY or tried == _TRIES - 1:
                    raise
                time.sleep(_POLL_S)
        return run_id

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, oldest first, at most 100."""
        path = f"/dags/{part(dag_id)}/dagRuns"
        runs = self.call("GET", path, order_by="run_after", limit=100)["dag_runs"]
        return [dict(run) for run in runs]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of one run, such as ``running`` or one of `FINISHED`.

        Args:
            dag_id: Id of the DAG.
            run_id: Id of the run.
        """
        return str(self.call("GET", _run(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run as Airflow describes them, at most 100.

        Args:
            dag_id: Id of the DAG.
            run_id: Id of the run.
        """
        answer = self.call("GET", _run(dag_id, run_id) + "/taskInstances", limit=100)
        return [dict(ti) for ti in answer["task_instances"]]

    def log_text(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """Return the log of one try of one task: a line for each event, and its errors.

        Args:
            dag_id: Id of the DAG.
            run_id: Id of the run.
            task_id: Id of the task.
            try_number: Number of the try, from 1.
            map_index: Index of a mapped task; -1 for a task that is not mapped.
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{part(task_id)}/logs/{try_number}"
        answer = self.call("GET", path, full_content=True, map_index=map_index)
        return "\n".join(_log_line(event) for event in answer["content"])

    def post_asset_event(self, uri: str, extra: Mapping[str, Any]) -> int:
        """Post an asset event, as anybody with the permission can, and return its id.

        Args:
            uri: URI or name of a registered asset.
            extra: What the event claims, in types that JSON has.

        Raises:
            AirflowApiError: There is no such asset, or the API refuses.
        """
        assets = self.call("GET", "/assets", limit=100)["assets"]
        wanted = {uri, uri.rstrip("/") + "/"}
        ids = [asset["id"] for asset in assets if wanted & {asset["uri"], asset["name"]}]
        if not ids:
            raise AirflowApiError("no such asset", locator=uri)
        body = {"asset_id": ids[0], "extra": dict(extra)}
        return int(self.call("POST", "/assets/events", body)["id"])


def wait_until(
    look: Callable[[], _T | None], *, timeout_s: float, what: str, locator: str = ""
) -> _T:
    """Return the first answer of ``look`` that is not None.

    An API server on a busy machine may not answer one look in time; the next look asks again.

    Args:
        look: Called again and again, with half a second between.
        timeout_s: Seconds after which to give up.
        what: What is waited for, for the message.
        locator: Where it should happen, for the message.

    Raises:
        SluicegateError: No answer came in time; its cause is the error of the last look.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        failed = None
        try:
            if (found := look()) is not None:
                return found
        except AirflowApiError as error:
            failed = error
        if time.monotonic() > deadline:
            raise SluicegateError(
                f"{what} did not happen in {timeout_s:.0f} s",
                locator=locator,
                next_step="Read the logs of the Airflow components.",
            ) from failed
        time.sleep(_POLL_S)


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{part(dag_id)}/dagRuns/{part(run_id)}"


def _log_line(event: Any) -> str:
    if not isinstance(event, dict):
        return str(event)
    errors = [
        f"{error.get('exc_type', '')}: {error.get('exc_value', '')}"
        for error in event.get("error_detail") or ()
    ]
    return "\n".join([str(event.get("event", "")), *errors])
