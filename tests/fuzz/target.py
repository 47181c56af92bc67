"""What a fuzz target is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Target(NamedTuple):
    """A parser and something that it accepts."""

    parse: Callable[[bytes], object]
    seed: bytes
    # Bytes in, bytes out: reading and writing what was accepted. None where we only read.
    rewrite: Callable[[bytes], bytes] | None = None
