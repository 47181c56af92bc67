"""Print what one task start costs this process in CPU ms: with the guard's imports, and without.

python benchmarks/guard/task_start.py HOME
"""

from __future__ import annotations

import json
import os
import sys
import time

from sluicegate.attest.secret import Secret
from sluicegate.orchestration.guard import GuardHook
from sluicegate.orchestration.protecting.protection import Protection
from sluicegate.orchestration.settings import Settings
from sluicegate.workflow.evidence.home import ENV_LEDGER

SOURCE = "measured"


class TaskInstance:
    """Takes the guard's note, as Airflow would."""

    def xcom_push(self, key: str, value: object) -> None:
        """Take a note."""
        assert value, key


def main(home: str) -> None:
    """Start a task twice."""
    protection = Protection(reason="measured", sources=(SOURCE,))
    ledger = Secret(os.environ.get(ENV_LEDGER, ""), "ledger URL")
    hook = GuardHook(Settings(home_text=home, ledger_text=ledger), protection)
    spent = []
    for _ in range(2):
        start = time.process_time()
        hook({"ti": TaskInstance()})
        spent.append(1000 * (time.process_time() - start))
    sys.stdout.write(json.dumps(spent) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
