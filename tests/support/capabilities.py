"""What root may do, taken away: file modes then hold for a test that runs as root."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION_3 = 0x20080522
_DAC = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (linux/capability.h)."""


@contextmanager
def modes_hold() -> Iterator[None]:
    """Without the capabilities that let root read everything, for this thread and its children."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()

    def call(name: str) -> None:
        if getattr(libc, name)(header, data):
            raise OSError(ctypes.get_errno(), name)

    call("capget")
    effective = data[0]
    data[0] = effective & ~_DAC
    call("capset")
    try:
        yield
    finally:
        data[0] = effective
        call("capset")
