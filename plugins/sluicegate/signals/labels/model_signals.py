"""The signals that hold a new model against the one in use, on the same labelled rows."""

from __future__ import annotations

from typing import Final

from sluicegate.signals.decision.record import Family, Status
from sluicegate.signals.definition import Scope, Signal

MIN_ROWS: Final = 100
"""Below this many labelled rows no model is compared."""


def _label_signal(
    code: str, *, asks: str, demand: str, needs: str, severity: Status = Status.FAILED
) -> Signal:
    return Signal(
        code=code,
        family=Family.LABEL,
        scope=Scope.MODEL,
        severity=severity,
        asks=asks,
        demand=demand,
        needs=needs,
        min_rows=MIN_ROWS,
    )


REGRESSION: Final = _label_signal(
    "MODEL_REGRESSION",
    asks="accuracy fell over all rows",
    demand="The new model must be as right as the one in use.",
    needs=f"{MIN_ROWS} rows",
)
CLASS_REGRESSION: Final = _label_signal(
    "MODEL_CLASS_REGRESSION",
    asks="accuracy fell in one class",
    demand="The new model must be as right in each class.",
    needs=f"{MIN_ROWS} rows",
)
SLICE_REGRESSION: Final = _label_signal(
    "MODEL_SLICE_REGRESSION",
    asks="accuracy fell in one value of a slicing column, or one class of it",
    demand="The new model must be as right in each slice.",
    needs=f"{MIN_ROWS} rows, slicing columns",
)
TARGETED: Final = _label_signal(
    "MODEL_TARGETED_ERROR",
    asks="one wrong answer grew in one class, though accuracy stayed",
    demand="The new model must not give one wrong answer more often.",
    needs=f"{MIN_ROWS} rows",
)
DISAGREEMENT: Final = _label_signal(
    "MODEL_DISAGREEMENT",
    asks="the models differ on many rows",
    demand="The new model must answer most rows as the one in use.",
    needs=f"{MIN_ROWS} rows",
    severity=Status.WARNED,
)
GOLDEN_LEAKAGE: Final = Signal(
    code="GOLDEN_LEAKAGE",
    family=Family.CONTAMINATION,
    scope=Scope.MODEL,
    asks="golden rows are in the sealed training data, by id or by all other values",
    demand="Rows that judge the model must not have trained it.",
    needs="sealed training data",
)
SIGNALS: Final = (
    REGRESSION,
    CLASS_REGRESSION,
    SLICE_REGRESSION,
    TARGETED,
    DISAGREEMENT,
    GOLDEN_LEAKAGE,
)
"""In the order of their findings."""
