"""Tolerances: what nobody should be woken for.

A signal has a floor, whatever the baseline says. A policy may override it by ``CODE`` or
``CODE:column``; a learned budget only ever widens the floor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sluicegate.signals.definition import Signal


def check_overrides(overrides: Mapping[str, float], known: Collection[str]) -> None:
    """Refuse tolerances that name no signal or are no share.

    Args:
        overrides: Shares by ``CODE`` or ``CODE:column``.
        known: Codes of the signals that take a tolerance.

    Raises:
        ConfigError: A code that is unknown or measures nothing, or a value outside [0, 1].
    """
    for key, value in overrides.items():
        if key.split(":", 1)[0] not in known:
            raise ConfigError(
                "tolerance of a signal that takes none",
                locator=key,
                expected=", ".join(sorted(known)),
                next_step="Leave it out, or correct the code.",
            )
        if not math.isfinite(value) or not 0.0 <= value <= 1.0:
            raise ConfigError("tolerance is not a share", locator=key, expected="0..1")


def tolerance_for(
    signal: Signal, column: str, overrides: Mapping[str, float], learned: float
) -> float:
    """Return the policy's tolerance if it has one, else the floor or the learned budget.

    Args:
        signal: A signal with a floor.
        column: Name, or "" for the whole batch.
        overrides: The policy's shares by ``CODE`` or ``CODE:column``.
        learned: What the source does by itself, a share; 0 for nothing.

    Returns:
        A share in [0, 1].
    """
    for key in (f"{signal.code}:{column}", signal.code):
        if key in overrides:
            return overrides[key]
    return max(signal.floor or 0.0, learned)
