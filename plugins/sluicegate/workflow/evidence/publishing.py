"""What an administrator does with a home in a store: publish a directory, fetch it, compare them.

A directory remembers of which release it is the copy. Whoever publishes names that release as the
one before, and the store takes only one successor of it. So nobody undoes another's change unseen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.adapters.files.named_file import read_named, write_named
from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest.home_index import FLOOR, TRUST, HomeIndex, is_document
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import SHA256, Digest, sha256_bytes
from sluicegate.errors import ConfigError, EvidenceMissing, SluicegateError
from sluicegate.file_access import require_safe
from sluicegate.workflow.evidence.opening import read_trust_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from sluicegate.adapters.home_store import HomeStore
    from sluicegate.attest.keys import Signer
    from sluicegate.workflow.evidence.home import SluiceHome

BASE_FILE: Final = ".published.json"
"""Of which release a home directory is the copy."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A release that was made.

    Attributes:
        index: What it holds.
        digest: Digest of its index file.
        trust: Digest of its trust policy.
        signed: Whether root keys signed it; without, only a pin of the index admits it.
        exclusive: Whether the store refuses a second release of the same number.
    """

    index: HomeIndex
    digest: Digest
    trust: Digest
    signed: bool
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """How a directory differs from a release.

    Attributes:
        added: Documents only in the directory.
        changed: Documents with other bytes.
        removed: Documents only in the release.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def documents_of(home: SluiceHome) -> dict[str, bytes]:
    """Return what of a home directory is published, by path; no key, no ledger.

    Args:
        home: A directory.

    Raises:
        ConfigError: A file of it cannot be read.
    """
    found = {}
    if home.memory.exists():
        found[FLOOR] = read_named(home.memory, "what is remembered cannot be read")
    for path in sorted(home.root.rglob("*")):
        name = path.relative_to(home.root).as_posix()
        # The memory lies beside the home, so a file of its name in the home is somebody else's.
        if name != FLOOR and is_document(name) and path.is_file():
            found[name] = read_named(path, "a document of the home cannot be read")
    return found


def push(
    home: SluiceHome,
    store: HomeStore,
    *,
    signers: Sequence[Signer],
    at: datetime,
    ttl: timedelta,
    over: int | None = None,
) -> Pushed:
    """Publish a home directory as the next release.

    Args:
        home: A directory; its trust policy and policy must be usable.
        store: Where to.
        signers: Root keys of its trust policy; none if it names none.
        at: Aware UTC.
        ttl: How long the release may be used.
        over: Number of the newest release, which is replaced although this directory is no copy
            of it; None to replace only what this directory is a copy of.

    Raises:
        ConfigError: The newest release is another one, or the keys do not suffice.
        VerificationError: The trust policy is not signed as it must be.
        SystemTrouble: The store does not answer.
    """
    home.require_directory("a release")
    require_safe(home.root, home.trust, home.policy)
    file = read_trust_file(home.trust)
    read_policy(home.policy)
    documents = documents_of(home)
    before = store.newest()
    base = _base(home)
    if before is not None and over != before[0] and base != (before[0], sha256_bytes(before[1])):
        raise _overtaken(store, before[0])
    if before is None and over is not None:
        raise ConfigError("there is no release to replace", locator=store.location, got=str(over))
    index = HomeIndex(
        version=1 if before is None else before[0] + 1,
        previous=None if before is None else sha256_bytes(before[1]),
        published=at,
        expires=min(at + ttl, file.policy.expires),
        documents={path: sha256_bytes(data) for path, data in documents.items()},
    )
    data = index.signed(signers)
    if Role.ROOT in file.policy.roles:
        read = HomeIndex.from_bytes(data, locator="the new index")
        read.require_signed(file.policy, locator="the new index")
    elif signers:
        raise ConfigError(
            "the trust policy names no root keys, so nobody could check the signature",
            locator=str(home.trust),
        )
    for content in documents.values():
        store.keep(content)
    digest = store.keep(data)
    if not store.release(index.version, data):
        raise _overtaken(store, index.version)
    exclusive = store.refuses_to_overwrite(index.version, data)
    _note(home, index.version, digest)
    return Pushed(index, digest, index.documents[TRUST], bool(signers), exclusive)


