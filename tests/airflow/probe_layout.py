"""Runs inside a layout: what did the real loaders register, and what does the guard do?"""

import json
import sys
from pathlib import Path

OURS = "sluicegate"


def main() -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.plugins_manager import _get_plugins
    from airflow.settings import get_policy_plugin_manager

    plugins, errors = _get_plugins()
    policies = get_policy_plugin_manager()
    import sluicegate

    bag = DagBag(dag_folder=sys.argv[1])
    hooks = {
        f"{dag.dag_id}.{task.task_id}": getattr(task, "_pre_execute_hook", None)
        for dag in bag.dags.values()
        for task in dag.tasks
    }
    from sluicegate.orchestration.guard import GuardHook

    package = Path(sluicegate.__file__).parent
    stems = {path.stem for path in package.rglob("*.py")} - {"__init__"}
    by_bare_stem = [
        stem
        for stem in stems
        if OURS in str(getattr(sys.modules.get(stem), "__file__", None) or "")
    ]
    found = {
        "plugins": [str(plugin.source) for plugin in plugins if plugin.name == OURS],
        "errors": {key: value for key, value in errors.items() if OURS in key + value},
        "policies": [
            name
            for name, plugin in policies.list_name_plugin()
            if plugin is not None and hasattr(plugin, "task_policy")
        ],
        "guarded": sorted(key for key, hook in hooks.items() if isinstance(hook, GuardHook)),
        "nested": sorted(key for key, hook in hooks.items() if getattr(hook, "author_hook", None)),
        "by_bare_stem": sorted(by_bare_stem),
        "package": str(package),
        "import_errors": bag.import_errors,
    }
    sys.stdout.write(json.dumps(found) + "\n")


main()
