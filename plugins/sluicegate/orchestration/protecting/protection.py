"""Which tasks the guard protects. A task is only looked at, but for iterators in its inlets.

Attributes are read instead of Airflow's classes. So objects of a DAG's author and their serialized
forms look the same, and nothing is imported while DAG files are parsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sluicegate.orchestration.protecting.author_code import author_code, is_mapped, is_our_operator
from sluicegate.orchestration.protecting.declared import Declared, declared, listed
from sluicegate.workflow.admission.protected import is_protected_uri, protected_tag, source_of_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.orchestration.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Why a task is protected, and which sources it needs verdicts for.

    Attributes:
        reason: What protects the task, for the log: a tag or an asset.
        sources: Sources whose verdicts the task needs, sorted; may be empty, and then the
            task is refused.
        certain: False if only the run can tell, because nothing but references protects the task.
        inlets: References among the inlets, by alias or by name. What they stand for is asked
            when the task runs.
        schedule: The references in the schedule; for these the events of the run go first.
    """

    reason: str
    sources: tuple[str, ...]
    certain: bool = True
    inlets: tuple[Any, ...] = ()
    schedule: tuple[Any, ...] = ()

    def joined(self, other: Protection | None) -> Protection:
        """Return a protection that asks for what ``self`` and ``other`` ask for together."""
        if other is None:
            return self
        return replace(
            self,
            sources=tuple(sorted({*self.sources, *other.sources})),
            certain=self.certain or other.certain,
            inlets=(*self.inlets, *other.inlets),
        )


def protection_of(task: Any, settings: Settings) -> Protection | None:
    """Return how a task is protected, or None if it is not.

    Args:
        task: Operator or mapped operator of a parsed DAG.
        settings: Protected tags and asset prefixes.

    Raises:
        ConfigError: An asset with our scheme names no source, or what is declared cannot be read.

    Cost: linear in tags, inlets and assets of the schedule.
    """
    foreign = author_code(task) if is_our_operator(task) else "a class of its own"
    if not foreign:
        return None
    schedule = declared(getattr(getattr(task.dag, "timetable", None), "asset_condition", None))
    inlets = declared(_inlets(task))
    found = _protection(task, settings, schedule, inlets)
    if found is not None and is_our_operator(task):
        # A gate has no verdict yet, so this refusal must say why the task is not exempt.
        found = replace(found, reason=f"{found.reason}; not exempt: the DAG's author set {foreign}")
    return found


def _protection(
    task: Any, settings: Settings, schedule: Declared, inlets: Declared
) -> Protection | None:
    hits = [uri for uri in (*schedule.texts, *inlets.texts) if is_protected(uri, settings)]
    tag = protected_tag(task.dag.tags or (), settings.protect_tags)
    protection = Protection(
        reason="asset alias or name",
        sources=sources_of(hits),
        certain=bool(tag or hits),
        inlets=_open(inlets.references, settings),
        schedule=_open(schedule.references, settings),
    )
    if tag is not None:
        return replace(protection, reason=f"DAG tag {tag!r}")
    if hits:
        return replace(protection, reason=f"asset {hits[0]!r}")
    return protection if protection.inlets or protection.schedule else None


def _open(references: tuple[Any, ...], settings: Settings) -> tuple[Any, ...]:
    """Return the references whose own name does not tell already what they stand for."""
    return tuple(item for item in references if not is_protected(item.name, settings))


def is_protected(uri: str, settings: Settings) -> bool:
    """Return whether a URI has a protected prefix, in whatever spelling.

    Args:
        uri: URI or name of an asset.
        settings: Which prefixes are protected.
    """
    return is_protected_uri(uri, settings.protect_assets)


def sources_of(uris: Iterable[str]) -> tuple[str, ...]:
    """Return the sources that URIs stand for, sorted.

    Raises:
        ConfigError: A URI has our scheme but names no source.
    """
    return tuple(sorted({source for uri in uris if (source := source_of_uri(uri))}))


def _inlets(task: Any) -> Any:
    """Return the inlets, with each iterator replaced by a list: reading would use it up."""
    inlets = task.partial_kwargs.get("inlets") if is_mapped(task) else task.inlets
    if not isinstance(inlets, Iterator) and not _holds_iterator(inlets):
        return inlets
    read = listed([inlets] if isinstance(inlets, Iterator) else inlets)
    if is_mapped(task):
        task.partial_kwargs["inlets"] = read
    else:
        task.inlets = read
    return read


def _holds_iterator(inlets: Any) -> bool:
    return isinstance(inlets, list | tuple) and any(isinstance(item, Iterator) for item in inlets)
