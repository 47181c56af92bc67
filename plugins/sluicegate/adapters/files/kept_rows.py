"""Rows of text files that were parsed before their turn: in memory, or on private disk."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MEMORY_BYTES: Final = 64 << 20
"""What is kept in memory: thousands of small files; what is more goes to a file without a name."""


@dataclass(slots=True)
class KeptRows:
    """Batches by the name of their file. Each is taken once."""

    _memory: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)
    _places: dict[str, list[int]] = field(default_factory=dict)
    _disk: Any = None
    _n_bytes: int = 0

    def put(self, name: str, batches: Sequence[pa.RecordBatch]) -> None:
        """Keep the rows of a file.

        Args:
            name: Path inside the batch.
            batches: Its rows.

        Raises:
            OSError: The disk is full.
        """
        n_bytes = sum(batch.nbytes for batch in batches)
        if self._n_bytes + n_bytes <= _MEMORY_BYTES:
            self._n_bytes += n_bytes
            self._memory[name] = list(batches)
            return
        if self._disk is None:
            self._disk = tempfile.TemporaryFile(prefix="sluicegate-rows-")  # noqa: SIM115 - `close`
        places = self._places[name] = []
        for batch in batches:  # one stream each, because blocks of a file may differ in columns
            places.append(self._disk.seek(0, os.SEEK_END))
            with pa.ipc.new_stream(self._disk, batch.schema) as writer:
                writer.write_batch(batch)

    def __contains__(self, name: str) -> bool:
        """Return whether the rows of a file are kept."""
        return name in self._memory or name in self._places

    def take(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a kept file, and forget them.

        Args:
            name: Path inside the batch.
        """
        if name in self._memory:
            batches = self._memory.pop(name)
            self._n_bytes -= sum(batch.nbytes for batch in batches)
            yield from batches
            return
        for place in self._places.pop(name):
            self._disk.seek(place)
            with pa.ipc.open_stream(self._disk) as reader:
                yield reader.read_next_batch()

    def close(self) -> None:
        """Forget everything, and give the disk back."""
        self._memory.clear()
        self._places.clear()
        if self._disk is not None:
            self._disk.close()
            self._disk = None
