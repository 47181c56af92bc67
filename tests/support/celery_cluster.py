"""An Airflow of several machines: one control plane, and Celery workers that share no directory.

Each worker has an Airflow home, DAG files, logs and a cache of its own. It knows neither Airflow's
database nor the secret by which tokens are signed, only the broker and the API server.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys

import pytest

from sluicegate.cli.demo.airflow_instance import AirflowInstance
from sluicegate.cli.demo.airflow_rest import wait_until
from sluicegate.cli.demo.processes import Session
from sluicegate.workflow.admission.admitted import ADMITTED_KEY

DEFAULT_REDIS = "redis://127.0.0.1:6379"
N_DATABASES = 16
"""As many as Redis has without configuration; number 0 is somebody else's."""

ENGINE = '''"""Metadata in PostgreSQL by pg8000: Airflow knows psycopg and psycopg2, which are LGPL.

Airflow names this function as the place to change its engine. It sends SET LOCK_TIMEOUT with a
parameter, which only drivers that write it into the statement can do.
"""

from sqlalchemy import create_engine, event


def create_metadata_engine(sql_alchemy_conn, *, engine_args, connect_args):
    engine = create_engine(sql_alchemy_conn, connect_args=connect_args, **engine_args)

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def write_out(connection, cursor, statement, parameters, context, executemany):
        if statement == "SET LOCK_TIMEOUT to %s":
            return statement % int(parameters[0]), ()
        return statement, parameters

    return engine
'''

NAME = '''"""The name that Airflow records as the host of a task."""

import os


def name():
    return os.environ["MACHINE"]
'''

CONTROL = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    # psycopg2's arguments otherwise
    "AIRFLOW__DATABASE__SQL_ALCHEMY_ENGINE_ARGS": "{}",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "3",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}