def pull(
    home: SluiceHome, store: HomeStore, index: HomeIndex, data: bytes, *, discard: bool
) -> Difference:
    """Make a directory the copy of a release.

    Args:
        home: The directory; it need not exist. Keys, ledger and memory stay as they are.
        store: Where the release is.
        index: The release, verified.
        data: Bytes of its index file.
        discard: Whether documents may be overwritten that are no copies of an earlier release.

    Returns:
        What was different before.

    Raises:
        ConfigError: The directory holds changes that were never published.
        EvidenceMissing: The store lacks a document.
        DigestMismatch: The store has another one.
    """
    home.require_directory("a release")
    found = {
        path: content
        for path, digest in index.documents.items()
        if path != FLOOR and (content := store.document(digest, path))
    }
    here = {path: body for path, body in documents_of(home).items() if path != FLOOR}
    different = difference(here, index)
    touched = {*different.changed, *different.added}
    known = _known(home, store)
    own = sorted(path for path in touched if known.get(path) != sha256_bytes(here[path]))
    if own and not discard:
        raise ConfigError(
            "the directory holds changes that were never published",
            locator=f"{home.root}: {', '.join(own[:3])}",
            got=f"{len(own)} documents",
            next_step="Publish them, keep them elsewhere, or add --discard.",
        )
    for path in different.added:
        (home.root / path).unlink()
    for path in (*different.changed, *different.removed):
        place = home.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        write_named(place, found[path], "a document of the home cannot be written")
    _note(home, index.version, sha256_bytes(data))
    return different


def difference(here: Mapping[str, bytes], index: HomeIndex) -> Difference:
    """Compare a directory with a release; what is remembered is no difference.

    Args:
        here: From `documents_of`.
        index: The release.
    """
    mine = {path: sha256_bytes(data) for path, data in here.items() if path != FLOOR}
    theirs = {path: digest for path, digest in index.documents.items() if path != FLOOR}
    return Difference(
        tuple(sorted(mine.keys() - theirs.keys())),
        tuple(sorted(p for p in mine.keys() & theirs.keys() if mine[p] != theirs[p])),
        tuple(sorted(theirs.keys() - mine.keys())),
    )


def pins_of(pushed: Pushed) -> Iterator[tuple[str, str]]:
    """Yield each pin that admits a release, and what it means."""
    if pushed.signed:
        yield f"trust:{pushed.trust.hex}", "this release and what its root keys sign after it"
    yield f"index:{pushed.digest.hex}", "this release only"


def _known(home: SluiceHome, store: HomeStore) -> Mapping[str, Digest]:
    """Return the documents of the release that a directory is a copy of."""
    base = _base(home)
    if base is None:
        return {}
    try:
        data = store.document(base[1], "the release before")
        return HomeIndex.from_bytes(data, locator=store.location).documents
    except EvidenceMissing:
        return {}


def _base(home: SluiceHome) -> tuple[int, Digest] | None:
    try:
        noted = json.loads((home.root / BASE_FILE).read_bytes())
        return int(noted["version"]), Digest(SHA256, noted["index"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, SluicegateError) as error:
        raise ConfigError(
            "the note of the release that this directory is a copy of cannot be read",
            locator=str(home.root / BASE_FILE),
            got=type(error).__name__,
            next_step="Remove it, and pull into a new directory.",
        ) from error


def _note(home: SluiceHome, version: int, index: Digest) -> None:
    noted = json.dumps({"version": version, "index": index.hex}, sort_keys=True)
    place = home.root / BASE_FILE
    write_named(place, noted.encode(), "the note of the release cannot be written")


def _overtaken(store: HomeStore, version: int) -> ConfigError:
    return ConfigError(
        "the newest release is not the one that this directory is a copy of",
        locator=store.location,
        got=f"version {version}",
        next_step="Compare with `sluicegate home diff`; pull into another directory and make the "
        f"change there, or replace that release with --over {version}.",
    )
