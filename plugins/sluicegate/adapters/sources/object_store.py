"""Objects of any store that fsspec speaks: S3, Google, Azure, HTTP, and Airflow's object storage.

The manifest of a prefix is the manifest of a directory with the same files, so a batch keeps its
identity when it is uploaded or downloaded. A store cannot hold a file open against changes. So
what the store says of each object (entity tag, size, version, time) is read before the first byte
and again after the last one, and must be the same. Those tags are never used as digests: an S3
entity tag is MD5 or, for a multipart upload, not even that.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from sluicegate.adapters.files.table_layouts import PEEK_BYTES
from sluicegate.digest.algorithms import SHA256, content_digest, shard_bytes
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.manifest import Manifest
from sluicegate.digest.names import SINGLE_FILE, check_paths, require_shard_names
from sluicegate.digest.verified_copy import copy_stream
from sluicegate.digest.verified_file import refuse_mismatch
from sluicegate.digest.verified_ranges import VerifiedRanges
from sluicegate.errors import ChangedDuringRead, SluicegateError, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.digest.manifest import FileEntry
    from sluicegate.digest.scan import HashedFile

_BLOCK_BYTES: Final = 8 * 1024 * 1024  # length of a ranged GET, and memory of each thread
_THREADS: Final = 8  # requests in flight: they hide latency, and any store bears them
# Names for a version in S3, Google, Azure, HTTP, local and memory file systems.
_VERSION_KEYS: Final = (
    "ETag", "etag", "md5Hash", "content_md5", "generation", "VersionId", "version_id",
    "LastModified", "last_modified", "updated", "mtime", "Last-Modified",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as its store lists it.

    Attributes:
        key: Path inside the file system.
        size_bytes: Length.
        version: All that the store says of the object that changes with it.
    """

    key: str
    size_bytes: int
    version: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """One object, or every object below a prefix.

    Attributes:
        filesystem: An fsspec file system with its credentials, which `repr` leaves out.
        path: Path inside it, without protocol.
        location: URL without credentials.
    """

    filesystem: Any = field(repr=False)
    path: str
    location: str

    def names(self) -> list[str]:
        """List the objects."""
        return sorted(self._list())

    def sizes(self) -> dict[str, int]:
        """List the objects."""
        return {name: stored.size_bytes for name, stored in self._list().items()}

    @property
    def place(self) -> None:
        """None: the objects are not on this machine."""
        return

    def peek(self, name: str) -> bytes:
        """Return how one object begins, or nothing on an error; a whole read says what is wrong."""
        with suppress(Exception):
            return bytes(self.filesystem.cat_file(self._key(name), start=0, end=PEEK_BYTES))
        return b""

    def glance(self, name: str) -> BinaryIO:
        """Open one object; what is not read is not fetched."""
        with self._errors(self._name(name)):
            return cast("BinaryIO", self.filesystem.open(self._key(name), "rb"))

    def manifest(self, algorithm: str = SHA256) -> Manifest:
        """Read and hash each object once.

        Raises:
            ChangedDuringRead: The listing after the last read differs from the one before.

        Cost: one download of everything, 8 requests in flight, 8 MiB of memory for each.
        """
        before = self._list()
        if shard_bytes(algorithm):
            require_shard_names(before)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="sluicegate-store") as pool:
            files = sorted(pool.map(partial(self._hash, algorithm), before.items()))
        after = self._list()
        if before != after:
            changed = sorted(n for n in before.keys() | after if before.get(n) != after.get(n))
            self._refuse_changed(changed)
        return Manifest(tuple(files), algorithm)

    def read_verified(self, entry: FileEntry) -> bytes:
        """Read one object into memory."""
        return bytes(self.view_verified(entry))

    def view_verified(self, entry: FileEntry) -> memoryview:
        """Read one object for a parser."""
        data = bytearray(entry.size_bytes)
        algorithm = entry.digest.algorithm
        hasher = hasher_of(algorithm)()
        n_read = 0
        with self._reading(entry) as read_into:
            view = memoryview(data)
            while n_read < entry.size_bytes:
                n = read_into(view[n_read : n_read + _BLOCK_BYTES])
                if not n:
                    break
                hasher.update(view[n_read : n_read + n])
                n_read += n
        found = content_digest(algorithm, hasher.hexdigest())
        if n_read != entry.size_bytes or found != entry.digest:
            refuse_mismatch(self._name(entry.path), entry.digest.short, found.short)
        return memoryview(data).toreadonly()

    def copy_verified(self, entry: FileEntry) -> BinaryIO:
        """Download one object to private disk."""
        with self._reading(entry) as read_into:
            return copy_stream(read_into, entry, self._name(entry.path))

    @contextmanager
    def ranges_verified(self, entry: FileEntry) -> Iterator[VerifiedRanges]:
        """Open one object; what is not read is not fetched."""
        key, name = self._key(entry.path), self._name(entry.path)

        def fetch(start: int, end: int) -> bytes:
            with self._errors(name):
                return bytes(self.filesystem.cat_file(key, start=start, end=end))

        before = self._sealed_info(entry)
        with VerifiedRanges(entry, fetch, name, n_threads=_THREADS) as file:
            yield file
        self._require_same(before, entry)

    def _list(self) -> dict[str, StoredObject]:
        with self._errors(self.location):
            self.filesystem.invalidate_cache()
            if self.filesystem.isfile(self.path):
                return {SINGLE_FILE: _stored(self.path, self.filesystem.info(self.path))}
            listed = self.filesystem.find(self.path, detail=True)
        prefix = f"{self.path.rstrip('/')}/"
        found = {
            key.removeprefix(prefix): _stored(key, info)
            for key, info in listed.items()
            if info.get("type") != "directory" and not (key.endswith("/") and not info["size"])
        }
        if not found:
            raise UnreadableData(
                "holds no object",
                locator=self.location,
                next_step="Check the URL and its credentials; an empty source cannot be sealed.",
            )
        check_paths(sorted(found), locator=self.location)
        return found

    def _hash(self, algorithm: str, item: tuple[str, StoredObject]) -> HashedFile:
        name, stored = item
        hasher = hasher_of(algorithm)()
        n_read = 0
        with self._errors(self._name(name)), self._open(stored.key) as file:
            while n_read <= stored.size_bytes and (block := file.read(_BLOCK_BYTES)):
                hasher.update(block)
                n_read += len(block)
        if n_read != stored.size_bytes:
            self._refuse_changed([name])
        return name, hasher.hexdigest(), n_read

    @contextmanager
    def _reading(self, entry: FileEntry) -> Iterator[Any]:
        """Open an object, and refuse it if the store describes it otherwise after the read."""
        key, name = self._key(entry.path), self._name(entry.path)
        before = self._sealed_info(entry)
        with self._errors(name), self._open(key) as file:
            yield _reader(file)
        self._require_same(before, entry)

    def _sealed_info(self, entry: FileEntry) -> StoredObject:
        name = self._name(entry.path)
        with self._errors(name):
            found = self._info(self._key(entry.path))
        if found.size_bytes != entry.size_bytes:
            refuse_mismatch(name, f"{entry.size_bytes} bytes", f"{found.size_bytes} bytes")
        return found

    def _require_same(self, before: StoredObject, entry: FileEntry) -> None:
        with self._errors(self._name(entry.path)):
            if self._info(self._key(entry.path)) != before:
                self._refuse_changed([entry.path])

    def _info(self, key: str) -> StoredObject:
        # The listing cache would answer with the state before the read.
        self.filesystem.invalidate_cache()
        return _stored(key, self.filesystem.info(key))

    def _open(self, key: str) -> Any:
        return self.filesystem.open(key, "rb", block_size=_BLOCK_BYTES, cache_type="none")

    def _key(self, path: str) -> str:
        return self.path if path == SINGLE_FILE else f"{self.path.rstrip('/')}/{path}"

    def _name(self, path: str) -> str:
        return self.location if path == SINGLE_FILE else f"{self.location.rstrip('/')}/{path}"

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except SluicegateError:
            raise
        except Exception as error:  # noqa: BLE001 - every store has its own exceptions
            # The text of such an exception may quote a signed URL.
            raise UnreadableData(
                "the store did not deliver it",
                locator=ascii(name)[1:-1],
                got=type(error).__name__,
                next_step="Check that it exists, the credentials and the network.",
            ) from None

    def _refuse_changed(self, names: list[str]) -> None:
        raise ChangedDuringRead(
            "changed while it was read",
            locator=", ".join(ascii(self._name(name))[1:-1] for name in names[:3]),
            expected="the same entity tag, size and version before and after",
            next_step="Stop the writer, then run again.",
        )


def _stored(key: str, info: Mapping[str, Any]) -> StoredObject:
    size = info.get("size")
    if not isinstance(size, int):
        raise UnreadableData("the store does not say how long it is", locator=ascii(key)[1:-1])
    return StoredObject(key, size, tuple(f"{k}={info[k]}" for k in _VERSION_KEYS if k in info))


def _reader(file: Any) -> Any:
    def read_into(view: memoryview) -> int:
        block = file.read(len(view))
        view[: len(block)] = block
        return len(block)

    return read_into
