"""Floors of the tolerances: what nobody should be woken for, whatever the baseline says.

A policy may override any of them by ``CODE`` or ``CODE:column``; a learned budget only ever
widens the floor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

FLOORS: Mapping[str, float] = {
    "SCHEMA": 0.0,
    "COMPLETENESS": 0.02,
    "DRIFT_NUMERIC": 0.10,
    "DRIFT_CATEGORICAL": 0.10,
    "DRIFT_TEXT": 0.10,
    "LABEL_PRIOR": 0.05,
    "LABEL_NEW_CLASS": 0.0,
    "LABEL_FLIPS": 0.005,
    "LABEL_TRUSTED": 0.001,
    "CONTRIBUTOR_NEW": 0.0,
    "CONTRIBUTOR_FLOOD": 0.05,
    "CONTRIBUTOR_LABEL_SKEW": 0.005,
    "DUPLICATES": 0.003,
    "LABEL_CONFLICTS": 0.003,
    "LEAKAGE": 0.001,
    "OUTLIERS": 0.002,
    "TRIGGER_TOKENS": 0.001,
    "TRIGGER_VALUES": 0.002,
    "TRIGGER_PAIRS": 0.002,
    "DICTIONARY": 0.005,
    "HIDDEN_UNICODE": 0.001,
    "TIME_BURST": 0.005,
}
"""Code to floor, all as shares of rows; the codes of all signals of one batch."""

SEQUENCE_FLOORS: Mapping[str, float] = {"SEQUENCE": 0.005}
"""The same for signals that exist only where earlier checks are given."""


def check_overrides(overrides: Mapping[str, float]) -> None:
    """Refuse tolerances that name no signal or are no share.

    Raises:
        ConfigError: A code that is unknown or measures nothing, or a value outside [0, 1].
    """
    known = {**FLOORS, **SEQUENCE_FLOORS}
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


def tolerance_for(code: str, column: str, overrides: Mapping[str, float], learned: float) -> float:
    """Return the policy's tolerance if it has one, else the floor or the learned budget."""
    for key in (f"{code}:{column}", code):
        if key in overrides:
            return overrides[key]
    return max({**FLOORS, **SEQUENCE_FLOORS}[code], learned)
