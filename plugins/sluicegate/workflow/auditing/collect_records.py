"""Collect what Airflow recorded, through its REST API and as a reader only."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.airflow_rest import AirflowApiError, part
from sluicegate.errors import SluicegateError
from sluicegate.workflow.admission.admitted import ADMITTED_KEY
from sluicegate.workflow.admission.protected import is_protected_uri
from sluicegate.workflow.auditing.dag_text import mentions
from sluicegate.workflow.auditing.run_records import (
    AdmissionTrace,
    AssetUse,
    DagRecord,
    HumanAnswer,
    RunRecords,
    TaskTry,
    UserEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sluicegate.adapters.airflow_rest import AirflowApi

_EVENTS: Final = (
    "patch_",
    "bulk_",
    "post_clear",
    "clear_",
    "delete_",
    "create_xcom",
    "update_xcom",
)
_ALL: Final = "/dags/~/dagRuns/~"


def collect_records(
    api: AirflowApi,
    *,
    collected: datetime,
    since: datetime | None = None,
    assets: Sequence[str] = (),
) -> RunRecords:
    """Read DAGs, assets, task instances, traces, audit log and human answers.

    Args:
        api: Client of a user who may read all of them; the audit log needs the role Op.
        collected: Aware UTC; now.
        since: Aware; leave out tasks that started before.
        assets: Prefixes of protected asset URIs beside ours, as `[sluicegate] protect_assets`.

    Raises:
        AirflowApiError: One of them cannot be read. Half of the records would hide findings.

    Cost: one request for every 100 items. One more for each note of the guard, for each task
        instance that ran more than once, and for each version of a DAG file that ran.
    """
    uses, scheduled = _assets(api, assets)
    newest = list(_newest_tries(api, since))
    tries = (*newest, *_older_tries(api, newest))
    return RunRecords(
        url=api.url,
        collected=collected,
        since=since,
        dags=tuple(_dags(api, scheduled, _mentions(api, tries))),
        uses=tuple(uses),
        tries=tries,
        traces=tuple(_traces(api, newest)),
        events=tuple(_events(api)),
        answers=tuple(_answers(api)),
        plugins=_plugins(api),
    )


def _assets(
    api: AirflowApi, prefixes: Sequence[str]
) -> tuple[list[AssetUse], dict[str, set[tuple[str, str]]]]:
    """Return uses of protected assets, and for each DAG what it is scheduled on."""
    uses: list[AssetUse] = []
    scheduled: dict[str, set[tuple[str, str]]] = {}
    for asset in api.pages("/assets", "assets", order_by="id"):
        uri = str(asset["uri"])
        source = _source(uri) or _source(str(asset.get("name") or ""))
        other = uri if not source and is_protected_uri(uri, prefixes) else ""
        if not source and not other:
            continue
        for dag in asset["scheduled_dags"]:
            scheduled.setdefault(dag["dag_id"], set()).add((source, other))
        for key, is_outlet in (("producing_tasks", True), ("consuming_tasks", False)):
            if is_outlet and other:
                continue  # whoever makes it is not asked for a verdict
            uses += [
                AssetUse(
                    dag_id=use["dag_id"],
                    task_id=use["task_id"],
                    source=source,
                    is_outlet=is_outlet,
                    asset=other,
                )
                for use in asset[key]
            ]
    return uses, scheduled


def _source(text: str) -> str:
    """Return the source that a URI or a name stands for in whatever spelling, or ""."""
    return (text.partition(":")[2].strip("/ ") or text) if is_protected_uri(text, ()) else ""


def _mentions(api: AirflowApi, tries: Sequence[TaskTry]) -> dict[str, set[str]]:
    """Read every version of a DAG file that ran; the newest file may have been changed since."""
    found: dict[str, set[str]] = {}
    for dag_id, version in sorted({(task.dag_id, task.dag_version) for task in tries}):
        query = {"version_number": version} if version else {}
        try:
            text = api.call("GET", f"/dagSources/{part(dag_id)}", **query)["content"]
        except AirflowApiError as error:
            if error.got != "404":
                raise
            continue  # Airflow keeps no text of it any more
        found.setdefault(dag_id, set()).update(mentions(str(text or ""), dag_id))
    return found


def _dags(
    api: AirflowApi, scheduled: Mapping[str, set[tuple[str, str]]], said: Mapping[str, set[str]]
) -> Iterator[DagRecord]:
    # Stale ones too: a DAG whose file was deleted after the training is still a record.
    for dag in api.pages("/dags", "dags", exclude_stale=False, order_by="dag_id"):
        on = scheduled.get(dag["dag_id"], set())
        yield DagRecord(
            dag_id=dag["dag_id"],
            tags=tuple(sorted(tag["name"] for tag in dag["tags"])),
            sources=tuple(sorted({source for source, _ in on if source})),
            assets=tuple(sorted({other for _, other in on if other})),
            mentions=tuple(sorted(said.get(dag["dag_id"], ()))),
        )


def _newest_tries(api: AirflowApi, since: datetime | None) -> Iterator[TaskTry]:
    window = {} if since is None else {"start_date_gte": since.isoformat()}
    path = f"{_ALL}/taskInstances"
    for item in api.pages(path, "task_instances", order_by="id", **window):
        yield _task(item, is_latest=True)


def _older_tries(api: AirflowApi, newest: list[TaskTry]) -> Iterator[TaskTry]:
    """Yield the earlier tries of task instances that were cleared or retried."""
    for task in newest:
        if task.try_number < 2:
            continue
        path = f"{_instance(task)}/tries"
        if task.map_index >= 0:
            path = f"{_instance(task)}/{task.map_index}/tries"
        for item in api.call("GET", path)["task_instances"]:
            if item["try_number"] < task.try_number:
                yield _task(item, is_latest=False)


def _task(item: Mapping[str, Any], *, is_latest: bool) -> TaskTry:
    return TaskTry(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        task_id=item["task_id"],
        map_index=item["map_index"],
        try_number=item["try_number"],
        state=item["state"] or "",
        start=_time(item["start_date"]),
        end=_time(item["end_date"]),
        operator=item["operator_name"] or item["operator"] or "",
        ran=item["pid"] is not None,
        is_latest=is_latest,
        host=item.get("hostname") or "",
        queue=item.get("queue") or "",
        dag_version=int((item.get("dag_version") or {}).get("version_number") or 0),
    )


def _traces(api: AirflowApi, tasks: list[TaskTry]) -> Iterator[AdmissionTrace]:
    known = {task.key for task in tasks}
    path = f"{_ALL}/taskInstances/~/xcomEntries"
    for entry in api.pages(path, "xcom_entries", xcom_key=ADMITTED_KEY):
        key = (entry["dag_id"], entry["run_id"], entry["task_id"], entry["map_index"])
        if key not in known:
            continue
        run = f"/dags/{part(key[0])}/dagRuns/{part(key[1])}/taskInstances/{part(key[2])}"
        value = api.call("GET", f"{run}/xcomEntries/{ADMITTED_KEY}", map_index=key[3])["value"]
        yield AdmissionTrace.of(key, value)


def _events(api: AirflowApi) -> Iterator[UserEvent]:
    for item in api.pages("/eventLogs", "event_logs", order_by="when"):
        if str(item["event"]).startswith(_EVENTS):
            when = _time(item["when"])
            if when is None:
                raise SluicegateError("an entry of Airflow's audit log has no time")
            yield UserEvent(
                when=when,
                event=item["event"],
                owner=item["owner"] or "",
                dag_id=item["dag_id"] or "",
                run_id=item["run_id"] or "",
                task_id=item["task_id"] or "",
                extra=item["extra"] or "",
            )


def _answers(api: AirflowApi) -> Iterator[HumanAnswer]:
    for item in api.pages(f"{_ALL}/hitlDetails", "hitl_details"):
        task, user = item["task_instance"], item["responded_by_user"]
        # Airflow writes a user without an id when it took the default after a timeout.
        yield HumanAnswer(
            dag_id=task["dag_id"],
            run_id=task["dag_run_id"],
            task_id=task["task_id"],
            operator=task["operator_name"] or task["operator"] or "",
            state=task["state"] or "",
            responded_by=str((user or {}).get("id") or ""),
            responded=bool(item["response_received"]),
            options=tuple(map(str, item["chosen_options"] or ())),
        )


def _plugins(api: AirflowApi) -> tuple[str, ...] | None:
    try:
        return tuple(sorted({str(item["name"]) for item in api.pages("/plugins", "plugins")}))
    except AirflowApiError:
        return None  # only administrators may see them; unknown is not "missing"


def _instance(task: TaskTry) -> str:
    run = f"/dags/{part(task.dag_id)}/dagRuns/{part(task.run_id)}"
    return f"{run}/taskInstances/{part(task.task_id)}"


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
