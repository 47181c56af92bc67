"""Which tasks the guard protects. Pure: looks at a task, touches nothing.

Works on attributes instead of Airflow's classes, so that it reads DAG-author objects and
their serialized forms alike and costs no import while DAG files are parsed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError
from sluicegate.orchestration.assets import source_of_uri, uri_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sluicegate.orchestration.settings import Settings

OPERATORS_MODULE = "sluicegate.orchestration.operators"
OUR_MODULES = frozenset(
    {OPERATORS_MODULE, *(f"{OPERATORS_MODULE}_{name}" for name in ("rollback", "wait", "waiver"))}
)
"""Where operators are defined that stand before a verdict, so cannot wait for one."""

_MAX_DEPTH = 64
"""Nesting of asset conditions; deeper is an error, and an error means guarded and failing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Why and with which sources a task is protected.

    Attributes:
        reason: What made it so, for the log: a tag or an asset.
        sources: Sources whose verdicts the task needs, sorted; may be empty, and then the
            task is refused.
        certain: False if only the triggering events of a run can tell, because the
            schedule refers to an asset by alias or by a name of its own.
    """

    reason: str
    sources: tuple[str, ...]
    certain: bool = True


def protection_of(task: Any, settings: Settings) -> Protection | None:
    """Return how a task is protected, or None if it is not.

    Args:
        task: Operator or mapped operator of a parsed DAG.
        settings: Protected tags and asset prefixes.

    Raises:
        ConfigError: An asset with our scheme names no source.

    Cost: linear in tags, inlets and assets of the schedule.
    """
    if _is_ours(task):
        return None
    schedule = tuple(
        _leaves(getattr(getattr(task.dag, "timetable", None), "asset_condition", None))
    )
    uris = [uri_of(asset) for asset in (*schedule, *_inlets(task))]
    tags = sorted(settings.protect_tags.intersection(map(str, task.dag.tags or ())))
    hits = [uri for uri in uris if is_protected_uri(uri, settings)]
    sources = tuple(sorted({source for uri in hits if (source := source_of_uri(uri))}))
    if tags or hits:
        reason = f"DAG tag {tags[0]!r}" if tags else f"asset {hits[0]!r}"
        return Protection(reason=reason, sources=sources)
    if any(not hasattr(asset, "uri") for asset in schedule):
        return Protection(reason="asset alias or name in the schedule", sources=(), certain=False)
    return None


def is_protected_uri(uri: str, settings: Settings) -> bool:
    """Return whether a URI has a protected prefix; case is ignored, which protects more."""
    return uri.lower().startswith(tuple(prefix.lower() for prefix in settings.protect_assets))


def is_mapped(task: Any) -> bool:
    """Return whether the task is expanded at run time, so that its hook is an argument."""
    return isinstance(getattr(task, "partial_kwargs", None), dict)


def _is_ours(task: Any) -> bool:
    """Return whether only our own code would run.

    Ours are exactly the classes that our operators' modules define: the object, not the
    name, and no subclass, whose ``execute`` could be anything. If such a module was never
    imported, no task can be of its classes. A hook of the DAG author on our operator is
    author code again, so it takes the exemption away.
    """
    cls = task.operator_class if is_mapped(task) else type(task)
    name = getattr(cls, "__module__", "")
    module = sys.modules.get(name) if name in OUR_MODULES else None
    if module is None:
        return False
    hook = task.partial_kwargs.get("pre_execute") if is_mapped(task) else task._pre_execute_hook  # noqa: SLF001 - the guard's own seam
    return hook is None and getattr(module, cls.__name__, None) is cls


def _inlets(task: Any) -> Iterable[Any]:
    inlets = task.partial_kwargs.get("inlets") if is_mapped(task) else task.inlets
    if inlets is None:
        return ()
    return inlets if isinstance(inlets, list | tuple | set | frozenset) else (inlets,)


def _leaves(condition: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the assets, references and aliases of an asset condition."""
    if depth > _MAX_DEPTH:
        raise ConfigError("the schedule's asset condition is nested too deep")
    if (objects := getattr(condition, "objects", None)) is not None:
        for part in objects:
            yield from _leaves(part, depth + 1)
    elif uri_of(condition):
        yield condition
