"""What an installation remembers of its ledger and trust policy, in one small file.

It holds three things. The checkpoint shows that the whole store went back or forked. What stood
about each source then shows that a leaf was taken out or hidden from a lookup. The trust policy
shows that an older or an unsigned one was put in its place. The file lies outside the home
directory and the ledger's store. docs/adr/0014-remembered-state.md says where, and what its editor
could do. docs/formats/remembered.md specifies the format.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.ledgers.tile_files import share, write_atomically
from sluicegate.attest.trust_file import TrustFile
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import BadProof, ConfigError, EvidenceMissing, LedgerError, MalformedEnvelope
from sluicegate.ledger.checkpoint import parse_decimal
from sluicegate.ledger.entry import MAX_SOURCE_CHARS
from sluicegate.ledger.standing import OF_BATCH, Standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sluicegate.ledger.log import Ledger

MAX_BYTES: Final = 8 << 20
"""Largest file, in bytes: enough for 20,000 sources, or for 90,000 batches that were ever set
aside. The trust policy in it has 2 MiB at most."""

REMEMBER: Final = "sluicegate ledger remember"
"""The command with which an administrator has the present state remembered."""

_KEYS: Final = {"v", "began", "checkpoint", "sources", "trust"}
_SOURCE_KEYS: Final = {"batch", "provenance", "since", "newest", "held"}
_MAY_NOT_WRITE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

_log = logging.getLogger("sluicegate.memory")


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen last.

    Attributes:
        checkpoint: Signed note of the ledger.
        trust: The trust policy's file, as it was read.
        standings: What stood about each source under that checkpoint.
        began: When and why this memory was begun, for people.
    """

    checkpoint: bytes
    trust: bytes
    standings: Mapping[str, Standing] = field(default_factory=dict)
    began: str = ""

    def to_bytes(self) -> bytes:
        """Return the bytes of the file (docs/formats/remembered.md).

        Raises:
            LedgerError: They are more than `MAX_BYTES`.
        """
        data = canonical.dumps(
            {
                "v": 2,
                "began": self.began,
                "checkpoint": self.checkpoint.decode(),
                "sources": {name: _written(item) for name, item in self.standings.items()},
                "trust": self.trust.decode(),
            }
        )
        if len(data) > MAX_BYTES:
            raise LedgerError(
                "there is more to remember than the memory may hold",
                expected=f"at most {MAX_BYTES} bytes",
                got=str(len(data)),
                next_step="Start a new ledger for new sources.",
            )
        return data


def read_memory(path: Path) -> Memory:
    """Read what is remembered.

    Raises:
        EvidenceMissing: There is no such file. That never means that nothing was seen yet.
        LedgerError: The file cannot be read, or an older version wrote it.
        MalformedEnvelope: It is not such a file.
    """
    return parse_memory(_read(path), locator=str(path))


def read_version_1(path: Path) -> bytes | None:
    """Return the checkpoint in a file that an older Sluicegate wrote; None for any other file."""
    value = _loaded(_read(path), str(path))
    if isinstance(value, dict) and value.get("v") == 1 and isinstance(value.get("checkpoint"), str):
        return str(value["checkpoint"]).encode()
    return None


