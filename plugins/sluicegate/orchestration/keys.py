"""The private key of a role, wherever the administrator keeps it.

Operators ask `signer_for` inside ``execute`` and drop the signer with it. The reference is
configuration; the key itself is never an argument, a template field or an XCom, and a
`Signer` can be neither printed nor pickled.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sluicegate.adapters.keys.roles import role_signer
from sluicegate.orchestration.settings import SECTION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sluicegate.attest.keys import Signer
    from sluicegate.workflow.evidence.home import SluiceHome


def signer_for(
    role: str,
    home: SluiceHome,
    *,
    environ: Mapping[str, str] | None = None,
    option: Callable[[str], str | None] | None = None,
) -> Signer:
    """Return the signer of a role.

    The first of these that is set counts: the variable ``SLUICEGATE_KEY_<ROLE>``, the option
    ``[sluicegate] key_<role>``, the file ``keys/<role>.pem`` in the home directory. Further keys,
    for thresholds and hybrids, come from ``SLUICEGATE_COSIGN_<ROLE>``, ``cosign_<role>`` or
    ``keys/<role>.cosign*.pem``. They also sign every statement of the role.

    Args:
        role: ``source``, ``gate``, ``baseline``, ``waiver`` or ``ledger``.
        home: Paths of the installation.
        environ: Environment; the process's own when None.
        option: Looks up an option of the section ``[sluicegate]``; Airflow's own when None.

    Raises:
        ConfigError: The key does not exist or is not usable.
    """
    return role_signer(
        role,
        directory=home.keys,
        environ=os.environ if environ is None else environ,
        option=option or _option,
        stores={"airflow-connection": _connection, "airflow-variable": _variable},
    )


def _option(name: str) -> str | None:
    from airflow.configuration import conf

    value: str | None = conf.get(SECTION, name, fallback=None)
    return value


def _connection(conn_id: str) -> str:
    """Return the password of a connection: Airflow encrypts it, or a secrets backend holds it."""
    from airflow.sdk import Connection

    return Connection.get(conn_id).password or ""


def _variable(name: str) -> str:
    from airflow.sdk import Variable

    return str(Variable.get(name))
