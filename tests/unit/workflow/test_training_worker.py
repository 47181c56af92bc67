"""What a training worker imports is what docs/architecture.md says, and no more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "architecture.md"
READ = """
import sys
from sluicegate import load_verified
load_verified("src", as_="arrow")
print(*sys.modules)
"""


def test_training_worker_imports_the_rooms_that_the_page_names(site):
    site.seal(site.clean)
    site.gate()
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SLUICEGATE"))}
    environ["SLUICEGATE_HOME"] = str(site.home.root)
    done = subprocess.run(
        [sys.executable, "-c", READ], env=environ, check=True, capture_output=True, text=True
    )
    modules = done.stdout.split()
    assert not {"airflow", "great_expectations", "pandas"} & set(modules)
    text = PAGE.read_text(encoding="utf-8")
    text = text[text.index("## What a training worker imports") : text.index("## Packages")]
    table = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    named = {package: set(re.findall(r"`(\w+)`", rooms)) for package, rooms in table}
    assert set(named) == {"workflow", "adapters", "signals"}
    assert named == {package: rooms_of(package, modules) for package in named}


def rooms_of(package: str, modules: list[str]) -> set[str]:
    inside = (m.split(".") for m in modules if m.startswith(f"sluicegate.{package}."))
    return {parts[2] for parts in inside if len(parts) > 3}
