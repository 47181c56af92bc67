"""Hash rows on the other cores. Threads cannot: hashlib keeps Python's lock for short rows.

Rows lie in slots of shared memory. Pipes carry only the numbers of slots, so neither side ever
waits for the other to read. While all slots are taken, this process hashes rows itself. It also
hashes what another process did not answer: a failure costs time, never a row.
"""

from __future__ import annotations

import mmap
import os
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from sluicegate.tables.hash_process import (
    ANSWER,
    DIGESTS_AT,
    LENGTHS_AT,
    MAX_ROW_BYTES,
    MAX_ROWS,
    REQUEST,
    ROWS_AT,
    SLOT_BYTES,
    asked,
    hash_rows,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

N_SLOTS: Final = 8
"""Requests that may wait for a process: 30 ms of work, while this one sorts ids or reads rows.
Pages of slots that stay empty take no memory."""

_SCRIPT: Final = Path(__file__).with_name("hash_process.py")


@dataclass(slots=True)
class Hashed:
    """Digests of some rows, known or still to come.

    Attributes:
        digests: 32 bytes for each row; None until they are known.
        hasher: The process that was asked; None if this process hashed the rows.
    """

    digests: bytes | None
    hasher: RowHasher | None = None

    @property
    def is_done(self) -> bool:
        """Whether `result` returns at once."""
        if self.digests is None and self.hasher is not None:
            self.hasher.collect(wait=False)
        return self.digests is not None

    def result(self) -> bytes:
        """Return the digests, 32 bytes for each row; wait for them if they are still to come."""
        while self.digests is None:
            assert self.hasher is not None  # noqa: S101 - nobody else leaves digests open
            self.hasher.collect(wait=True)
        return self.digests


class RowHasher:
    """One process that hashes rows, and the memory it shares with this one.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self) -> None:
        shared = os.memfd_create("sluicegate-rows")
        try:
            os.ftruncate(shared, N_SLOTS * SLOT_BYTES)
            self._mapped = mmap.mmap(shared, 0)
            command = [sys.executable, "-I", "-S", str(_SCRIPT), str(shared)]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and our own script
                command,
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=[shared],
            )
        finally:
            os.close(shared)
        self._memory = memoryview(self._mapped)
        self._free = list(range(N_SLOTS))
        self._asked: dict[int, tuple[Hashed, int, int]] = {}
        self._answers = select.poll()
        self._answers.register(_pipe(self._process.stdout), select.POLLIN)

    def offer(self, rows: memoryview, lengths: NDArray[np.int64]) -> Hashed | None:
        """Ask for the digests of rows.

        Args:
            rows: Bytes of all rows, one after the other.
            lengths: Length of each row in bytes, int64, shape (n_rows,).

        Returns:
            The promise of the digests, or None if the process has enough to do, is gone, or the
            rows do not fit into one slot.
        """
        self.collect(wait=False)
        if not self._free or len(lengths) > MAX_ROWS or len(rows) > MAX_ROW_BYTES:
            return None
        slot = self._free.pop()
        start = slot * SLOT_BYTES
        lengths_at, rows_at = start + LENGTHS_AT, start + ROWS_AT
        self._memory[lengths_at : lengths_at + len(lengths) * 8] = lengths.view("u1").data
        self._memory[rows_at : rows_at + len(rows)] = rows
        hashed = Hashed(None, self)
        self._asked[slot] = (hashed, len(lengths), len(rows))
        try:
            _pipe(self._process.stdin).write(REQUEST.pack(slot, len(lengths), len(rows)))
        except OSError:
            self._give_up()
        return hashed

    def collect(self, *, wait: bool) -> None:
        """Take the answers that are there.

        Args:
            wait: Wait for one answer if any is due.
        """
        while self._asked and self._answers.poll(None if wait else 0):
            answer = os.read(_pipe(self._process.stdout).fileno(), ANSWER.size)
            slot = ANSWER.unpack(answer)[0] if len(answer) == ANSWER.size else None
            if slot not in self._asked:
                self._give_up()
                return
            hashed, n_rows, _ = self._asked.pop(slot)
            start = slot * SLOT_BYTES + DIGESTS_AT
            hashed.digests = bytes(self._memory[start : start + n_rows * 32])
            self._free.append(slot)
            wait = False

    def stop(self) -> None:
        """End the process and free the memory; answers that were not collected are lost."""
        self._process.kill()
        with self._process:
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    _pipe(pipe).close()
        self._memory.release()
        self._mapped.close()

    def _give_up(self) -> None:
        """Hash all open requests in this process, and never ask the other one again."""
        for slot, (hashed, n_rows, n_bytes) in self._asked.items():
            hashed.digests = hash_rows(*asked(self._memory, slot, n_rows, n_bytes))
        self._asked.clear()
        self._free.clear()


class RowHashers:
    """This process and others. Each starts when those before it have enough to do.

    Args:
        workers: Most processes, this one included; 1 starts none.
        start_rows: Rows that this process hashes before one more is worth its start.
    """

    def __init__(self, workers: int, start_rows: int) -> None:
        self._hashers: list[RowHasher] = []
        self._to_start = workers - 1 if sys.platform == "linux" and sys.executable else 0
        self._start_rows = start_rows
        self._n_rows_here = 0

    def hash(self, rows: memoryview, lengths: NDArray[np.int64]) -> Hashed:
        """Return the digests of rows, or the promise of them.

        Args:
            rows: Bytes of all rows, one after the other.
            lengths: Length of each row in bytes, int64, shape (n_rows,).
        """
        for hasher in self._hashers:
            if (hashed := hasher.offer(rows, lengths)) is not None:
                return hashed
        self._n_rows_here += len(lengths)
        if self._to_start and self._n_rows_here > self._start_rows:
            self._start()
        return Hashed(hash_rows(bytes(rows), lengths.tolist()))

    def stop(self) -> None:
        """End all processes."""
        for hasher in self._hashers:
            hasher.stop()

    def _start(self) -> None:
        try:
            self._hashers.append(RowHasher())
        except OSError:  # no memory or no permission: the processes that run can do it
            self._to_start = 0
            return
        self._to_start -= 1
        self._n_rows_here = 0


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - asked for in Popen
    return stream
