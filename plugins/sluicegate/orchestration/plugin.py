"""The Airflow plugin. It adds no listener: see docs/adr/0003-guard.md.

The guard is not here but in the ``airflow.policy`` entry point: if a plugin cannot be imported,
Airflow only logs that; if a policy cannot be imported, Airflow stops.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from sluicegate.orchestration.page.mounted import fastapi_apps, react_apps

PLUGIN_NAME = "sluicegate"


class SluicegatePlugin(AirflowPlugin):
    """Registers Sluicegate under one name, by folder or by entry point."""

    name = PLUGIN_NAME
    fastapi_apps = fastapi_apps()
    react_apps = react_apps()

    @classmethod
    def on_load(cls, *_args: Any, **_kwargs: Any) -> None:
        """Make Airflow hide the ledger's password where it shows its configuration.

        An installed distribution says this in its provider description. A plugins folder has none.

        Args:
            *_args: What Airflow passes; not used.
            **_kwargs: Likewise.
        """
        from airflow.configuration import conf

        from sluicegate.orchestration.provider import get_provider_info

        for section, described in get_provider_info()["config"].items():
            for name, option in described["options"].items():
                if option.get("sensitive"):
                    conf.sensitive_config_values.add((section, name))
