"""How a command logs in to an Airflow: options name address and user, variables the secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from sluicegate.adapters.airflow_rest import AirflowApi

ENV_PASSWORD = "SLUICEGATE_AIRFLOW_PASSWORD"  # noqa: S105 - a variable's name, not a password
ENV_TOKEN = "SLUICEGATE_AIRFLOW_TOKEN"  # noqa: S105 - a variable's name, not a token


def add_login(group: argparse._ArgumentGroup, purpose: str) -> None:
    """Add ``--airflow-url`` and ``--airflow-user``.

    Args:
        group: Group of the command's help.
        purpose: Words that follow "API server" in the help text.
    """
    group.add_argument("--airflow-url", metavar="URL", help=f"API server {purpose}")
    group.add_argument(
        "--airflow-user",
        metavar="NAME",
        help=f"user to log in as; its password is read from {ENV_PASSWORD}, "
        f"or a token from {ENV_TOKEN}",
    )


def log_in(arguments: argparse.Namespace) -> AirflowApi:
    """Return a client of the API server that the options of `add_login` name.

    Raises:
        ConfigError: The environment holds no password or token, or the address is unusable.
    """
    from sluicegate.adapters.airflow_rest import AirflowApi

    token, password = os.environ.get(ENV_TOKEN, ""), os.environ.get(ENV_PASSWORD, "")
    if not token and not (arguments.airflow_user and password):
        # On the command line, all users of the machine could read it.
        raise ConfigError(
            "no way to log in to Airflow",
            locator=arguments.airflow_url,
            expected=f"--airflow-user and {ENV_PASSWORD}, or {ENV_TOKEN}",
        )
    return AirflowApi(arguments.airflow_url, arguments.airflow_user or "", password, token)
