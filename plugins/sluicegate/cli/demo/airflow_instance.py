"""A private Airflow: own home directory, SQLite, free ports, real scheduler.

It shares nothing with an Airflow that may already be on the machine. All configuration comes from
the variables set here, and the caller's ``AIRFLOW*`` variables are dropped.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from sluicegate.cli.demo.airflow_env import (
    DEMO_PASSWORD,
    DEMO_USER,
    DEMO_VIEWER,
    airflow_settings,
    default_plugins_folder,
    guard_is_installed,
    inherited_environ,
)
from sluicegate.cli.demo.airflow_rest import FINISHED, AirflowApiError, AirflowRest, wait_until
from sluicegate.cli.demo.processes import Session
from sluicegate.errors import SluicegateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOCAL_SETTINGS = '''"""Cluster policy of an Airflow that has Sluicegate in its plugins folder."""

from sluicegate.orchestration.guard import task_policy

__all__ = ["task_policy"]
'''

_COMPONENTS = ("api-server", "scheduler", "dag-processor")
_HEALTH_PARTS = ("metadatabase", "scheduler", "dag_processor")
_STOP_S = 15.0
"""Seconds that each component gets to end by itself before it is killed."""


class AirflowInstance:
    """One private Airflow; a context manager that starts and stops it.

    Args:
        home: Directory for configuration, database and logs; it is created.
        dags_folder: Folder of the DAG files to run.
        plugins_folder: Plugins folder. None takes the folder that this package lies in, or an
            empty one if the distribution is installed.
        env: Further variables for all components, e.g. ``SLUICEGATE_HOME``.

    Raises:
        ConfigError: Neither the distribution nor a plugins folder provides the guard.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        plugins_folder: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        plugins = plugins_folder or default_plugins_folder(self.home)
        self._passwords = self.home / "passwords.json"
        settings = airflow_settings(
            self.home, dags_folder.resolve(), plugins.resolve(), self._passwords
        )
        self._env = {**inherited_environ(), **settings, **(env or {})}
        self._sessions: dict[str, Session] = {}
        self.rest = AirflowRest(settings["AIRFLOW__API__BASE_URL"], DEMO_USER, DEMO_PASSWORD)

    @property
    def url(self) -> str:
        """Address of the web page."""
        return self.rest.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self, timeout_s: float = 150.0) -> None:
        """Create the database, start all components and wait until they are healthy.

        Raises:
            SluicegateError: A component ended, or is not healthy after ``timeout_s`` seconds; all
                are then stopped.

        Cost: 25 to 40 s on two cores, about 800 MB of memory.
        """
        self._write_files()
        try:
            self.airflow("db", "migrate", timeout_s=timeout_s)
            for name in _COMPONENTS:
                self._spawn(name)
            self._wait_healthy(timeout_s)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes of all components; calling it again does nothing."""
        for session in self._sessions.values():
            session.terminate()
        for session in self._sessions.values():
            session.kill(wait_s=_STOP_S)
        self._sessions.clear()

    def kill_scheduler(self) -> None:
        """Kill the scheduler and its task processes without any clean-up, as a power cut would."""
        self._sessions["scheduler"].kill()

    def restart_scheduler(self, timeout_s: float = 90.0) -> None:
        """Kill the scheduler, start it again, and wait until it reports that it is healthy.

        Raises:
            SluicegateError: It is not healthy after ``timeout_s`` seconds.
        """
        self.kill_scheduler()
        self._spawn("scheduler")
        self._wait_healthy(timeout_s)

    def airflow(self, *arguments: str, timeout_s: float = 120.0) -> str:
        """Run one ``airflow`` command in this instance and return what it printed.

        Args:
            *arguments: Words of the command after ``airflow``.
            timeout_s: Seconds after which the command is killed.

        Raises:
            SluicegateError: It failed; the message holds the end of its output.
            subprocess.TimeoutExpired: It took too long.

        Cost: 7 to 10 s of start-up.
        """
        result = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            _command(arguments),
            env=self._env,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if result.returncode != 0:
            raise SluicegateError(
                "command failed",
                locator=f"airflow {' '.join(arguments)}",
                got=(result.stdout + result.stderr)[-2000:],
            )
        return result.stdout

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, timeout_s: float = 60.0
    ) -> str:
        """Wait until a DAG is known, start a run by hand, and return the run's id.

        Args:
            dag_id: Id of the DAG.
            conf: The run's parameters, in types that JSON has.
            timeout_s: Seconds to wait for the DAG.

        Raises:
            SluicegateError: As `wait_dag`, or the API refuses.
        """
        self.wait_dag(dag_id, timeout_s)
        return self.rest.trigger(dag_id, conf)

    def wait_dag(self, dag_id: str, timeout_s: float = 60.0) -> None:
        """Wait until Airflow has parsed the file of a DAG.

        Args:
            dag_id: Id of the DAG.
            timeout_s: Seconds to wait.

        Raises:
            SluicegateError: The time is up; the message holds all import errors.
        """

        def known() -> bool | None:
            with contextlib.suppress(AirflowApiError):
                return self.rest.call("GET", f"/dags/{dag_id}") and True
            return None

        try:
            wait_until(known, timeout_s=timeout_s, what=f"parsing of DAG {dag_id}")
        except SluicegateError as error:
            errors = self.rest.call("GET", "/importErrors")["import_errors"]
            stacks = "\n".join(str(item["stack_trace"])[-800:] for item in errors)
            raise SluicegateError(error.what, locator=dag_id, got=stacks) from error

    def wait_run(self, dag_id: str, run_id: str, timeout_s: float) -> str:
        """Wait until a run has finished and return its state, ``success`` or ``failed``.

        Args:
            dag_id: Id of the DAG.
            run_id: Id of the run.
            timeout_s: Seconds to wait.

        Raises:
            SluicegateError: The time is up.
        """

        def finished() -> str | None:
            state = self.rest.run_state(dag_id, run_id)
            return state if state in FINISHED else None

        return wait_until(finished, timeout_s=timeout_s, what="end of run", locator=run_id)

    def wait_new_run(self, dag_id: str, known: Sequence[str], timeout_s: float) -> str:
        """Wait for a run that is not known yet, e.g. one that an asset started; return its id.

        Args:
            dag_id: Id of the DAG.
            known: Ids of the runs that do not count.
            timeout_s: Seconds to wait.

        Raises:
            SluicegateError: The time is up.
        """

        def appeared() -> str | None:
            fresh = [str(run["dag_run_id"]) for run in self.runs(dag_id)]
            return next((run_id for run_id in fresh if run_id not in known), None)

        return wait_until(appeared, timeout_s=timeout_s, what="a new run", locator=dag_id)

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, oldest first, at most 100."""
        return self.rest.runs(dag_id)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run, at most 100.

        Args:
            dag_id: Id of the DAG.
            run_id: Id of the run.
        """
        return self.rest.task_instances(dag_id, run_id)

    def log_text(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """Return the log of one try of one task, as the web page shows it.

        Args:
            dag_id: Id of the DAG.
            run_id: Id of the run.
            task_id: Id of the task.
            try_number: Number of the try, from 1.
            map_index: Index of a mapped task; -1 for a task that is not mapped.
        """
        return self.rest.log_text(dag_id, run_id, task_id, try_number, map_index)

    def post_asset_event(self, uri: str, extra: Mapping[str, Any]) -> int:
        """Post an asset event through the API and return its id.

        Args:
            uri: URI or name of a registered asset.
            extra: What the event claims, in types that JSON has.

        Raises:
            AirflowApiError: There is no such asset, or the API refuses.
        """
        return self.rest.post_asset_event(uri, extra)

    def _write_files(self) -> None:
        for folder in (self.home / "config", self.home / "plugins", self.home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        passwords = {DEMO_USER: DEMO_PASSWORD, DEMO_VIEWER: DEMO_PASSWORD}
        self._passwords.write_text(json.dumps(passwords), encoding="utf-8")
        self._passwords.chmod(0o600)
        if not guard_is_installed():
            local_settings = self.home / "config" / "airflow_local_settings.py"
            local_settings.write_text(LOCAL_SETTINGS, encoding="utf-8")

    def _spawn(self, name: str) -> None:
        log = self.home / "logs" / f"{name}.log"
        self._sessions[name] = Session(_command([name]), env=self._env, cwd=self.home, log=log)

    def _wait_healthy(self, timeout_s: float) -> None:
        """Wait for a heartbeat of all components that is younger than this call."""
        since = datetime.now(UTC)

        def healthy() -> bool | None:
            for name, session in self._sessions.items():
                if session.has_ended():
                    raise SluicegateError("component ended", locator=name, got=session.tail())
            health = self.rest.health()
            return all(_is_alive(health.get(part, {}), since) for part in _HEALTH_PARTS) or None

        what = "health of all Airflow components"
        wait_until(healthy, timeout_s=timeout_s, what=what, locator=str(self.home / "logs"))


def _is_alive(part: Mapping[str, str | None], since: datetime) -> bool:
    beats = [value for key, value in part.items() if key.endswith("_heartbeat") and value]
    fresh = all(datetime.fromisoformat(beat) >= since for beat in beats)
    return part.get("status") == "healthy" and fresh


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]
