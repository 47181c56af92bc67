"""A TaskFlow training task that asks for its verdicts itself, before its first line runs.

The guard protects such a task by its inlets, like any other. The decorator adds what the guard
cannot give: a worker without our cluster policy refuses too.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError
from sluicegate.foreign import coded
from sluicegate.orchestration.assets import verified_asset
from sluicegate.workflow.admission.admitted import Admitted
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def guarded_task(
    *, sources: Sequence[str], **task_options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """Make a TaskFlow task that starts only with a verdict on each of its sources.

    Args:
        sources: Names of the sources it trains on.
        task_options: As for ``@task``; the sources are added to the inlets. A return annotation
            does not set ``multiple_outputs``: name that option.

    Returns:
        A decorator. The task can be mapped with ``expand`` as usual; each instance asks.

    Raises:
        ConfigError: No source is named, or a name cannot name one.

    Example::

        @guarded_task(sources=["flights"], retries=0)
        def train() -> float:
            return fit(load_verified("flights"))
    """
    names = tuple(check_source_name(name) for name in sources)
    if not names:
        raise ConfigError("a guarded task names what it trains on")

    def decorate(function: Callable[..., Any]) -> Any:
        from airflow.sdk import task

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            _require_admission(names)
            return function(*args, **kwargs)

        inlets = [*task_options.get("inlets", []), *map(verified_asset, names)]
        return task(**{**task_options, "inlets": inlets})(run)

    return decorate


def _require_admission(names: tuple[str, ...]) -> None:
    """Verify everything again: what a guard left in the environment is only a pointer.

    Raises:
        AirflowFailException: A source has no valid verdict; Airflow does not retry it.
    """
    from airflow.sdk import get_current_context

    from sluicegate.orchestration.guard import REFUSED, admit, settings
    from sluicegate.orchestration.protecting.ending import ending

    try:
        home = settings().home()
        issued = admit(get_current_context(), names, home)
        before = Admitted.found(os.environ)
    except Exception as error:  # noqa: BLE001 - fail closed, and show what nobody may forge
        raise ending(coded(error), REFUSED, final=True) from None
    # The guard may have admitted the task to further inlets.
    verdicts = {name: str(issued[name].envelope) for name in names}
    every = {**(before.verdicts if before else {}), **verdicts}
    Admitted(home, every).leave(os.environ, task=os.environ)
