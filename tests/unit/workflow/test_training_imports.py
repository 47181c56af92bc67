"""What guard and verified read load is what docs/architecture.md says, and no more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "architecture.md"
ENTRANCES = ("sluicegate.orchestration.guard", "sluicegate.workflow.admission.read")
JUDGING = {"sluicegate.signals.evaluate", "sluicegate.signals.registry", "sluicegate.signals.scan"}
READ = """
import sys
from sluicegate import load_verified
load_verified("src", as_="arrow")
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def reached():
    """Every module that the entrances import, at once or later, imports in functions included."""
    graph = grimp.build_graph("sluicegate", exclude_type_checking_imports=True, cache_dir=None)
    found = set(ENTRANCES)
    for entrance in ENTRANCES:
        found |= graph.find_upstream_modules(entrance)
    return found


@pytest.fixture(scope="module")
def section():
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index("## What a training worker imports") : text.index("## Packages")]


@pytest.fixture(scope="module")
def named(section):
    """Rooms by package, as the page names them."""
    table = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    return {package: set(re.findall(r"`(\w+)`", rooms)) for package, rooms in table}


def rooms_of(package, modules):
    inside = (m.split(".") for m in modules if m.startswith(f"sluicegate.{package}."))
    return {parts[2] for parts in inside if len(parts) > 3}


def test_training_reaches_only_the_rooms_that_the_page_names(reached, named):
    assert named == {package: rooms_of(package, reached) for package in named}


def test_training_reaches_only_the_packages_that_the_page_names(reached, section, named):
    told = re.search(r"\*\*When a protected task starts.*?only these:", section, re.DOTALL)
    others = set(re.findall(r"`([\w.]+)`", told[0])) - {"profiling.buffers"}
    packages = {name.split(".")[1] for name in reached if "." in name}
    assert packages == {*others, *named, "profiling"}
    below = {name for name in reached if name.startswith("sluicegate.profiling.")}
    assert below == {"sluicegate.profiling.buffers"}


def test_training_reaches_nothing_that_judges_or_learns(reached):
    assert not reached & JUDGING
    assert not {name for name in reached if name.startswith("sluicegate.signals.baseline")}
    assert "sluicegate.gate.decide" not in reached


def test_imports_in_functions_are_seen(reached):
    assert "sluicegate.adapters.files.tabular" in reached


def test_a_process_that_reads_has_loaded_the_rooms_that_the_page_names(site, named):
    site.seal(site.clean)
    site.gate()
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SLUICEGATE"))}
    environ["SLUICEGATE_HOME"] = str(site.home.root)
    done = subprocess.run(
        [sys.executable, "-c", READ], env=environ, check=True, capture_output=True, text=True
    )
    modules = done.stdout.split()
    assert not {"airflow", "great_expectations", "pandas"} & set(modules)
    loaded = {package: rooms_of(package, modules) for package in named}
    assert loaded == {**named, "orchestration": set()}
