"""Sluicegate: training starts only on data whose origin, integrity and content are proven.

Importing this package costs nothing: public names are resolved on first use, so a
DAG file that imports an operator never pays for pyarrow, pandas or Great Expectations.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluicegate.workflow.admission.read import load_verified, open_verified, stream_verified
    from sluicegate.workflow.judging.check import check

__version__ = "0.1.0"

__all__ = ["__version__", "check", "load_verified", "open_verified", "stream_verified"]

_LAZY = {
    "check": "sluicegate.workflow.judging.check",
    "load_verified": "sluicegate.workflow.admission.read",
    "open_verified": "sluicegate.workflow.admission.read",
    "stream_verified": "sluicegate.workflow.admission.read",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'sluicegate' has no attribute {name!r}")
