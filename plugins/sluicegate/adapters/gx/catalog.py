"""Which expectation carries which signal; derived from the registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sluicegate.signals.registry import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.definition import Signal

CATALOG: Final[Mapping[str, Signal]] = {s.code: s for s in SIGNALS if s.expectation}
"""Signals with an expectation, by code."""


def expectation_type(signal: Signal) -> str:
    """Return the name in suite JSON; Great Expectations derives it from the class name."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", signal.expectation).lower()


CODE_OF: Final[Mapping[str, str]] = {
    expectation_type(signal): code for code, signal in CATALOG.items()
}
"""Expectation type to signal code."""
