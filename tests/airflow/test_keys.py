"""A key in a connection or a variable is found through Airflow's own lookup."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow


def test_key_is_read_from_connection_and_variable(tmp_path):
    probe = Path(__file__).parent / "probe_keys.py"
    done = subprocess.run(
        [sys.executable, str(probe), str(tmp_path)],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "PRIVATE KEY" not in done.stdout + done.stderr
