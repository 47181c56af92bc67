"""An environment such as an auditor has: our verifier and `cryptography`, nothing else.

The interpreter runs isolated and without site-packages. Only the distributions that verification
needs are linked into its path. Each run checks that Airflow cannot be imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import sluicegate
from sluicegate.errors import SluicegateError

_NEEDED = ("cryptography", "cffi", "pycparser")
_PROGRAM = """
import importlib.util, sys
sys.path[:0] = [sys.argv.pop(1)]
found = [n for n in ("airflow", "great_expectations", "pandas", "pyarrow", "numpy")
         if importlib.util.find_spec(n)]
if found:
    sys.exit(f"the audit environment holds {found}")
from sluicegate.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def create(root: Path) -> Path:
    """Create a directory with links to what verification needs, and return it."""
    root.mkdir(parents=True)
    (root / "sluicegate").symlink_to(Path(sluicegate.__file__).resolve().parent)
    for name in _NEEDED:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top == ".." or top.endswith(".dist-info") or (root / top).exists():
                continue
            (root / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return root


def run(root: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run one command there, with ``--json``, and return exit code and result.

    Args:
        root: Directory from `create`.
        *arguments: Words of the command after ``sluicegate``.

    Raises:
        SluicegateError: The command printed no JSON, so it came to no answer.
    """
    result = subprocess.run(  # noqa: S603 - our own interpreter, no shell
        [sys.executable, "-I", "-S", "-c", _PROGRAM, str(root), *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.defpath},
    )
    try:
        return result.returncode, json.loads(result.stdout)
    except ValueError as error:
        raise SluicegateError(
            "the offline audit gave no answer", got=result.stderr[-500:]
        ) from error
