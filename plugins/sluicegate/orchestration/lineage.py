"""A TaskFlow task whose output is sealed together with what it was made of.

The inputs are looked up before the function runs, so a batch that arrives meanwhile is not claimed.
The output is sealed after it. The function runs in a process that can reach the source key: give
such tasks the trust, the queue and the user of a seal task, never those of training.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from sluicegate.errors import ConfigError
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Asset


SEALED_SCHEME: Final = "sealed://"
"""Another scheme than that of verified assets: a seal says where data came from, not that they are
good."""


def sealed_asset(source: str) -> Asset:
    """Return the asset of a sealed source, for inlets, outlets and schedules."""
    from airflow.sdk import Asset

    uri = SEALED_SCHEME + check_source_name(source)
    return Asset(name=uri, uri=uri)


def sealed_task(
    *, output: str, inputs: Sequence[str], **task_options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """Make a TaskFlow task that seals what it writes, with what it read.

    Args:
        output: Source name of what the function writes. The function returns its path.
        inputs: Source names of what it reads; each must be sealed.
        task_options: As for ``@task``; our assets are added to inlets and outlets.

    Returns:
        A decorator. The task's XCom is ``{source, digest, index}``: a pointer, never evidence.

    Raises:
        ConfigError: No input is named, or a name cannot name a source. The decorator raises it for
            a coroutine or a generator.

    Example::

        @sealed_task(output="features", inputs=["flights"])
        def build() -> str: ...
    """
    check_source_name(output)
    names = tuple(check_source_name(name) for name in inputs)
    if not names:
        raise ConfigError("a sealed task names what it is made of", locator=output)

    def decorate(function: Callable[..., Any]) -> Any:
        from airflow.sdk.bases.decorator import task_decorator_factory

        from sluicegate.orchestration.operators_sealed import SealedTaskOperator

        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise ConfigError("a sealed task is an ordinary function", locator=output)
        options = {
            **task_options,
            "inlets": [*task_options.get("inlets", []), *map(sealed_asset, names)],
            "outlets": [*task_options.get("outlets", []), sealed_asset(output)],
        }
        return task_decorator_factory(
            function,
            multiple_outputs=False,
            decorated_operator_class=SealedTaskOperator,
            sealed_output=output,
            sealed_inputs=names,
            **options,
        )

    return decorate
