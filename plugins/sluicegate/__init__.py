"""Sluicegate: training starts only on data whose origin, integrity and content are proven.

Importing this package costs nothing: public names are resolved on first use, so a
DAG file that imports an operator never pays for pyarrow, pandas or Great Expectations.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluicegate.workflow.check import check
    from sluicegate.workflow.read import load_verified, open_verified

__version__ = "0.1.0"

__all__ = ["__version__", "check", "load_verified", "open_verified"]

_LAZY = {
    "check": "sluicegate.workflow.check",
    "load_verified": "sluicegate.workflow.read",
    "open_verified": "sluicegate.workflow.read",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'sluicegate' has no attribute {name!r}")