@lru_cache(maxsize=1)
def parse_memory(data: bytes, *, locator: str) -> Memory:
    """Read the bytes of such a file; the same bytes are not parsed twice running.

    Args:
        data: At most `MAX_BYTES`; more is refused.
        locator: Path, for messages.

    Raises:
        LedgerError: An older version wrote them.
        MalformedEnvelope: They are not such a file's.
    """
    value = _loaded(data, locator)
    if isinstance(value, dict) and value.get("v") == 1:
        raise LedgerError(
            "the memory was written by an older version, which saw less",
            locator=locator,
            expected="version 2",
            got="version 1",
            next_step=f"Run once: {REMEMBER}. It holds the ledger against what is remembered.",
        )
    if not isinstance(value, dict) or set(value) != _KEYS or value["v"] != 2:
        raise _malformed(locator)
    texts = [value[name] for name in ("checkpoint", "trust", "began")]
    sources = value["sources"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(sources, dict):
        raise _malformed(locator)
    standings = {name: _standing(name, item, locator) for name, item in sources.items()}
    return Memory(texts[0].encode(), texts[1].encode(), standings, texts[2])


def remember(path: Path, ledger: Ledger, memory: Memory, *, appends: bool) -> None:
    """Remember what was just verified, unless somebody remembered more meanwhile.

    Args:
        path: The file, which exists.
        ledger: Verifies the checkpoints.
        memory: Extends what the caller read from the file.
        appends: Whether the caller appended to the ledger. A caller that only reads may lack the
            right to write here; that is no error. A memory that training cannot edit is safer.

    Raises:
        EvidenceMissing: The file vanished meanwhile.
        BadProof: Somebody remembered another history of this length meanwhile.
        LedgerError: The file cannot be written.

    Cost: reads the file; writes it only if something is new.
    """
    try:
        with locked(path):
            old = read_memory(path)
            merged = _merged(ledger, old, memory)
            if merged != old:
                write_atomically(path, merged.to_bytes())
    except OSError as error:
        if appends or error.errno not in _MAY_NOT_WRITE:
            raise _failed("written", path, error) from error
        _log.info("this user may only read %s; whoever appends writes it", path)


def begin_memory(path: Path, memory: Memory, *, home: Path) -> Path | None:
    """Write the first memory of an installation, or replace one on purpose.

    Args:
        path: The file; its directory is made.
        memory: What is there now.
        home: Directory whose owner, group and rights a new directory takes over.

    Returns:
        Where the earlier file is kept now; None if there was none.

    Raises:
        LedgerError: The file cannot be written.
    """
    kept = path.with_name(f"{path.name}.forgotten-{memory.began[:19].replace(':', '')}")
    try:
        _make_directory(path.parent, home)
        with locked(path):
            was_there = path.exists()
            if was_there:
                # A copy first: a crash in between must not leave an installation without one.
                write_atomically(kept, path.read_bytes())
            write_atomically(path, memory.to_bytes())
            if not was_there:
                share(path, path.parent.stat())
    except OSError as error:
        raise _failed("written", path, error) from error
    return kept if was_there else None


def begin_at_least(path: Path, floor: bytes) -> None:
    """Remember no less than what somebody else remembered, on the word of whoever signed that.

    Args:
        path: The file; it and its directory are made if they are not there.
        floor: Bytes of such a file, from a trusted place.

    Raises:
        LedgerError: The file cannot be written.
        MalformedEnvelope: One of the two is no such file.
    """
    least = parse_memory(floor, locator="what was published to be remembered")
    with suppress(EvidenceMissing):
        if _size(read_memory(path)) >= _size(least):
            return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path):
            if path.exists():
                old = read_memory(path)
                if _size(old) >= _size(least):
                    return
                least = replace(least, trust=_newer_trust(old.trust, least.trust))
            write_atomically(path, least.to_bytes())
    except OSError as error:
        raise _failed("written", path, error) from error


def _size(memory: Memory) -> int:
    """Return the leaves that a memory speaks of; its checkpoint is verified when it is used."""
    lines = memory.checkpoint.decode().split("\n")
    return parse_decimal(lines[1] if len(lines) > 1 else "", "remembered")


