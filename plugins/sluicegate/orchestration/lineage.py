"""A TaskFlow task whose output is sealed together with what it was made of.

The inputs are taken before the function runs, so that a batch which arrives meanwhile is not
claimed; the output is sealed after. The function runs in a process that can reach the source
key: give such tasks the trust, the queue and the user of a seal task, never of training.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluicegate.digest.algorithms import DIR_HASH_1, sha256_bytes
from sluicegate.errors import ConfigError
from sluicegate.workflow.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import Asset

    from sluicegate.workflow.home import SluiceHome

SEALED_SCHEME: Final = "sealed://"
"""Not the scheme of verified assets: a seal says where data came from, not that it is good."""


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
        task_options: As for ``@task``; inlets and outlets are added to.

    Returns:
        A decorator. The task's XCom is ``{source, digest, index}``: a pointer, never evidence.

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


@dataclass(frozen=True, slots=True)
class Derived:
    """What a sealed task has established, as pointers that may travel through Airflow.

    Attributes:
        output: ``{source, digest, index}`` of the batch that was made.
        inputs: ``{source, digest}`` of each batch it was made of.
    """

    output: dict[str, str]
    inputs: tuple[dict[str, str], ...]


def code_version(function: Callable[..., Any]) -> str:
    """Return the name of a function and the digest of its source text.

    A digest of the text, because a DAG file need not be in any repository; it covers this
    function alone, not what it calls.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        source = inspect.getsource(function).encode()
    except (OSError, TypeError):
        source = function.__code__.co_code
    return f"{name} {sha256_bytes(source)}"


def derive(
    function: Callable[[], Any],
    *,
    home: SluiceHome,
    output: str,
    inputs: Sequence[str],
    code: str,
    run: Mapping[str, str],
) -> Derived:
    """Run a function and seal the path that it returns with the inputs it started from.

    Raises:
        SluicegateError: An input is not sealed, or the output cannot be.
    """
    from sluicegate.orchestration.keys import signer_for
    from sluicegate.workflow.evidence import open_evidence
    from sluicegate.workflow.seal import seal_into_ledger

    at = datetime.now(UTC).replace(microsecond=0)
    before = open_evidence(home, at=at)
    subjects = tuple(before.latest_seal(name, at=at).subjects[0] for name in inputs)
    path = function()
    if not isinstance(path, str | Path):
        raise ConfigError("a sealed task returns the path of its output", locator=output)
    # Keys are opened after the function has run; that is tidy, not a barrier.
    at = datetime.now(UTC).replace(microsecond=0)
    batch = seal_into_ledger(
        Path(path),
        output,
        evidence=open_evidence(home, at=at, ledger_signer=signer_for("ledger", home)),
        signer=signer_for("source", home),
        at=at,
        run=run,
        inputs=subjects,
        code_version=code,
    )
    return Derived(
        {"source": batch.source, "digest": str(batch.digest), "index": str(batch.index)},
        tuple(
            {"source": item.name, "digest": f"{DIR_HASH_1}:{item.digest[DIR_HASH_1]}"}
            for item in subjects
        ),
    )
