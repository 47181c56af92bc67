"""Keep protected tasks on the queues of workers that an administrator knows to be guarded.

Airflow sends a task to the queue that the dag-processor wrote down, so the queue is changed where
DAG files are parsed. A refusal there would take every DAG of the file away, and a worker that
parses a file with it would put innocent tasks off for ever (docs/adr/0029-guarded-queues.md).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sluicegate.orchestration.protecting.author_code import is_mapped

if TYPE_CHECKING:
    from sluicegate.orchestration.protecting.protection import Protection

_log = logging.getLogger("sluicegate.guard")

CANARY: Final = "sluicegate-canary"
"""The source of dags/sluicegate_canary.py. A canary asks the workers of any queue whether they have
a guard, so it stays on its own."""


def keep_to_queues(task: Any, protection: Protection, queues: tuple[str, ...]) -> None:
    """Send a protected task to the first of some queues, unless it is on one of them.

    Args:
        task: Operator or mapped operator of a parsed DAG.
        protection: Why it is protected.
        queues: ``[sluicegate] guarded_queues``; nothing happens if there are none.
    """
    if not queues or task.queue in queues or protection.sources == (CANARY,):
        return
    said = "Sluicegate sends %s from queue %r to %r: it is protected, and [sluicegate] "
    _log.info(said + "guarded_queues are %s", task.task_id, task.queue, queues[0], queues)
    if is_mapped(task):
        task.partial_kwargs["queue"] = queues[0]
    else:
        task.queue = queues[0]
