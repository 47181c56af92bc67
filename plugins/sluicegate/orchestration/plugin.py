"""The Airflow plugin. It adds no listener: see docs/adr/0003-guard.md.

The guard is not here but in the ``airflow.policy`` entry point, because a plugin that
cannot be imported is only logged, while a policy that cannot be imported stops Airflow.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

PLUGIN_NAME = "sluicegate"


class SluicegatePlugin(AirflowPlugin):
    """Registers Sluicegate under one name, by folder or by entry point."""

    name = PLUGIN_NAME
