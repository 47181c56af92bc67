"""Entry file for installations that drop this folder into Airflow's plugins folder.

Where the distribution is installed as well, its entry point registers the plugin. It must
not be registered twice: Airflow's task processes stop at the second one and silently drop
every plugin after it.
"""

from __future__ import annotations

from importlib.metadata import entry_points

if not any(
    point.value.startswith("sluicegate.") for point in entry_points(group="airflow.plugins")
):
    from sluicegate.orchestration.plugin import SluicegatePlugin

    __all__ = ["SluicegatePlugin"]
