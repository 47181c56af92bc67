"""A home that is published in a store, as a directory of verified documents on this machine.

1. The index is the pinned one, or its root keys signed it                  (edited, foreign home)
2. Its trust policy may follow the pinned one                               (other root keys)
3. It is no older than what this machine used before, and has not expired   (yesterday's home)
4. Each document has the digest that the index names, at every opening      (edited store or cache)

What follows is an ordinary home directory, that nobody writes. docs/deploy.md says what a machine
without a disk of its own may trust.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluicegate.adapters.home_store import HomeStore
from sluicegate.adapters.ledgers.remembered import begin_at_least, locked
from sluicegate.adapters.ledgers.tile_files import write_atomically
from sluicegate.attest.home_index import FLOOR, TRUST, HomeIndex, Pin
from sluicegate.attest.trust import Role
from sluicegate.attest.trust_file import TrustFile
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import (
    ConfigError,
    EvidenceMissing,
    ManifestMismatch,
    Rollback,
    SystemTrouble,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.digest.algorithms import Digest

_LAZY: Final = "baselines/"
"""Documents that only a gate needs; a training worker does not fetch them."""


@dataclass(frozen=True, slots=True)
class Published:
    """Settings of a home that is published in a store.

    Attributes:
        url: ``PROTOCOL://CONNECTION@bucket/prefix``.
        pin: What is trusted, see `Pin`.
        cache: Directory for copies; "" for one in the user's home.
    """

    url: str
    pin: str
    cache: str = ""

    def open(self, at: datetime) -> Snapshot:
        """Verify the release in force, and return it as a directory; baselines come when asked for.

        Args:
            at: Aware UTC.

        Raises:
            SluicegateError: As `release` and `Snapshot.fetch`.

        Cost: three requests; one with a pinned index. One hash of each document.
        """
        store, index, data, cache = self.release(at)
        snapshot = Snapshot(store, index, cache / sha256_bytes(data).hex)
        with _on_disk(snapshot.root):
            snapshot.root.mkdir(mode=0o700, exist_ok=True)
        snapshot.fetch("")
        _require_only(index, snapshot.root)
        return snapshot

    def release(self, at: datetime) -> tuple[HomeStore, HomeIndex, bytes, Path]:
        """Return the store, its release in force with the bytes of the index, and our directory.

        Args:
            at: Aware UTC.

        Raises:
            ConfigError: The settings cannot be used.
            SluicegateError: As `open_release`.
        """
        pin = Pin.parse(self.pin)  # before the store is asked
        store = HomeStore.open(self.url)
        base = Path(self.cache) if self.cache else Path("~/.cache/sluicegate").expanduser()
        if not base.is_absolute():
            raise ConfigError(
                "is not an absolute path", locator="[sluicegate] home_cache", got=str(base)
            )
        # By place and not by pin: a new pin must not make a machine forget.
        name = sha256_bytes(store.location.encode()).hex[:16]
        cache = base / name
        with _on_disk(cache):
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return store, *open_release(store, pin, cache=cache, at=at), cache


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One release, verified, and the directory in which its documents are.

    Attributes:
        store: Where missing documents come from.
        index: The release.
        root: The home directory.
    """

    store: HomeStore = field(repr=False, compare=False)
    index: HomeIndex
    root: Path

    def fetch(self, prefix: str) -> None:
        """Have every document below a path there, with the bytes that the index names.

        Args:
            prefix: Beginning of the paths, e.g. ``baselines/flights/``.

        Raises:
            EvidenceMissing: The store lacks a document.
            DigestMismatch: The store has another one.
            SystemTrouble: Store or disk fails.

        Cost: one hash of what is there; one request for each document that is not.
        """
        for path, digest in self.index.documents.items():
            if path.startswith(prefix) and (prefix or not path.startswith(_LAZY)):
                place = self.root / path
                if _kept(place, digest) is None:
                    _write(place, self.store.document(digest, path))


