"""Seals, gates and trains once for each way in which a key can be pasted, in each of its places.

What was pasted is in variables of the process, so this file holds none of it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial

from airflow.sdk import DAG, task

from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

SETTINGS = ("SLUICEGATE_KEY_SOURCE", "SLUICEGATE_KEY_GATE", "SLUICEGATE_LEDGER")
OPTION = "AIRFLOW__SLUICEGATE__KEY_SOURCE"
COUNT = int(os.environ.get("CANARY_COUNT", "0"))
LEDGERS = int(os.environ.get("CANARY_LEDGERS", "0"))


def given(settings, context):
    """Set what this task alone is configured with, by the name of a variable that holds it."""
    for name in (*SETTINGS, OPTION):
        os.environ.pop(name, None)
    for name, (kind, text) in settings.items():
        os.environ[name] = os.environ[text] if kind == "of" else text


def seal(name, settings, path="DATA"):
    return SealSourceOperator(
        task_id=name,
        source="src",
        path=os.environ.get(path, "/nowhere"),
        table=path == "ROWS",
        pre_execute=partial(given, settings),
    )


with DAG("pasted_secrets", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    for n in range(COUNT):
        seal(f"environment_{n}", {"SLUICEGATE_KEY_SOURCE": ("of", f"CANARY_{n}")})
        if n % 3 == 0:
            seal(f"option_{n}", {OPTION: ("of", f"CANARY_{n}")})
            seal(f"connection_{n}", {OPTION: ("is", f"airflow-connection:canary_{n}")})
            seal(f"variable_{n}", {OPTION: ("is", f"airflow-variable:canary_{n}")})
            TrainingGateOperator(
                task_id=f"gate_{n}",
                source="src",
                pre_execute=partial(given, {"SLUICEGATE_KEY_GATE": ("of", f"CANARY_{n}")}),
            )
    for n in range(LEDGERS):
        seal(f"ledger_{n}", {"SLUICEGATE_LEDGER": ("of", f"CANARY_LEDGER_{n}")})
    seal("rows", {}, path="ROWS")

    @task(inlets=[verified_asset("src")])
    def guarded():
        """Never runs: nothing was judged."""
        raise AssertionError("an unjudged batch was trained on")

    guarded()
