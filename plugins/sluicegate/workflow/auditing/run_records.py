"""What Airflow recorded about runs, as plain values that an auditor can keep and re-read.

Airflow's metadata is no evidence: whoever administers it can change it. It is the other
side of the comparison. Signed verdicts say what was allowed, these records say what ran,
and the audit reports where the two do not fit.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sluicegate.errors import ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_T = TypeVar("_T")

FORMAT = "https://sluicegate.dev/airflow-records/v1"
_MAX_BYTES = 512 * 1024 * 1024  # enough for about a million task instances


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRecord:
    """A DAG as Airflow knows it now.

    Attributes:
        dag_id: Its id.
        tags: Tags now; Airflow keeps no history of them.
        sources: Sources it is scheduled on.
        assets: Protected assets of others that it is scheduled on, by URI.
        mentions: What its file says, in the versions that ran; see `dag_text.Mention`.
    """

    dag_id: str
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetUse:
    """A task that reads (inlet) or announces (outlet) a verified source.

    Attributes:
        dag_id: DAG.
        task_id: Task.
        source: Name of the source; "" for a protected asset of others, which stands for none.
        is_outlet: Whether it announces.
        asset: URI of a protected asset of others, else "".
    """

    dag_id: str
    task_id: str
    source: str
    is_outlet: bool
    asset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTry:
    """One try of one task instance.

    Attributes:
        dag_id: DAG.
        run_id: Run.
        task_id: Task.
        map_index: -1 if not mapped.
        try_number: From 1; 0 if it never ran.
        state: As Airflow names it; "" for none.
        start: Aware, or None if it never ran.
        end: Aware, or None.
        operator: Class name of the operator.
        ran: Whether a worker process is on record.
        is_latest: Whether this is the newest try; XCom of older ones is gone.
        host: Host that ran it, as Airflow recorded; "" if unknown.
        queue: Queue it was sent to; "" if unknown.
        dag_version: Number of the version of its DAG; 0 if unknown.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: str
    start: datetime | None
    end: datetime | None
    operator: str
    ran: bool
    is_latest: bool = True
    host: str = ""
    queue: str = ""
    dag_version: int = 0

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Identity of the task instance, without the try."""
        return (self.dag_id, self.run_id, self.task_id, self.map_index)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionTrace:
    """What the guard, or somebody in its place, noted about one task instance.

    Attributes:
        dag_id: DAG.
        run_id: Run.
        task_id: Task.
        map_index: -1 if not mapped.
        verdicts: Source to digest of the verdict's envelope; empty if nothing was admitted.
        refused: Code of the error by which the guard refused; "" if it did not.
        version: Version of the guard; "" if it did not say.
        settings: Digest of its settings, cut; "" if it did not say.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    verdicts: Mapping[str, str]
    refused: str = ""
    version: str = ""
    settings: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Identity of the task instance."""
        return (self.dag_id, self.run_id, self.task_id, self.map_index)

    @classmethod
    def of(cls, key: tuple[str, str, str, int], value: Any) -> AdmissionTrace:
        """Return what an XCom says; anything but the guard's note admits nothing.

        Args:
            key: Identity of the task instance.
            value: The XCom's value: JSON text, or the value that it stands for. Guards before
                0.1.0 noted only the verdicts.
        """
        said = _mapping(value)
        is_plain = not isinstance(said.get("sources"), dict)
        verdicts = {**said} if is_plain else said["sources"]
        guard = {} if is_plain else _mapping(said.get("guard"))
        return cls(
            dag_id=key[0],
            run_id=key[1],
            task_id=key[2],
            map_index=key[3],
            verdicts={str(name)[:255]: str(verdict)[:128] for name, verdict in verdicts.items()},
            refused="" if is_plain else str(said.get("refused") or "")[:64],
            version=str(guard.get("version") or "")[:64],
            settings=str(guard.get("settings") or "")[:64],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEvent:
    """One entry of Airflow's audit log that changes records by hand.

    Attributes:
        when: Aware.
        event: Name of the API call, e.g. ``patch_task_instance``.
        owner: Who did it.
        dag_id: DAG, or "".
        run_id: Run, or "".
        task_id: Task, or "".
        extra: JSON text of the request, as logged.
    """

    when: datetime
    event: str
    owner: str
    dag_id: str
    run_id: str
    task_id: str
    extra: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanAnswer:
    """The answer to a human-in-the-loop task.

    Attributes:
        dag_id: DAG.
        run_id: Run.
        task_id: Task.
        operator: Class name of the operator.
        state: State of the task instance.
        responded_by: Id of the user, or "" if nobody answered.
        responded: Whether there is an answer.
        options: What was chosen.
    """

    dag_id: str
    run_id: str
    task_id: str
    operator: str
    state: str
    responded_by: str
    responded: bool
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """Everything the audit compares with the ledger.

    Attributes:
        url: Where it was read.
        collected: Aware; when.
        since: Aware; tasks that started before are not in here. None: all there are.
        dags: DAGs.
        uses: Which tasks read or announce verified sources.
        tries: Task instances and their older tries.
        traces: What the guard noted.
        events: Marking, clearing and deleting by hand.
        answers: Answers of people.
        plugins: Names of the plugins the API server loaded; None if it does not say.
    """

    url: str
    collected: datetime
    since: datetime | None
    dags: tuple[DagRecord, ...]
    uses: tuple[AssetUse, ...]
    tries: tuple[TaskTry, ...]
    traces: tuple[AdmissionTrace, ...]
    events: tuple[UserEvent, ...]
    answers: tuple[HumanAnswer, ...]
    plugins: tuple[str, ...] | None

    def to_json(self) -> bytes:
        """Return the records as a file to keep."""
        value = {"type": FORMAT, **asdict(self)}
        return json.dumps(value, sort_keys=True, indent=1, default=datetime.isoformat).encode()

    @classmethod
    def from_json(cls, data: bytes, *, locator: str) -> RunRecords:
        """Read what ``to_json`` wrote.

        Args:
            data: The bytes of the file.
            locator: Where they come from, for messages.

        Raises:
            MalformedEnvelope: Another format, or fields that are missing or mistyped.
        """
        try:
            return cls(**_parsed(data))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise MalformedEnvelope(
                "not records of Airflow's runs",
                locator=locator,
                expected=FORMAT,
                got=type(error).__name__,
                next_step="Write them with `sluicegate audit --save-airflow-runs`.",
            ) from error


_LISTS: dict[str, type[Any]] = {
    "dags": DagRecord,
    "uses": AssetUse,
    "tries": TaskTry,
    "traces": AdmissionTrace,
    "events": UserEvent,
    "answers": HumanAnswer,
}
_TIMES = frozenset({"start", "end", "when"})


def read_records(path: Path) -> RunRecords:
    """Read a records file.

    Raises:
        ConfigError: It cannot be read.
        MalformedEnvelope: It is no such file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise ConfigError(
            "the records of Airflow's runs cannot be read",
            locator=str(path),
            got=error.strerror or type(error).__name__,
        ) from error
    return RunRecords.from_json(data, locator=str(path))


def _parsed(data: bytes) -> dict[str, Any]:
    """Return the fields of a records file; whatever is wrong with it raises a built-in error."""
    value: dict[str, Any] = json.loads(data)
    if value.pop("type") != FORMAT:
        raise ValueError(FORMAT)
    value["collected"] = _time(value["collected"])
    value["since"] = _time(value["since"])
    value["plugins"] = None if value["plugins"] is None else tuple(value["plugins"])
    for name, kind in _LISTS.items():
        value[name] = tuple(_read(kind, item) for item in value[name])
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _read(kind: type[_T], item: dict[str, Any]) -> _T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if item.keys() - known:
        raise ValueError(kind.__name__)
    return kind(**{name: _value(name, value) for name, value in item.items()})


def _value(name: str, value: Any) -> Any:
    if name in _TIMES:
        return _time(value)
    return tuple(map(str, value)) if isinstance(value, list) else value


def _time(value: str | None) -> datetime | None:
    if value is None:
        return None
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError(value)
    return time
