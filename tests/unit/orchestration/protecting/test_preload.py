"""A worker that preloads leaves its tasks nothing to load, and never breaks because of it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

from sluicegate.orchestration.protecting import preload as module
from sluicegate.orchestration.protecting.preload import PRELOADS, preload

HEAVY = {"cryptography", "numpy", "pandas", "pyarrow", "sluicegate", "sqlalchemy", "yaml"}
LATER = """
import sys
from sluicegate.cli.main import main
from sluicegate.orchestration.protecting.preload import preload
preload([sys.argv[1]])
before = set(sys.modules)
{task}
print(*sorted(set(sys.modules) - before))
"""
GATE = "main(['gate', 'src', '--home', sys.argv[2]])"
READ = "import sluicegate; sluicegate.load_verified('src', as_='arrow')"


def loaded_later(home, name, task):
    """Return what a task loads in a process that has preloaded."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SLUICEGATE"))}
    environ["SLUICEGATE_HOME"] = str(home)
    done = subprocess.run(
        [sys.executable, "-c", LATER.format(task=task), name, str(home)],
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    found = done.stdout.splitlines()[-1].split()
    return [m for m in found if m.partition(".")[0] in HEAVY and m != "sluicegate.cli.gate"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), [("gate", GATE), ("guard", READ)])
def test_a_task_of_a_worker_that_preloaded_loads_nothing(request, name, task):
    place = request.getfixturevalue("site")
    place.seal(place.clean)
    place.gate()
    assert loaded_later(place.home.root, name, task) == []


@pytest.mark.parametrize("name", sorted({name for names in PRELOADS.values() for name in names}))
def test_every_module_that_is_named_exists(name):
    assert find_spec(name) is not None


def test_what_cannot_be_loaded_is_said_and_nothing_else_happens(monkeypatch, caplog):
    monkeypatch.setitem(PRELOADS, "gate", ("sluicegate.no_such_module", "json"))
    called = []

    def load(name):
        called.append(name)
        if name != "json":
            raise SystemExit(0)

    monkeypatch.setattr(module, "import_module", load)

    preload(["gate"])
    assert called == ["sluicegate.no_such_module", "json"]
    assert "sluicegate.no_such_module: SystemExit" in caplog.text


def test_a_name_that_means_nothing_is_said_but_not_shown(caplog):
    preload(["hunter2"])
    assert "it loads nothing" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_process_that_is_not_asked_loads_nothing(monkeypatch):
    monkeypatch.setattr(module, "import_module", pytest.fail)
    preload(())