def open_release(
    store: HomeStore, pin: Pin, *, cache: Path, at: datetime
) -> tuple[HomeIndex, bytes]:
    """Return the release in force, verified.

    Args:
        store: Where the home is published.
        pin: What the administrator's settings say.
        cache: Directory for what was seen before.
        at: Aware UTC.

    Returns:
        The index, and the bytes of its file.

    Raises:
        ConfigError: The pinned trust policy has no root keys.
        EvidenceMissing: Nothing is published there, or the pinned file is missing.
        VerificationError: The index is not the pinned one, not signed by the root keys, expired, or
            older than one that was used here.
        DigestMismatch: A document was changed.
        SystemTrouble: The store does not answer.
    """
    if pin.of == "index":
        data = store.document(pin.digest, "index")
        index = HomeIndex.from_bytes(data, locator=store.location)
        index.require_current(at, locator=store.location)
        return index, data
    pinned = TrustFile.from_bytes(_pinned(store, pin, cache), locator="home_pin")
    if Role.ROOT not in pinned.policy.roles:
        raise ConfigError(
            "the pinned trust policy has no root keys, so nothing can follow it",
            locator="[sluicegate] home_pin",
            next_step="Pin the index instead, or give the trust policy root keys.",
        )
    pinned.verified(locator="home_pin")
    found = store.newest()
    if found is None:
        raise EvidenceMissing(
            "no home is published there",
            locator=store.location,
            next_step="Publish one with `sluicegate home push`, or check the URL.",
        )
    number, data = found
    index = HomeIndex.from_bytes(data, locator=f"{store.location}/index/{number:08}.json")
    trust = TrustFile.from_bytes(store.document(index.documents[TRUST], TRUST), locator=TRUST)
    policy = trust.verified(locator=TRUST)
    trust.require_not_before(pinned, locator=f"{store.location}: {TRUST}")
    index.require_signed(policy, locator=store.location)
    if index.version != number:
        raise Rollback(
            "a release stands under another number",
            locator=store.location,
            expected=f"version {number}",
            got=f"version {index.version}",
        )
    index.require_current(at, locator=store.location)
    _require_seen(cache / "seen.json", index, data, store.location)
    return index, data


def remember_at_least(snapshot: Snapshot, memory: Path) -> None:
    """Let this machine remember no less than what was published.

    Args:
        snapshot: The release in force.
        memory: File of what this machine remembers.

    Raises:
        SluicegateError: What was published is no memory, or the file cannot be written.
    """
    floor = _content(snapshot.root / FLOOR)
    if FLOOR in snapshot.index.documents and floor is not None:
        begin_at_least(memory, floor)


def _pinned(store: HomeStore, pin: Pin, cache: Path) -> bytes:
    kept = cache / "pinned.json"
    data = _kept(kept, pin.digest)
    if data is None:
        data = store.document(pin.digest, "the pinned trust policy")
        _write(kept, data)
    return data


def _require_seen(path: Path, index: HomeIndex, data: bytes, locator: str) -> None:
    """Refuse a release that is older than one that was used here, and note this one.

    A machine that has just been made has seen nothing: for it the release's expiry is the limit.
    """
    with _on_disk(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path):  # or a slower process would put back what it saw
            if _is_newer(path, index, sha256_bytes(data).hex, locator):
                now = {"version": index.version, "index": sha256_bytes(data).hex}
                write_atomically(path, json.dumps(now, sort_keys=True).encode())


def _is_newer(path: Path, index: HomeIndex, digest: str, locator: str) -> bool:
    """Return whether a release is newer than the one that was used here."""
    raw = _content(path)
    if raw is None:
        return True
    try:
        seen = json.loads(raw)
        version, before = int(seen["version"]), str(seen["index"])
    except (ValueError, KeyError, TypeError):
        raise SystemTrouble(
            "what was seen of the published home cannot be read",
            locator=str(path),
            next_step="Find out who wrote it; then remove it.",
        ) from None
    if index.version < version or (index.version == version and digest != before):
        raise Rollback(
            "the published home is not the one that was used here before",
            locator=locator,
            expected=f"version {version} or later",
            got=f"version {index.version}",
            next_step="Find out who put an older release back, and publish a new one. If the "
            f"store was begun anew on purpose, remove {path}.",
        )
    return index.version > version


def _require_only(index: HomeIndex, root: Path) -> None:
    """Refuse a snapshot that holds more than its release: whoever lists it would believe that."""
    for directory, _, names in os.walk(root):
        for name in names:
            path = (Path(directory) / name).relative_to(root).as_posix()
            if path not in index.documents:
                raise ManifestMismatch(
                    "the copy of the published home holds a file that is not of its release",
                    locator=str(root / path),
                    next_step="Find out who wrote it; then remove the copy.",
                )


def _kept(path: Path, digest: Digest) -> bytes | None:
    """Return the bytes of a copy; None where there is none, or one of other bytes."""
    data = _content(path)
    return data if data is not None and sha256_bytes(data) == digest else None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from error


def _write(path: Path, data: bytes) -> None:
    with _on_disk(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.unlink()
        write_atomically(path, data)


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> SystemTrouble:
    return SystemTrouble(
        "the copy of the published home cannot be kept here",
        locator=str(path),
        got=error.strerror or type(error).__name__,
        next_step="Name a directory that this user can write: [sluicegate] home_cache.",
    )