SECRETS = ("AIRFLOW__DATABASE__", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__")
"""What the control plane knows and a worker does not."""


@contextlib.contextmanager
def redis_database():
    """Take an empty database of the Redis server; yields its URL and a client."""
    for needed in ("airflow.providers.celery", "asyncpg"):
        pytest.importorskip(needed)
    redis = pytest.importorskip("redis")
    server = os.environ.get("SLUICEGATE_TEST_REDIS", DEFAULT_REDIS)
    for number in range(N_DATABASES - 1, 0, -1):
        url = f"{server}/{number}"
        client = redis.Redis.from_url(url)
        try:
            mine = client.set("sluicegate-test", os.getpid(), nx=True)
        except redis.RedisError as error:
            pytest.skip(f"no Redis server at SLUICEGATE_TEST_REDIS: {type(error).__name__}")
        if mine and client.dbsize() == 1:
            break
        if mine:
            client.delete("sluicegate-test")
        client.close()
    else:
        pytest.skip("every database of the Redis server is in use")
    try:
        yield url, client
    finally:
        client.flushdb()
        client.close()


class Worker:
    """One machine with a Celery worker.

    Args:
        name: Its host name, in Airflow's records too.
        queue: The queue that it takes tasks from.
        home: A directory of its own.
        dags: DAG files to copy to it.
        env: Whole environment; what names a place is replaced.
        python: Its Python.
    """

    def __init__(self, name, queue, *, home, dags, env, python=sys.executable):
        self.name, self.queue, self.home, self.python = name, queue, home, str(python)
        own = {
            "AIRFLOW_HOME": home / "airflow",
            "AIRFLOW__CORE__DAGS_FOLDER": home / "dags",
            "AIRFLOW__CORE__PLUGINS_FOLDER": home / "airflow" / "plugins",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": home / "logs",
            "HOME": home,
            "MACHINE": name,
        }
        kept = {key: value for key, value in env.items() if not key.startswith(SECRETS)}
        self.env = kept | {key: str(value) for key, value in own.items()}
        self._session = None
        (home / "dags").mkdir(parents=True)
        (home / "logs").mkdir()
        for file in dags:
            shutil.copy(file, home / "dags")

    def start(self):
        """Start the worker; tasks wait in the broker until it is ready."""
        command = ["celery", "worker", "--queues", self.queue, "--skip-serve-logs"]
        options = ["--without-mingle", "--without-gossip", "--celery-hostname", self.name]
        self._session = Session(
            [self.python, "-m", "airflow", *command, *options],
            env=self.env,
            cwd=self.home,
            log=self.home / "worker.log",
        )

    def kill(self):
        """Kill the worker and every process below it, as a power cut does."""
        if self._session is not None:
            self._session.kill()

    def said(self, words):
        """Return how often the worker's own log has these words."""
        return (self.home / "worker.log").read_text(errors="replace").count(words)

    def log_text(self, dag_id, run_id, task_id, try_number=1):
        """Return the log of a try that ran here; "" if it did not."""
        folder = f"dag_id={dag_id}/run_id={run_id}/task_id={task_id}"
        log = self.home / "logs" / folder / f"attempt={try_number}.log"
        return log.read_text() if log.exists() else ""


class Cluster(AirflowInstance):
    """API server, scheduler and dag-processor, with everything that they share with workers.

    Args:
        root: Directory of the machines.
        dags: DAG files of the dag-processor.
        database: URL of an empty PostgreSQL database, without a driver.
        broker: URL of a Redis database.
        env: Settings of all machines.
    """

    def __init__(self, root, dags, database, broker, env):
        self.root = root
        names, folder, home = (
            root / "names",
            root / "control" / "dags",
            root / "control" / "airflow",
        )
        for place in (names, folder, home / "config"):
            place.mkdir(parents=True)
        (names / "machine_name.py").write_text(NAME)
        (home / "config" / "airflow_local_settings.py").write_text(ENGINE)
        for file in dags:
            shutil.copy(file, folder)
        path = os.pathsep.join(filter(None, (str(names), os.environ.get("PYTHONPATH", ""))))
        shared = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+pg8000://{database}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{database}",
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": broker,
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "machine_name.name",
            "MACHINE": "control.example.com",
            "PYTHONPATH": path,
        }
        super().__init__(home, folder, env={**CONTROL, **shared, **env})
        self.workers = {}

    def add_worker(self, name, queue, dags, env=None, python=sys.executable):
        """Return a new worker on a machine of its own; it is not started yet."""
        host = f"{name}.example.com"
        settings = {
            **self._env,
            **(env or {}),
            "AIRFLOW__SLUICEGATE__HOME_CACHE": str(self.root / name),
        }
        worker = Worker(host, queue, home=self.root / name, dags=dags, env=settings, python=python)
        self.workers[name] = worker
        return worker

    def stop(self):
        """Kill every process of every machine: none has anything left to lose."""
        for machine in (*self.workers.values(), *self._sessions.values()):
            machine.kill()
        super().stop()

    def task(self, dag_id, run_id, task_id):
        """Return what Airflow records of one task of a run."""
        found = self.task_instances(dag_id, run_id)
        return next(one for one in found if one["task_id"] == task_id)

    def output(self, dag_id, run_id, task_id):
        """Return what a task returned."""
        return self._xcom(dag_id, run_id, task_id, "return_value")

    def admitted(self, dag_id, run_id, task_id="train"):
        """Return what the guard noted that it admitted: source to digest of the verdict."""
        return self._xcom(dag_id, run_id, task_id, ADMITTED_KEY)["sources"]

    def _xcom(self, dag_id, run_id, task_id, key):
        place = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return self.rest.call("GET", f"{place}/xcomEntries/{key}")["value"]

    def ended(self, dag_id, run_id=None, conf=None, timeout_s=240):
        """Start a run unless it has been, wait for its end; returns its id and state."""
        run_id = run_id or self.trigger(dag_id, conf)
        return run_id, self.wait_run(dag_id, run_id, timeout_s)

    def started_by_event(self, dag_id, timeout_s=60):
        """Wait for the run that an asset event starts, and for its end."""
        run_id = self.wait_new_run(dag_id, (), timeout_s)
        return self.ended(dag_id, run_id)

    def wait_for(self, look, what, timeout_s=120):
        """Wait until a look is true."""
        wait_until(lambda: look() or None, timeout_s=timeout_s, what=what)