def require_writable(path: Path) -> None:
    """Check that this user can write the memory, before something is appended to the ledger.

    Raises:
        LedgerError: This user cannot.
    """
    try:
        with locked(path):
            is_writable = os.access(path.parent, os.W_OK, effective_ids=True)
    except OSError as error:
        raise _failed("written", path, error) from error
    if not is_writable:
        raise _failed("written", path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def require_place(path: Path, *, may_replace: bool, home: Path) -> None:
    """Check that a first memory can be written, before anything else is made.

    Args:
        path: The file; its directory is made.
        may_replace: Whether an earlier memory may be given up.
        home: Directory whose owner, group and rights a new directory takes over.

    Raises:
        ConfigError: Something is remembered there already.
        LedgerError: Nothing can be written there.
    """
    if path.exists() and not may_replace:
        raise ConfigError(
            "something is remembered here already, of this ledger or of one before",
            locator=str(path),
            next_step='If that ledger is given up on purpose, add --forget "why".',
        )
    try:
        _make_directory(path.parent, home)
        with locked(path):
            pass
    except OSError as error:
        raise _failed("written", path, error) from error


def _merged(ledger: Ledger, old: Memory, new: Memory) -> Memory:
    """Return the newer parts of two memories; both were verified."""
    before, after = (
        ledger.verify_checkpoint(memory.checkpoint, locator="remembered") for memory in (old, new)
    )
    trust = _newer_trust(old.trust, new.trust)
    if before.size > after.size:
        return replace(old, trust=trust)
    standings = dict(new.standings)
    if before.size == after.size:
        if before.root != after.root:
            raise BadProof("two histories of this length were signed", locator=ledger.locator)
        for name, standing in old.standings.items():
            if standing.since < standings[name].since:
                standings[name] = standing  # it covers more leaves: somebody read them all for it
    return Memory(new.checkpoint, trust, standings, old.began)


def _newer_trust(old: bytes, new: bytes) -> bytes:
    if old == new:
        return new
    before, after = (TrustFile.from_bytes(data, locator="remembered") for data in (old, new))
    return old if before.policy.version > after.policy.version else new


def _written(standing: Standing) -> dict[str, Any]:
    return {
        "batch": standing.batch,
        "provenance": standing.provenance,
        "since": standing.since,
        "newest": dict(standing.newest),
        "held": dict(standing.held),
    }


def _standing(source: str, value: Any, locator: str) -> Standing:
    """Read one source strictly: a reader believes that what is missing here does not exist."""
    if not isinstance(value, dict) or set(value) != _SOURCE_KEYS or len(source) > MAX_SOURCE_CHARS:
        raise _malformed(locator)
    batch, newest, held = value["batch"], value["newest"], value["held"]
    if not isinstance(batch, str) or not isinstance(newest, dict) or not isinstance(held, dict):
        raise _malformed(locator)
    indexes = [value["since"], *newest.values(), *held.values()]
    least = 0 if batch else -1
    if not set(newest) <= OF_BATCH or not all(_is_index(index, 0) for index in indexes):
        raise _malformed(locator)
    if not _is_index(value["provenance"], least):
        raise _malformed(locator)
    for digest in (*([batch] if batch else []), *held):
        Digest.parse(digest)
    return Standing(batch, value["provenance"], value["since"], newest, held)


def _is_index(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _loaded(data: bytes, locator: str) -> Any:
    try:
        return canonical.loads(data, locator=locator, max_bytes=MAX_BYTES)
    except MalformedEnvelope as error:
        raise _malformed(locator) from error


def _malformed(locator: str) -> MalformedEnvelope:
    return MalformedEnvelope(
        "not what an installation remembers",
        locator=locator,
        next_step="Find out who edited it. "
        f'Then restore it, or run: {REMEMBER} --forget "why it may be lost".',
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)  # the parser refuses the byte too many
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EvidenceMissing(
            "what this installation remembers of its ledger is not there",
            locator=str(path),
            next_step="If it was there before, find out who removed it. At the first use of a "
            f"ledger that exists, run once: {REMEMBER}.",
        ) from error
    except OSError as error:
        raise _failed("read", path, error) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let in one process at a time; the lock has its own file, because the memory is replaced.

    Args:
        path: The memory, in a directory that exists.

    Raises:
        OSError: The lock cannot be made or opened.
    """
    lock = path.with_name(f".{path.name}.lock")
    is_new = not lock.exists()
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if is_new:
            share(lock, path.parent.stat())
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_directory(directory: Path, home: Path) -> None:
    if not directory.exists():
        directory.mkdir(exist_ok=True)
        # The users that sign share the home's owner or group, and root may run the first command.
        share(directory, home.stat())


def _failed(what: str, path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"what is remembered of the ledger cannot be {what}",
        locator=str(path),
        got=error.strerror or type(error).__name__,
        next_step="Give this user access, or a place of its own: [sluicegate] remembered.",
    )
