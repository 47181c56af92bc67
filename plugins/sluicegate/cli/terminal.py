"""What a terminal gets and a pipe does not: colour, lines that wrap below their text, progress."""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COLOURS: Final = {"PASSED": 32, "WARNED": 33, "FAILED": 31, "NOT_EVALUATED": 35}
_RESULT: Final = re.compile(rf"( *)({'|'.join(_COLOURS)})\b:? *")
_FIRST_S: Final = 0.5
"""Work that takes less says nothing."""
_EVERY_S: Final = 0.2


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person looks at a stream; a closed one is none."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False


def for_terminal(line: str, width: int) -> str:
    """Return a line that begins with a result, coloured and wrapped; any other as it is.

    Args:
        line: Visible text. Its own colours would be escaped by now.
        width: Of the terminal, in characters.
    """
    found = _RESULT.match(line)
    if found is None:
        return line
    import textwrap

    indent = " " * found.end() if found[1] else "  "
    shown = textwrap.fill(
        line,
        max(width, 2 * found.end()),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if os.environ.get("NO_COLOR"):
        return shown
    return shown.replace(found[2], f"\x1b[1;{_COLOURS[found[2]]}m{found[2]}\x1b[0m", 1)


@contextmanager
def progress(unit: str, *, quiet: bool = False) -> Iterator[Callable[[int], None] | None]:
    """Show on standard error how far long work is, if that is a terminal.

    Args:
        unit: What is counted.
        quiet: Show nothing.

    Yields:
        What to tell how many more are done; None if nothing is shown.
    """
    if quiet or not is_terminal(sys.stderr):
        yield None
        return
    shown = Progress(sys.stderr, unit, time.monotonic)
    try:
        yield shown.add
    finally:
        shown.end()


class Progress:
    """One line that is written over and over.

    Args:
        stream: A terminal.
        unit: What is counted.
        clock: Seconds, never backwards.
    """

    def __init__(self, stream: TextIO, unit: str, clock: Callable[[], float]) -> None:
        self._stream, self._unit, self._clock = stream, unit, clock
        self._begun = clock()
        self._next, self._done = self._begun + _FIRST_S, 0

    def add(self, n: int) -> None:
        """Count some more, and show how many there are, five times a second at most."""
        self._done += n
        now = self._clock()
        if now >= self._next:
            rate = self._done / (now - self._begun)
            self._write(f"\r{self._done:,} {self._unit}, {rate:,.0f} a second\x1b[K")
            self._next = now + _EVERY_S

    def end(self) -> None:
        """Take the line away."""
        if self._next > self._begun + _FIRST_S:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # nothing depends on it
            self._stream.write(text)
            self._stream.flush()
