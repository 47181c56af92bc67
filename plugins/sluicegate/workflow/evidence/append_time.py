"""How long appends to the ledger take, told to whoever asks around them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TELL: ContextVar[Callable[[float], object] | None] = ContextVar("append_time", default=None)


@contextmanager
def timed_appends(tell: Callable[[float], object]) -> Iterator[None]:
    """Tell how long each append inside took.

    Args:
        tell: Takes seconds, after an append became durable; must not raise.
    """
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


@contextmanager
def timing() -> Iterator[None]:
    """Time one append. One that raises is not told."""
    started = time.perf_counter()
    yield
    if (tell := _TELL.get()) is not None:
        tell(time.perf_counter() - started)
