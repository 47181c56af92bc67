"""The environment of a private Airflow, which holds all of its configuration."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from importlib.metadata import entry_points
from pathlib import Path

import sluicegate
from sluicegate.errors import ConfigError
from sluicegate.workflow.evidence.home import setting_names

DEMO_USER = "admin"
DEMO_VIEWER = "vera"
DEMO_PASSWORD = "sluicegate-demo"  # noqa: S105 - a known password on a loopback address, by design


def guard_is_installed() -> bool:
    """Return whether this interpreter's Airflow finds the guard by entry point."""
    return any(
        point.value.startswith("sluicegate.") for point in entry_points(group="airflow.policy")
    )


def default_plugins_folder(home: Path) -> Path:
    """Return the folder that this package was dropped into, or an empty one if it is installed.

    Raises:
        ConfigError: It is neither installed nor in a plugins folder, so that Airflow would run
            without the guard.
    """
    if guard_is_installed():
        return home / "plugins"
    folder = Path(sluicegate.__file__).resolve().parents[1]
    if not (folder / "sluicegate_plugin.py").is_file():
        raise ConfigError(
            "no guard: Sluicegate is neither installed nor in a plugins folder",
            locator=str(folder),
            next_step="pip install sluicegate, or pass the plugins folder.",
        )
    return folder


def inherited_environ() -> dict[str, str]:
    """Return the caller's environment without settings of Airflow or ours, or a local proxy."""
    theirs = frozenset(setting_names())
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("AIRFLOW") and key not in theirs
    }
    local = ",".join(filter(None, (kept.get("NO_PROXY", ""), "127.0.0.1,localhost")))
    return {**kept, "NO_PROXY": local, "no_proxy": local, "PYTHONUNBUFFERED": "1"}


def free_ports(count: int) -> list[int]:
    """Return different ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in taken:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in taken]


def airflow_settings(home: Path, dags: Path, plugins: Path, passwords: Path) -> dict[str, str]:
    """Return Airflow's variables for one instance, with free ports and fresh secrets.

    Args:
        home: Directory for configuration, database and logs.
        dags: Folder of the DAG files.
        plugins: Plugins folder.
        passwords: JSON file with the password of each user, by name.
    """
    api, worker_logs, trigger_logs = free_ports(3)
    values = {
        "CORE__DAGS_FOLDER": dags,
        "CORE__PLUGINS_FOLDER": plugins,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__PARALLELISM": 4,  # each slot is a forked process
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{DEMO_USER}:admin,{DEMO_VIEWER}:viewer",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords,
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "API__HOST": "127.0.0.1",
        "API__PORT": api,
        "API__BASE_URL": f"http://127.0.0.1:{api}",
        "API__WORKERS": 1,
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "LOGGING__BASE_LOG_FOLDER": home / "logs",
        # The default ports of both collide with a second Airflow on the machine.
        "LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
        # The defaults of half a minute suit production; here a person waits for each of these.
        "DAG_PROCESSOR__REFRESH_INTERVAL": 3,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 30,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
        # Tasks that a killed scheduler left "running" are found after one minute, not five.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 10,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 10,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    prefixed = {f"AIRFLOW__{key}": str(value) for key, value in values.items()}
    return {"AIRFLOW_HOME": str(home), **prefixed}
