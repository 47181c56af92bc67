"""A private Airflow with four people of four roles, and what each of them does by REST."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading

from sluicegate.cli.demo.airflow_env import DEMO_PASSWORD
from sluicegate.cli.demo.airflow_instance import AirflowInstance
from sluicegate.cli.demo.airflow_rest import AirflowApiError, AirflowRest, wait_until

ROLES = {"admin": "admin", "alice": "op", "bob": "op", "ursula": "user", "vera": "viewer"}

ENDED = {"success", "failed", "upstream_failed", "skipped"}


def wait_refused(call, status, what):
    """Call until Airflow refuses for this reason: a busy SQLite answers 500 before it is asked."""

    def refused():
        try:
            call()
        except AirflowApiError as error:
            return error.got == str(status) or None
        raise AssertionError(f"{what} was accepted")

    wait_until(refused, timeout_s=60, what=f"{status} for {what}")


class RealAirflow(AirflowInstance):
    """Scheduler, LocalExecutor, API server and dag-processor; people with passwords."""

    def __init__(self, root, dags, env):
        passwords = root / "people.json"
        root.mkdir(parents=True, exist_ok=True)
        passwords.write_text(json.dumps(dict.fromkeys(ROLES, DEMO_PASSWORD)))
        people = ",".join(f"{name}:{role}" for name, role in ROLES.items())
        roles = {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": people,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # More at once than processors, and Airflow loses tries that start too slowly.
            "AIRFLOW__CORE__PARALLELISM": "2",
        }
        super().__init__(root / "airflow", dags, env={**roles, **env})
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def start(self, timeout_s=150.0):
        """Start all components, and from then on the scheduler whenever it dies.

        Airflow 3.3.2 dies of a run that is deleted while it schedules it, as a backfill that a busy
        SQLite refuses does; who runs Airflow has something that starts it again.
        """
        super().start(timeout_s)
        self._supervisor.start()

    def stop(self):
        """End every process of every component."""
        self._ended.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        super().stop()

    def restart_scheduler(self, timeout_s=90.0):
        """Kill and start the scheduler, while nobody else starts it."""
        with self._turn:
            super().restart_scheduler(timeout_s)

    def restart(self, timeout_s=150.0):
        """Kill every component, as a power cut does, and start all of them again."""
        with self._turn:
            for session in self._sessions.values():
                session.kill()
            for name in list(self._sessions):
                self._spawn(name)
            self._wait_healthy(timeout_s)

    def _supervise(self):
        while not self._ended.wait(1.0):
            with self._turn:
                if self._sessions["scheduler"].has_ended():
                    self.kill_scheduler()
                    self._spawn("scheduler")

    def as_person(self, name):
        """Return a client that is logged in as one of the people."""
        return AirflowRest(self.url, name, DEMO_PASSWORD)

    def printed_by(self, *arguments, timeout_s=300):
        """Run one ``airflow`` command, whatever its exit code, and return what it printed."""
        command = [sys.executable, "-m", "airflow", *arguments]
        options = {"capture_output": True, "text": True, "timeout": timeout_s}
        result = subprocess.run(command, check=False, env=self._env, cwd=self.home, **options)
        return result.stdout + result.stderr

    def backfill(self, dag_id, day, until=None):
        """Start the runs of past days; a busy SQLite refuses that for a while."""
        body = {"dag_id": dag_id, "from_date": day, "to_date": until or day, "max_active_runs": 1}

        def accepted():
            with contextlib.suppress(AirflowApiError):
                return self.rest.call("POST", "/backfills", body)
            return None

        wait_until(accepted, timeout_s=120, what="a backfill", locator=dag_id)

    def clear(self, dag_id, run_id, **what):
        """Clear what a person would clear in the web page."""
        body = {"dry_run": False, "dag_run_id": run_id, **what}
        self.rest.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def state_of(self, dag_id, run_id, task_id):
        """Return the state of one task of a run."""
        found = self.task_instances(dag_id, run_id)
        return next((ti["state"] for ti in found if ti["task_id"] == task_id), None)

    def wait_task(self, dag_id, run_id, task_id, state, timeout_s=120):
        """Wait until one task of a run is in a state."""

        def there():
            found = self.state_of(dag_id, run_id, task_id)
            assert found in {None, state} or found not in ENDED, f"{task_id} is {found}"
            return found == state or None

        wait_until(there, timeout_s=timeout_s, what=f"{task_id} {state}", locator=run_id)
