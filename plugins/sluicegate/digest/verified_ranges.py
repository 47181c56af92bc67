"""A file that can be read at any place, and hands out no byte before its shard matched the seal.

Whoever needs three columns of a file reads their ranges, and nobody reads the rest. What is handed
out is what was hashed, from memory that nobody shares. So the file may change in between, or be
another one at each read: bytes that are not the sealed ones are refused.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from sluicegate.digest.algorithms import shard_bytes
from sluicegate.digest.file_hash import check_unchanged, open_regular, regular_status
from sluicegate.digest.verified_file import refuse_mismatch
from sluicegate.digest.walk import unreadable
from sluicegate.errors import DigestMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from sluicegate.digest.manifest import FileEntry


RUN_BYTES: Final = 4 << 20
"""Most bytes that are fetched at once: 3 ms of hashing, one request to a store."""

AHEAD_BYTES: Final = 48 << 20
"""Bytes that are fetched before they are asked for, where a plan says which will be."""

_KEPT_BYTES: Final = 16 << 20  # last used: two ranges can share a shard, or be read twice
_LOCAL_THREADS: Final = 2  # one reads and hashes while the other does; a parser needs the rest


_Piece = memoryview | DigestMismatch

_Task = tuple["Future[list[_Piece]]", "Callable[[], list[_Piece]]"]


class VerifiedRanges(io.RawIOBase):
    """A readable, seekable file of verified bytes. One thread uses it at a time.

    Args:
        entry: Its entry in a verified manifest, with shards.
        fetch: Returns the bytes from one position to before another; it is called in threads.
        locator: Where they come from, for messages.
        n_threads: Fetches in flight.

    Cost: memory of 64 MiB at most beside the ranges that are handed out, and each shard that a
        range touches is fetched and hashed once while it is among those kept.
    """

    def __init__(
        self,
        entry: FileEntry,
        fetch: Callable[[int, int], bytes],
        locator: str,
        *,
        n_threads: int = _LOCAL_THREADS,
    ) -> None:
        super().__init__()
        self._size = entry.size_bytes
        self._shards = entry.shards
        self._n_bytes = shard_bytes(entry.digest.algorithm)
        self._fetch = fetch
        self._locator = locator
        self._at = 0
        self._end = -1  # of the last read
        self._plan: Iterator[range] = iter(())
        self._planned = False
        self._ahead: dict[int, Future[list[_Piece]]] = {}  # by shard; shards of a run share one
        self._firsts: dict[int, int] = {}  # first shard of the run in flight, by shard
        self._kept: OrderedDict[int, memoryview] = OrderedDict()
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [
            Thread(target=_work, args=(self._tasks,), name="sluicegate-range", daemon=True)
            for _ in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Say which ranges will be read, in order, so that they are fetched ahead.

        A plan that turns out wrong costs time and nothing else.

        Args:
            ranges: Start and end of each, in bytes; parts beyond the file are passed over.
        """
        wanted: dict[int, None] = {}
        for start, end in ranges:
            if 0 <= start < end:
                wanted.update(dict.fromkeys(self._numbers(start, min(end, self._size))))
        self._plan, self._planned = iter(list(self._runs(list(wanted)))), True
        self._top_up()

    def read_buffer(self, size: int = -1, /) -> memoryview:
        """Return the next bytes without copying them where they lie in one shard.

        Args:
            size: Most bytes, 0 or more; all that are left below 0.

        Raises:
            DigestMismatch: They are not the sealed ones.
            UnreadableData: They cannot be fetched.
            ValueError: The file is closed.
        """
        if self.closed:
            raise ValueError("read of a closed file")
        start = self._at
        end = self._size if size is None or size < 0 else min(self._size, start + size)
        if start >= end:
            return memoryview(b"")
        if start == self._end and not self._planned:  # read from one end to the other
            self.plan([(start, self._size)])
        pieces = self._pieces(self._numbers(start, end))
        first = start // self._n_bytes * self._n_bytes
        pieces[-1] = pieces[-1][: end - max(first, (end - 1) // self._n_bytes * self._n_bytes)]
        pieces[0] = pieces[0][start - first :]
        self._at = self._end = end
        return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; see `read_buffer`.

        Args:
            size: As `read_buffer`.
        """
        return bytes(self.read_buffer(size))

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer with the next bytes; see `read_buffer`.

        Args:
            buffer: Writable, of any length.
        """
        view = memoryview(buffer).cast("B")
        data = self.read_buffer(len(view))
        view[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position; beyond the end nothing is read.

        Args:
            offset: In bytes, from where `whence` says.
            whence: ``SEEK_SET``, ``SEEK_CUR`` or ``SEEK_END``.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def close(self) -> None:
        """Forget what was fetched and what was to be fetched.

        It takes no lock and waits for no thread: the garbage collector may call it, in any thread
        and while that thread or the one it waits for holds the locks of `threading`.
        """
        if not self.closed:
            with suppress(Empty):
                while True:
                    self._tasks.get_nowait()
            for _ in self._threads:
                self._tasks.put(None)
            self._ahead.clear()
            self._kept.clear()
        super().close()

    def _numbers(self, start: int, end: int) -> range:
        return range(start // self._n_bytes, -(-end // self._n_bytes))

    def _runs(self, numbers: Sequence[int]) -> Iterator[range]:
        """Yield neighbouring shards together, as many as are fetched at once."""
        most = max(1, RUN_BYTES // self._n_bytes)
        for _, pairs in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
            found = [number for _, number in pairs]
            for first in range(0, len(found), most):
                last = found[min(first + most, len(found)) - 1]
                yield range(found[first], last + 1)

    def _pieces(self, numbers: range) -> list[memoryview]:
        missing = [n for n in numbers if n not in self._kept and n not in self._ahead]
        for run in self._runs(missing):
            self._submit(run)
        found: list[memoryview] = []
        for number in numbers:
            if number in self._kept:
                self._kept.move_to_end(number)
            else:
                future, first = self._ahead.pop(number), self._firsts.pop(number)
                piece = future.result()[number - first]
                if isinstance(piece, DigestMismatch):
                    raise piece
                self._kept[number] = piece
            found.append(self._kept[number])
        while len(self._kept) * self._n_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept.popitem(last=False)
        self._top_up()
        return found

    def _top_up(self) -> None:
        while len(self._ahead) * self._n_bytes < AHEAD_BYTES and (run := next(self._plan, None)):
            # What was read out of turn is not fetched again.
            left = [n for n in run if n not in self._kept and n not in self._ahead]
            for part in self._runs(left):
                self._submit(part)

    def _submit(self, run: range) -> None:
        future: Future[list[_Piece]] = Future()
        self._tasks.put((future, partial(self._verified, run)))
        for number in run:
            self._ahead[number], self._firsts[number] = future, run.start

    def _verified(self, run: range) -> list[_Piece]:
        """Fetch shards and return each, or why it is refused: only who reads it is told."""
        start, end = run.start * self._n_bytes, min(self._size, run.stop * self._n_bytes)
        data = memoryview(self._fetch(start, end))
        if len(data) > end - start:
            data = data[:0]  # bytes of another range than the one asked for
        return [self._piece(number, data, start) for number in run]

    def _piece(self, number: int, data: memoryview, start: int) -> _Piece:
        at = number * self._n_bytes
        piece = data[at - start : at - start + self._n_bytes]
        expected, got = self._shards[number * 32 : number * 32 + 32], hashlib.sha256(piece)
        if got.digest() == expected:
            return piece
        where = f"{self._locator}, bytes {at} to {min(self._size, at + self._n_bytes)}"
        try:
            refuse_mismatch(where, expected.hex()[:12], got.hexdigest()[:12])
        except DigestMismatch as error:
            return error


def _work(tasks: SimpleQueue[_Task | None]) -> None:
    """Do tasks until there is None; between two of them nothing of a file is held."""
    while (task := tasks.get()) is not None:
        future, fetch = task
        try:
            future.set_result(fetch())
        except BaseException as error:  # noqa: BLE001 - raised where it is read
            future.set_exception(error)
        del task, future, fetch


class _Descriptor:
    """Closes a descriptor when nobody fetches from it any more: its number may be reused then."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


@contextmanager
def ranges_verified(path: Path, expected: FileEntry) -> Iterator[VerifiedRanges]:
    """Open a local file whose ranges are verified as they are read.

    Args:
        path: The file.
        expected: Its entry in a verified manifest, with shards.

    Yields:
        The file at position 0.

    Raises:
        DigestMismatch: It has another size than sealed; a read raises it where bytes are others.
        ChangedDuringRead: Somebody wrote to it while it was open; raised at the end.
        UnsafePath: It is a symlink, device, FIFO or socket.
        UnreadableData: It is missing, this user may not read it, or a read failed.

    Cost: as `VerifiedRanges`.
    """
    locator = str(path)
    descriptor = _Descriptor(open_regular(path, locator))

    def fetch(start: int, end: int) -> bytes:
        try:
            return os.pread(descriptor.number, end - start, start)
        except OSError as error:
            unreadable(error, locator)

    before = regular_status(descriptor.number, locator)
    if before.st_size != expected.size_bytes:
        refuse_mismatch(locator, f"{expected.size_bytes} bytes", f"{before.st_size} bytes")
    with VerifiedRanges(expected, fetch, locator) as file:
        yield file
    check_unchanged(descriptor.number, before, before.st_size, locator)
