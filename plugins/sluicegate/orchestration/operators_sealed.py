"""The operator behind `sealed_task`: a Python task that seals what its function wrote.

The guard does not exempt this task: its function is code of the DAG's author.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.sdk import get_current_context

from sluicegate.orchestration.derived import code_version, derive
from sluicegate.orchestration.operators import run_of
from sluicegate.orchestration.protecting.task_edge import mapped_errors
from sluicegate.orchestration.settings import Settings

if TYPE_CHECKING:
    from sluicegate.orchestration.derived import Derived


class SealedTaskOperator(_PythonDecoratedOperator):
    """Look up the inputs, run the decorated function, and seal its output.

    Args:
        sealed_output: Source name of what the function writes; the function returns its path.
        sealed_inputs: Source names of what it reads.
        **kwargs: As for ``@task``.

    Returns:
        Through XCom ``{source, digest, index}``: a pointer, never evidence.
    """

    custom_operator_name = "@sealed_task"
    seals = True

    # What this run has established, for OpenLineage; set only while it runs.
    _derived: Derived | None = None

    def __init__(
        self, *, sealed_output: str, sealed_inputs: tuple[str, ...], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sealed_output = sealed_output
        self.sealed_inputs = sealed_inputs

    def execute_callable(self) -> dict[str, str]:
        """Run the function and seal the path that it returns.

        Raises:
            AirflowFailException: Checked and bad, or called wrongly: no retry.
            AirflowException: Could not check: Airflow may try again.
        """
        with mapped_errors(foreign=False):
            self._derived = derive(
                super().execute_callable,
                home=Settings.from_airflow(os.environ).home(),
                output=self.sealed_output,
                inputs=self.sealed_inputs,
                code=code_version(self.python_callable),
                run=run_of(get_current_context()),
            )
        return self._derived.output

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> Any:
        """Return version and integrity of the output and of each input."""
        from sluicegate.orchestration.openlineage import derived_facets

        return derived_facets(self._derived)
