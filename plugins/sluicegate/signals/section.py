"""A section of the baseline: what one or several signals learn, write, and read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.learning import Learning

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Section(Generic[T]):
    """How one part of the baseline's key ``contamination`` is learned, written and read.

    Attributes:
        name: Under which the baseline holds it.
        learn: Learns it from the baseline's rows.
        to_json: Returns its keys with plain JSON types. Two sections share no key.
        from_json: Reads it from an object that holds at least these keys; KeyError, TypeError
            or ValueError when malformed.
    """

    name: str
    learn: Callable[[Learning], T]
    to_json: Callable[[T], Mapping[str, Any]]
    from_json: Callable[[Mapping[str, Any]], T]

    def of(self, baseline: Baseline) -> T:
        """Return what a baseline holds."""
        return cast("T", baseline.sections[self.name])
