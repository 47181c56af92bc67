"""What a consumer remembers of a ledger, in one small file of its own.

One checkpoint is enough to notice that the whole store went back or forked; one version a
source is enough to notice that a lookup was misled about the newest batch. The file must lie
where whoever can edit the ledger cannot write.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sluicegate.adapters.tile_files import write_atomically
from sluicegate.digest import canonical
from sluicegate.errors import LedgerError, MalformedEnvelope, Rollback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sluicegate.ledger.log import Ledger

_MAX_BYTES: Final = 1 << 20
_KEYS: Final = {"v", "checkpoint", "sources"}


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen last.

    Attributes:
        checkpoint: Signed note of the ledger; empty if nothing was seen yet.
        sources: Version of the newest sealed batch of each source.
    """

    checkpoint: bytes = b""
    sources: Mapping[str, int] = field(default_factory=dict)

    def require_not_older(self, ledger: Ledger) -> None:
        """Check that a ledger extends what was seen.

        Raises:
            Rollback, BadProof: It went back, or forked.
            VerificationError: One of the checkpoints does not hold.
        """
        if self.checkpoint:
            ledger.require_extends(self.checkpoint)

    def require_newest(self, source: str, version: int) -> None:
        """Check that a source's newest batch is not older than the one that was seen.

        Raises:
            Rollback: It is: an index of the ledger was edited to hide a newer one.
        """
        seen = self.sources.get(source, 0)
        if version < seen:
            raise Rollback(
                "a newer batch of this source was seen before",
                locator=source,
                expected=f"version {seen} or later",
                got=f"version {version}",
                next_step="Run: sluicegate ledger verify. Somebody hides the newest batch.",
            )


def read_memory(path: Path) -> Memory:
    """Read what is remembered; nothing yet if there is no file.

    Raises:
        LedgerError: The file cannot be read.
        MalformedEnvelope: It is not such a file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Memory()
    except OSError as error:
        raise _failed("read", path, error) from error
    return parse_memory(data, locator=str(path))


def parse_memory(data: bytes, *, locator: str) -> Memory:
    """Read the bytes of such a file.

    Raises:
        MalformedEnvelope: They are no such file's.
    """
    value = canonical.loads(data, locator=locator, max_bytes=_MAX_BYTES)
    if not isinstance(value, dict) or set(value) != _KEYS or value["v"] != 1:
        raise MalformedEnvelope("not a remembered checkpoint", locator=locator)
    note, sources = value["checkpoint"], value["sources"]
    if not isinstance(note, str) or not isinstance(sources, dict):
        raise MalformedEnvelope("not a remembered checkpoint", locator=locator)
    if not all(type(version) is int for version in sources.values()):
        raise MalformedEnvelope("remembered version is not a number", locator=locator)
    return Memory(note.encode(), sources)


def remember(path: Path, ledger: Ledger, note: bytes, sources: Mapping[str, int]) -> None:
    """Remember what was just verified, unless somebody remembered more meanwhile.

    Args:
        path: The file; its directory must exist.
        ledger: Verifies the checkpoints.
        note: Checkpoint that extends what the caller read from the file.
        sources: Version of the newest sealed batch of each source that was looked at.

    Raises:
        LedgerError: The file cannot be written.

    Cost: nothing is written when nothing is new.
    """
    try:
        with _locked(path):
            old = read_memory(path)
            newest = _larger(ledger, old.checkpoint, note)
            merged = dict(old.sources)
            for source, version in sources.items():
                merged[source] = max(version, merged.get(source, 0))
            if (newest, merged) == (old.checkpoint, old.sources):
                return
            value = {"v": 1, "checkpoint": newest.decode(), "sources": merged}
            write_atomically(path, canonical.dumps(value))
    except OSError as error:
        raise _failed("written", path, error) from error


def _larger(ledger: Ledger, old: bytes, new: bytes) -> bytes:
    if not old:
        return new
    sizes = [ledger.verify_checkpoint(note, locator="remembered").size for note in (old, new)]
    return new if sizes[1] > sizes[0] else old


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; a lock of its own file, because the other one is replaced."""
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _failed(what: str, path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"the remembered checkpoint cannot be {what}",
        locator=str(path),
        got=error.strerror or type(error).__name__,
        next_step="Give the guard's user its own directory: [sluicegate] remembered.",
    )
