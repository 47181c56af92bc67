"""Throw-away Python environments and Airflow homes: dropped in, installed, or both.

Environments are built once: links, no installation, so each costs a tenth of a second.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.flights_site import add_flights
from tests.support.guard_faults import FAULTS, UNJUDGED, build_faulty_site
from tests.support.mail_server import mail_server, smtp_connection
from tests.support.real_airflow import RealAirflow
from tests.support.waiver_site import (
    ACTED,
    BLOCKED,
    build_acted_sources,
    build_blocked_sources,
    build_kept_sources,
    build_rolled_source,
    name_approvers,
)
from tests.unit.workflow.conftest import Site, built_site  # noqa: F401 - a fixture

REPO = Path(__file__).resolve().parents[2]
PLUGINS = REPO / "plugins"
SUPPORT = REPO / "tests" / "support"

LOCAL_SETTINGS = """from sluicegate.orchestration.guard import task_policy

__all__ = ["task_policy"]
"""


@dataclass
class Layout:
    """One Python and one Airflow home; ``run`` starts a fresh process in both."""

    python: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, script: Path, *arguments: str, timeout: float = 150) -> dict:
        """Run a script whose last line of output is JSON, and return that."""
        environ = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("AIRFLOW", "SLUICEGATE", "PYTHON", "COV"))
        }
        settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.home / "plugins"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "SLUICEGATE_HOME": str(self.home / "sluicegate-home"),
            "PYTHONPATH": str(SUPPORT),  # what the probes share
        }
        result = subprocess.run(
            [self.python, script, *arguments],
            env={**environ, **settings, **self.env},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        return json.loads(result.stdout.strip().splitlines()[-1])


def python_without_sluicegate(root: Path) -> Path:
    """Build an environment with all libraries of this one except Sluicegate itself.

    Links instead of a ``.pth`` file: a directory on the path would bring the metadata of an
    editable Sluicegate along, and with it its entry points.
    """
    venv.create(root, symlinks=True, with_pip=False)
    target = _site_packages(root)
    for item in Path(sysconfig.get_path("purelib")).iterdir():
        if "sluicegate" not in item.name.lower() and not (target / item.name).exists():
            (target / item.name).symlink_to(item)
    return root / "bin" / "python"


def python_with_sluicegate(root: Path) -> Path:
    """Build an environment in which Sluicegate is installed as pyproject.toml declares it."""
    python = python_without_sluicegate(root)
    target = _site_packages(root)
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    info = target / "sluicegate-0.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sluicegate\nVersion: 0.0.0\n")
    groups = project["entry-points"] | {"console_scripts": project["scripts"]}
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(lines) + "\n")
    (target / "sluicegate").symlink_to(PLUGINS / "sluicegate")
    return python


def airflow_home(root: Path, *, dropped_in: bool) -> Path:
    """Build an Airflow home, with a copy of our plugins folder and local settings or without."""
    (root / "dags").mkdir(parents=True)
    if dropped_in:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PLUGINS, root / "plugins", ignore=ignored)
        (root / "config").mkdir()
        (root / "config" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)
    else:
        (root / "plugins").mkdir()
    return root


def _site_packages(root: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return root / "lib" / version / "site-packages"


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory):
    return python_without_sluicegate(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def installed_python(tmp_path_factory):
    return python_with_sluicegate(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def make_layout():
    def make(python, root, *, dropped_in=False):
        return Layout(python, airflow_home(root / "airflow", dropped_in=dropped_in))

    return make


@pytest.fixture
def dropped_in(bare_python, tmp_path, make_layout):
    return make_layout(bare_python, tmp_path, dropped_in=True)


@pytest.fixture
def installed(installed_python, tmp_path, make_layout):
    return make_layout(installed_python, tmp_path)


@pytest.fixture
def both(installed_python, tmp_path, make_layout):
    return make_layout(installed_python, tmp_path, dropped_in=True)


@pytest.fixture(scope="session")
def real_airflow(built_site, tmp_path_factory):  # noqa: F811 - the fixture imported above
    """One Airflow with scheduler and people for all tests that need it: it takes 40 s to start."""
    root = tmp_path_factory.mktemp("real")
    site = Site(root / "site")
    shutil.copytree(built_site, site.root)
    name_approvers(site, "alice", "bob")
    build_faulty_site(site)
    build_blocked_sources(site)
    build_rolled_source(site)
    build_kept_sources(site)
    build_acted_sources(site)
    add_flights(site.home, root, flipped=(5, 6, 9))
    (root / "dags").mkdir()
    for name in ("start_paths.py", "waivers.py", "custody.py", "responses.py"):
        shutil.copy(Path(__file__).parent / "dags" / name, root / "dags")
    shutil.copy(REPO / "dags" / "flights_backfill.py", root / "dags")
    (root / "ran.txt").touch()
    env = {
        "SLUICEGATE_HOME": str(site.home.root),
        "MATRIX_SOURCES": ",".join(("good", *FAULTS)),
        "UNJUDGED_SOURCES": ",".join(UNJUDGED),
        "WAIVER_SOURCES": ",".join(BLOCKED),
        "ACTED_SOURCES": ",".join(ACTED),
        "RAN": str(root / "ran.txt"),
        "FLIGHTS_DATA": str(root / "data"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with mail_server() as (port, mails):
        env["AIRFLOW_CONN_SMTP_DEFAULT"] = smtp_connection(port)
        with RealAirflow(root / "instance", root / "dags", env) as airflow:
            airflow.mails = mails
            yield airflow, site, root / "ran.txt"
