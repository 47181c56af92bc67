"""What each command may load: a command that loads more starts later, every time."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow

HEAVY = {
    "airflow",
    "asyncio",
    "cryptography",
    "cryptography.x509",
    "fsspec",
    "great_expectations",
    "httpx",
    "numpy",
    "pandas",
    "pyarrow",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.json",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "sqlite3",
    "yaml",
}
LEDGER = {"sqlalchemy", "asyncio", "sqlite3"}  # SQLAlchemy brings asyncio
ROWS = {"numpy", "pyarrow", "pyarrow.csv"}
ALLOWED = {
    "--help": set(),
    "--version": set(),
    "keygen": {"cryptography"},
    "seal": {"cryptography"},
    "verify": {"cryptography"},
    "digest": set(),
    "diff": {"cryptography"},
    "baseline": {"cryptography", "yaml", *ROWS},
    "check": ROWS,
    "policy": {"numpy", "pyarrow", "yaml"},  # it knows the signals that a rule may name
    "gate": {"cryptography", "yaml", *ROWS, *LEDGER},
    "ledger": {"cryptography", "numpy", *LEDGER},  # it sums what the indexes must hold
}
"""Heavy modules that a command on local Parquet files and a ledger file may load."""

PROGRAM = """
import sys
from sluicegate.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(*sys.modules)
sys.exit(code)
"""


def calls(place):
    home = ["--home", str(place.home.root)]
    key = str(place.home.key("source"))
    return {
        "--help": [],
        "--version": [],
        "keygen": ["--out", "keys"],
        "seal": ["batch.parquet", "--name", "src", "--key", key, "--out", "evidence"],
        "verify": ["evidence", "batch.parquet", "--trust", str(place.home.trust)],
        "digest": ["batch.parquet"],
        "diff": ["evidence", "evidence"],
        "baseline": ["build", "trusted.parquet", "--schema", "s.yaml", "--out", "baseline"],
        "check": ["batch.parquet", "--baseline", "baseline"],
        "policy": ["lint", str(place.home.policy)],
        "gate": ["src", *home],
        "ledger": ["verify", *home],
    }


def test_no_command_loads_more_than_it_uses(request, tmp_path):
    place = request.getfixturevalue("site")
    place.seal(place.clean)
    for seed, name in enumerate(("trusted", "batch")):
        numbers = np.random.default_rng(seed).normal(size=2000)
        pq.write_table(pa.table({"x": numbers}), tmp_path / f"{name}.parquet")
    (tmp_path / "s.yaml").write_text("{}\n")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SLUICEGATE"))}
    loaded = {}
    for command, arguments in calls(place).items():
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, command, *arguments],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout[-500:], done.stderr)
        loaded[command] = HEAVY & set(done.stdout.splitlines()[-1].split())
    assert loaded == ALLOWED
