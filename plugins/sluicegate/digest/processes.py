"""Share a list of work with forked processes, where threads would only pass a lock around.

A process is forked only while this one has a single operating-system thread: a fork copies the
locks that other threads hold, and nobody in the copy ever releases them. If there are more
threads, or nobody can know, the caller uses threads. If a forked process fails for any reason,
this process does its share again, so that an error is raised here with its own cause.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS: Final = Path("/proc/self/task")  # Linux; elsewhere nothing is forked

Work = TypeVar("Work")
Made = TypeVar("Made")


def map_in_processes(
    work: Callable[[list[Work]], list[Made]], items: list[Work], n_processes: int
) -> list[Made] | None:
    """Apply a function to shares of a list; this process does one of them.

    Args:
        work: Makes the results of a share, of types that `marshal` writes. It must start no
            thread and depend on no other share.
        items: What is to be done; every n-th item goes to the same process.
        n_processes: Number of processes, this one included; at least 2.

    Returns:
        The results in no promised order; None if this process must not be forked.

    Raises:
        Exception: What `work` raises.

    Cost: a fork of about 1 ms for each process, and one copy of its results.
    """
    if not _has_one_thread():
        return None
    shares = [items[first::n_processes] for first in range(n_processes)]
    helpers: list[_Helper] = []
    try:
        helpers.extend(_fork(work, share) for share in shares[1:])
        made = work(shares[0])
        for helper, share in zip(helpers, shares[1:], strict=True):
            received: list[Made] | None = helper.receive()
            made += work(share) if received is None else received
    finally:
        for helper in helpers:
            helper.stop()
    return made


@dataclass(frozen=True, slots=True)
class _Helper:
    """A forked process and the pipe that it answers through."""

    process: int
    answer: BinaryIO

    def receive(self) -> list[Any] | None:
        """Return its results; None if it failed or died, because its answer is short then."""
        data = self.answer.read()
        try:
            return cast("list[Any]", marshal.loads(data))  # noqa: S302 - from our own fork
        except (EOFError, ValueError, TypeError):
            return None

    def stop(self) -> None:
        """End it, whether it is done or others failed, and leave no zombie."""
        self.answer.close()
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)


def _fork(work: Callable[[list[Work]], list[Made]], share: list[Work]) -> _Helper:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        _answer(work, share, writer)
    os.close(writer)
    return _Helper(process, os.fdopen(reader, "rb"))


def _answer(work: Callable[[list[Work]], list[Made]], share: list[Work], writer: int) -> None:
    """Do a share and end without the parent's clean-up, whose buffers and handlers are copies."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(writer, "wb") as pipe:
            marshal.dump(work(share), pipe)
    finally:
        os._exit(0)


def _has_one_thread() -> bool:
    if sys.platform != "linux":
        return False
    try:
        return len(list(_THREADS.iterdir())) == 1
    except OSError:
        return False
