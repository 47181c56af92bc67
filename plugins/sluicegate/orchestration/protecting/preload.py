"""What a worker loads before it forks, so that its tasks do not load it again one by one.

Airflow runs each task in a child that a worker forks, and a child has what its parent has loaded.
`[sluicegate] preload` names what: the administrator asks for it, because every process of this
Airflow then pays once for what only gates and training tasks use.

The modules are text: `guard` calls this, and must not reach what it does not run.
"""

from __future__ import annotations

import logging
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger("sluicegate.preload")

_LEDGER: Final = ("sluicegate.adapters.ledgers.sqlite", "sqlalchemy.dialects.sqlite")

PRELOADS: Final = {
    "guard": (
        *_LEDGER,
        "sluicegate.adapters.engines.hand_over",
        "sluicegate.adapters.files.table_files",
        "sluicegate.adapters.keys.sources",
        "sluicegate.adapters.policy_file",
        "sluicegate.adapters.sources.local",
        "sluicegate.adapters.sources.open",
        "sluicegate.workflow.admission.admit",
        "sluicegate.workflow.admission.read",
        "sluicegate.workflow.evidence.large",
    ),
    "gate": (
        *_LEDGER,
        "sluicegate.adapters.files.table_files",
        "sluicegate.adapters.keys.roles",
        "sluicegate.adapters.sources.local",
        "sluicegate.signals.evaluate",
        "sluicegate.signals.labels.sequence",
        "sluicegate.workflow.admission.stopped",
        "sluicegate.workflow.evidence.kept_findings",
        "sluicegate.workflow.evidence.large",
        "sluicegate.workflow.judging.gate",
        "sluicegate.workflow.judging.runners",
        "sluicegate.workflow.sealing.own_batch",
        "sluicegate.workflow.sealing.seal",
    ),
    "suite": (
        "great_expectations",
        "sluicegate.adapters.gx.expectations",
        "sluicegate.adapters.gx.run",
    ),
    "postgres": (
        "sluicegate.adapters.ledgers.postgres",
        "sqlalchemy.dialects.postgresql.pg8000",
        "pg8000",
    ),
}
"""Modules by what runs with them: the guard and a verified read, seal and gate, a suite,
a ledger in PostgreSQL."""


def preload(asked: Iterable[str]) -> None:
    """Load what tasks of this process's children will use.

    What cannot be loaded is said in the log and nothing else happens: a task loads it again, and
    fails on its own if it must.

    Args:
        asked: Names of `PRELOADS`; another name is said in the log too.

    Cost: once a process; about 0.3 CPU s and 80 MB for ``guard``, 0.6 s and 120 MB for ``gate``,
        several seconds and 300 MB with ``suite``.
    """
    for name in asked:
        for module in PRELOADS.get(name, ()):
            _load(module)
        if name not in PRELOADS:
            known = ", ".join(PRELOADS)
            _log.warning("[sluicegate] preload: a name is none of %s; it loads nothing", known)


def _load(module: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - here it would end every Airflow command
        _log.warning("could not preload %s: %s", module, type(error).__name__)
