"""Runs inside a layout: parse the matrix, run its DAGs, report what ran and what was refused."""

import json
import logging
import os
import sys
import types
from datetime import UTC, datetime
from pathlib import Path

from probing import loaded_dags, prepare_database, report

from sluicegate.errors import GateBlocked


def fake_admission():
    """Stand in for the verification, which has its own tests: answer by the source's name."""

    class Admission:
        def __init__(self, source):
            self.pointer = {"source": source, "digest": "dirHash1:00", "verdict": "sha256:ab"}
            verdict = types.SimpleNamespace(digest="dirHash1:00", issued=datetime.now(UTC))
            self.issued = types.SimpleNamespace(envelope="sha256:ab", verdict=verdict)

    def admit_training(_home, sources, _pointers=None, *, at):
        assert at.tzinfo is not None
        if "crash" in sources:
            raise ZeroDivisionError("in the verification")
        if "bad" in sources:
            raise GateBlocked(None, "the verdict is FAILED", locator="bad")
        return {source: Admission(source) for source in sources}

    module = types.ModuleType("sluicegate.workflow.admission.admit")
    module.admit_training = admit_training
    sys.modules[module.__name__] = module


class Collected(logging.Handler):
    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def hook_of(task):
    if getattr(task, "partial_kwargs", None) is None:
        return task._pre_execute_hook
    kwargs = {"op_args": ["x"], "pre_execute": None} if task.task_id == "overridden" else {}
    if task.task_id in {"mapped", "mapped_seal"}:
        kwargs = {"bash_command": "x"} if task.task_id == "mapped" else {"path": "x"}
    if task.task_id == "mapped_decorated":
        kwargs = {"op_kwargs": {"x": 1}}
    return task.unmap(kwargs)._pre_execute_hook


def run(dag):
    result = dag.test()
    return {
        f"{ti.task_id}{'' if ti.map_index < 0 else ti.map_index}": [str(ti.state), ti.try_number]
        for ti in result.get_task_instances()
    }


def main():
    from airflow.serialization.serialized_objects import DagSerialization

    from sluicegate.orchestration import guard

    prepare_database()
    fake_admission()
    log = Collected()
    logging.getLogger("sluicegate.guard").addHandler(log)
    bag = loaded_dags()
    dags = dict(bag.dags)
    serialized = json.dumps([DagSerialization.to_dict(dag) for dag in dags.values()])
    found = {
        "import_errors": bag.import_errors,
        "guarded": {
            dag_id: sorted(
                task.task_id for task in dag.tasks if isinstance(hook_of(task), guard.GuardHook)
            )
            for dag_id, dag in dags.items()
        },
        "guarded_arguments": sorted(
            task.task_id
            for dag in dags.values()
            for task in dag.tasks
            if isinstance(getattr(task, "partial_kwargs", {}).get("pre_execute"), guard.GuardHook)
        ),
        "serialized_guard": "GuardHook" in serialized or "sluicegate.guard" in serialized,
        "start_from_trigger": dags["ours"].get_task("triggerer").start_from_trigger,
    }
    found["states"] = {dag_id: run(dags[dag_id]) for dag_id in sys.argv[1:]}
    found["ran"] = Path(os.environ["RAN"]).read_text().splitlines()
    found["messages"] = log.messages
    guard._SETTINGS = ValueError("unreadable configuration")
    harmless = dags["harmless"].get_task("report")
    guard.task_policy(harmless)
    found["without_settings"] = harmless._pre_execute_hook.broken
    report(found)


main()
