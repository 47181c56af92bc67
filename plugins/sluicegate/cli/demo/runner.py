"""Play the stories and print how each ended."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from sluicegate.cli.demo.airflow_env import DEMO_PASSWORD, DEMO_USER
from sluicegate.cli.demo.airflow_instance import AirflowInstance
from sluicegate.cli.demo.installation import DemoPlaces, examples, install
from sluicegate.cli.demo.stories import STORIES, Stage, StoryEnd
from sluicegate.errors import ConfigError, SluicegateError
from sluicegate.workflow.evidence.home import ENV_AIRFLOW_HOME_SETTING

if TYPE_CHECKING:
    from pathlib import Path

_MARKER = "sluicegate-demo"
_WIDTH = 96


def run_demo(out: Path, *, keep: bool, as_json: bool) -> int:
    """Run all stories in a fresh directory.

    Args:
        out: Directory to work in. If an earlier demo left it, it is replaced; any other
            directory has to be empty.
        keep: Leave Airflow running until interrupted.
        as_json: Print one JSON object instead of a table.

    Returns:
        0 if each story ended as it should, 1 if one did not.

    Raises:
        ConfigError: The directory cannot be used, or the guard is not installed.

    Cost:
        3 to 4 minutes on two cores, about 1.5 GB of memory.
    """
    places = DemoPlaces(_fresh(out.resolve()))
    airflow = AirflowInstance(
        places.root / "airflow",
        examples() / "dags",
        env={
            ENV_AIRFLOW_HOME_SETTING: str(places.home.root),
            "FLIGHTS_MODELS": str(places.models),
        },
    )
    _say("Setting up keys, ledger, data and baseline; starting a private Airflow")
    try:
        _end_on_sigterm()
        with ThreadPoolExecutor(1) as pool:
            installed = pool.submit(install, places)  # Airflow needs half a minute to start
            airflow.start()
        installed.result()
        ends = _play(Stage(airflow, places))
        _print(ends, airflow, as_json=as_json)
        if keep:
            _wait(airflow)
    finally:
        airflow.stop()
    return 0 if all(end.as_expected for end in ends) else 1


def _play(stage: Stage) -> list[StoryEnd]:
    ends = []
    for number, (title, story) in enumerate(STORIES):
        started = time.monotonic()
        try:
            end = story(stage)
        except SluicegateError as error:
            end = StoryEnd(as_expected=False, reason=str(error))
        ends.append(end)
        mark = "ok" if end.as_expected else "NOT AS EXPECTED"
        _say(f"{'abcdef'[number]}. {title}: {mark} ({time.monotonic() - started:.0f} s)")
    return ends


def _print(ends: list[StoryEnd], airflow: AirflowInstance, *, as_json: bool) -> None:
    titles = [title for title, _ in STORIES]
    if as_json:
        stories = [
            {"story": title, "as_expected": end.as_expected, "reason": end.reason}
            for title, end in zip(titles, ends, strict=True)
        ]
        print(json.dumps({"stories": stories, "url": airflow.url}))
        return
    for number, end in enumerate(ends):
        ended = "as expected" if end.as_expected else "NOT AS EXPECTED"
        print(f"\n{'abcdef'[number]}. {titles[number]:<26}{ended}")
        print(textwrap.fill(end.reason, _WIDTH, initial_indent="   ", subsequent_indent="   "))
    print(f"\nAirflow: {airflow.url}  user {DEMO_USER}  password {DEMO_PASSWORD}")


def _wait(airflow: AirflowInstance) -> None:
    _say(f"Airflow stays up at {airflow.url}; press Ctrl-C to stop it")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _end_on_sigterm() -> None:
    """Make SIGTERM act as Ctrl-C: otherwise Airflow's sessions would outlive this process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _fresh(root: Path) -> Path:
    """Return an empty directory; replace it only if an earlier demo wrote it."""
    try:
        if root.exists() and any(root.iterdir()):
            if not (root / _MARKER).exists():
                raise _refused(root, "the directory is not empty and not an earlier demo's")
            shutil.rmtree(root)
        root.mkdir(parents=True, exist_ok=True)
        (root / _MARKER).touch()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise _refused(root, f"cannot work here: {why}") from error
    return root


def _refused(root: Path, what: str) -> ConfigError:
    next_step = "Name an empty directory with --out."
    return ConfigError(what, locator=str(root), next_step=next_step)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
