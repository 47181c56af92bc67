"""Run the function of a sealed task, and seal its output together with its inputs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sluicegate.workflow.evidence.home import SluiceHome


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

    The digest is of the text, because a DAG file need not be in any repository. It covers only this
    function, and not what it calls.
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
    """Run a function, and seal the path that it returns together with its inputs.

    Args:
        function: Takes nothing and returns the path of what it wrote.
        home: Paths of the installation.
        output: Source name of what the function writes.
        inputs: Source names of what it reads; their newest seals count, taken before the function
            runs.
        code: What `code_version` says of the function.
        run: Who runs it: orchestrator, DAG, run and task ids.

    Raises:
        SluicegateError: An input is not sealed, or the output cannot be sealed.
        ConfigError: The function returned no path.
    """
    from sluicegate.attest.contents import identity_of
    from sluicegate.orchestration.keys import signer_for
    from sluicegate.orchestration.observing.steps import observed
    from sluicegate.workflow.evidence.opening import open_evidence
    from sluicegate.workflow.sealing.seal import seal_into_ledger

    at = datetime.now(UTC).replace(microsecond=0)
    before = open_evidence(home, at=at)
    subjects = tuple(before.latest_seal(name, at=at).subjects[0] for name in inputs)
    path = function()
    if not isinstance(path, str | Path):
        raise ConfigError("a sealed task returns the path of its output", locator=output)
    # Keys are opened only after the function has run. That is tidy, but no barrier.
    at = datetime.now(UTC).replace(microsecond=0)
    with observed("seal", output) as step:
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
        step.sealed(batch)
    return Derived(
        {"source": batch.source, "digest": str(batch.digest), "index": str(batch.index)},
        tuple(
            {"source": item.name, "digest": str(identity_of(item, locator=item.name))}
            for item in subjects
        ),
    )
