"""What the guard admitted a task to, and from which installation.

Admission and verified read must ask the same ledger. Each setting of an installation has two names,
and code of the DAG's author runs between admission and read. So the read takes the installation
from here and from nowhere else. This is still only a pointer: whatever it names is verified again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.errors import ConfigError
from sluicegate.workflow.evidence.home import ENV_ADMITTED, SluiceHome

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

ADMITTED_KEY: Final = "sluicegate_admitted"
"""XCom key under which the guard notes what it decided about a task: ``sources``, source to
verdict; ``refused``, the code of its refusal or ""; ``guard``, its version and settings. Airflow
accepts the note only from a holder of the task's token, and records the host that ran the task."""

_TASK: Final = ("AIRFLOW_CTX_DAG_ID", "AIRFLOW_CTX_TASK_ID", "AIRFLOW_CTX_DAG_RUN_ID")
"""Variables that Airflow sets for each task before the guard runs."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The admission of one task.

    Attributes:
        home: Installation that admitted.
        verdicts: Source to digest of the envelope of its verdict.
    """

    home: SluiceHome
    verdicts: Mapping[str, str]

    def leave(self, environ: MutableMapping[str, str], *, task: Mapping[str, str]) -> None:
        """Leave the pointer in an environment, and give each setting only one value.

        Args:
            environ: The process's environment, which its children inherit; or the one that an
                operator gives to its child instead.
            task: The process's environment, where Airflow says which task this is.
        """
        self.home.export(environ)
        environ.update({name: task[name] for name in _TASK if name in task})
        pointer = {"by": self.home.environ, "sources": dict(self.verdicts), "task": _task(task)}
        environ[ENV_ADMITTED] = json.dumps(pointer, sort_keys=True)

    @classmethod
    def found(cls, environ: Mapping[str, str]) -> Admitted | None:
        """Return the admission of this task, or None if no guard left one.

        Raises:
            ConfigError: The variable holds something else.
        """
        text = environ.get(ENV_ADMITTED, "")
        if not text:
            return None
        pointer = _parsed(text)
        if any(now := _task(environ)) and pointer["task"] != now:
            return None  # left by an earlier task in the same process, as in `airflow dags test`
        return cls(SluiceHome.from_environ(pointer["by"]), pointer["sources"])

    def require(self, source: str) -> None:
        """Raise unless the task was admitted to a source.

        Raises:
            ConfigError: The task does not declare ``source``.
        """
        if source not in self.verdicts:
            raise ConfigError(
                "the task was not admitted to this source",
                locator=source,
                expected=f"one of {', '.join(sorted(self.verdicts))}",
                next_step=f'Declare it: add verified_asset("{source}") to the task\'s inlets.',
            )


def _task(environ: Mapping[str, str]) -> list[str]:
    return [environ.get(name, "") for name in _TASK]


def _parsed(text: str) -> dict[str, Any]:
    try:
        pointer = json.loads(text)
        texts = [pointer["by"], pointer["sources"]]
        if any(not isinstance(v, str) for item in texts for pair in item.items() for v in pair):
            raise TypeError  # noqa: TRY301 - one place words every defect
        if not isinstance(pointer["task"], list):
            raise TypeError  # noqa: TRY301 - as above
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(
            "not the admission that the guard leaves",
            locator=ENV_ADMITTED,
            got=type(error).__name__,
            next_step="Do not set it; the guard does.",
        ) from error
    return dict(pointer)
