"""Where a home is published: objects under their digests, and one object for each release.

    objects/<sha256>       a document or an index; never changed, never deleted
    index/<8 digits>.json  a release; made once, by whoever is first

Nothing here is trusted. The reader holds each object against a digest, and an index against a pin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sluicegate.adapters.sources.connection import filesystem_of
from sluicegate.adapters.sources.open import file_system
from sluicegate.attest.predicates import is_connection
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import ConfigError, DigestMismatch, EvidenceMissing, SystemTrouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HomeStore:
    """A place below a URL.

    Attributes:
        location: URL without the connection's id.
        filesystem: An fsspec file system with its credentials.
        root: Path inside it, without protocol.
    """

    location: str
    filesystem: Any = field(repr=False, compare=False)
    root: str

    @classmethod
    def open(cls, url: str) -> HomeStore:
        """Open the store that a URL names; nothing is read yet.

        Args:
            url: ``s3://CONNECTION@bucket/prefix``, as Airflow's object storage writes it; without
                a connection the store's own library looks for credentials.

        Raises:
            ConfigError: No such protocol or connection, or a password in the URL.
        """
        parts = urlsplit(url.strip())
        connection, named, host = parts.netloc.rpartition("@")
        behind = f"{parts.path}{parts.query}{parts.fragment}"
        if (named and not is_connection(connection)) or "@" in behind or "?" in url or "#" in url:
            raise ConfigError(
                "is no URL of a home, or holds more than the id of a connection",
                locator="[sluicegate] home",
                expected="PROTOCOL://CONNECTION@bucket/prefix",
            )
        location = parts._replace(netloc=host).geturl().rstrip("/")
        given = filesystem_of(location, connection or None)
        return cls(location, *file_system(location, given, {}, thing="home"))

    def document(self, digest: Digest, what: str) -> bytes:
        """Return the bytes with this digest.

        Args:
            digest: SHA-256.
            what: Path or kind of the document, for messages.

        Raises:
            EvidenceMissing: The store has no such object.
            DigestMismatch: The object has other bytes.
            SystemTrouble: The store does not answer.
        """
        data = self.read(f"objects/{digest.hex}")
        if data is None:
            raise EvidenceMissing(
                "a document of the published home is missing",
                locator=f"{self.location}: {what}",
                expected=digest.short,
                next_step="Publish it again with `sluicegate home push`, or check home_pin.",
            )
        if sha256_bytes(data) != digest:
            raise DigestMismatch(
                "a document of the published home was changed",
                locator=f"{self.location}: {what}",
                expected=digest.short,
                got=sha256_bytes(data).short,
                next_step="Find out who can write the store, and publish the home again.",
            )
        return data

    def keep(self, data: bytes) -> Digest:
        """Put bytes under their digest, unless they are there.

        Raises:
            SystemTrouble: The store does not take them.
        """
        digest = sha256_bytes(data)
        path = f"objects/{digest.hex}"
        if self.read(path) != data:
            self._asked(lambda: self._write(path, data))
        return digest

    def newest(self) -> tuple[int, bytes] | None:
        """Return the number and the index of the newest release; None if there is none.

        Raises:
            SystemTrouble: The store does not answer.
        """
        self.filesystem.invalidate_cache()
        folder = f"{self.root}/index"
        try:
            names = self._asked(lambda: self.filesystem.ls(folder, detail=False))
        except FileNotFoundError:
            return None
        stems = [str(name).rpartition("/")[2].removesuffix(".json") for name in names]
        numbers = [int(stem) for stem in stems if len(stem) == 8 and stem.isdecimal()]
        if not numbers:
            return None
        data = self.read(f"index/{max(numbers):08}.json")
        return (max(numbers), data or b"")

    def release(self, number: int, data: bytes) -> bool:
        """Make a release, if nobody has made one of this number.

        Args:
            number: Its version.
            data: The index.

        Returns:
            Whether it is ours now.

        Raises:
            SystemTrouble: The store does not answer.
        """
        path = f"index/{number:08}.json"
        try:
            self._asked(lambda: self._write(path, data, mode="create"))
        except (FileExistsError, SystemTrouble):
            if self.read(path) is None:
                raise
        return self.read(path) == data

    def refuses_to_overwrite(self, number: int, data: bytes) -> bool:
        """Return whether the store keeps two administrators apart: it refuses a second writing.

        Args:
            number: Version of a release that is there.
            data: Its bytes; written again where the store does not refuse.

        Raises:
            SystemTrouble: The store does not answer, which is no refusal.
        """
        path = f"index/{number:08}.json"
        try:
            self._asked(lambda: self._write(path, data, mode="create"))
        except FileExistsError:
            return True
        except SystemTrouble:  # a store's own words for "it is there", unless it answers nothing
            return self.read(path) is not None
        return False

    def read(self, path: str) -> bytes | None:
        """Return an object, or None if there is none.

        Raises:
            SystemTrouble: The store does not answer.
        """
        try:
            return bytes(self._asked(lambda: self.filesystem.cat_file(f"{self.root}/{path}")))
        except FileNotFoundError:
            return None

    def _write(self, path: str, data: bytes, mode: str = "overwrite") -> None:
        full = f"{self.root}/{path}"
        if "file" in _protocols(self.filesystem):
            self.filesystem.makedirs(full.rpartition("/")[0], exist_ok=True)
        self.filesystem.pipe_file(full, data, mode=mode)

    def _asked(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # noqa: BLE001 - every store has its own exceptions
            raise SystemTrouble(
                "the store of the home does not answer",
                locator=self.location,
                got=type(error).__name__,
                next_step="Check that it exists, the credentials and the network.",
            ) from None  # its text may quote a signed URL


def _protocols(filesystem: Any) -> tuple[str, ...]:
    found = filesystem.protocol
    return (found,) if isinstance(found, str) else tuple(found)
