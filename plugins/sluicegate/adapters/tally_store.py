"""Where tasks leave their tallies for the gate: a directory that they share, or an object store.

Nothing here is trusted: the gate holds each tally against its signature.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.sources.connection import filesystem_of
from sluicegate.adapters.sources.open import file_system
from sluicegate.attest.tally import MAX_BYTES, MAX_HEAD_BYTES
from sluicegate.credentials import without_credentials
from sluicegate.errors import ConfigError, EvidenceMissing, MalformedEnvelope, SystemTrouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TallyStore:
    """Files below one place.

    Attributes:
        place: Absolute path, or URL without credentials.
        filesystem: An fsspec file system with its credentials.
        root: Path inside it.
    """

    place: str
    filesystem: Any = field(repr=False, compare=False)
    root: str

    @classmethod
    def open(cls, place: str, conn_id: str | None = None) -> TallyStore:
        """Open a place; nothing is read yet.

        Args:
            place: Absolute path of a directory that all tasks see, or a URL of any protocol that
                fsspec knows.
            conn_id: Airflow connection with the credentials of a store.

        Raises:
            ConfigError: It is relative, of an unknown protocol, or holds credentials.
        """
        place = place.rstrip("/")
        if without_credentials(place) != place or not ("://" in place or Path(place).is_absolute()):
            raise ConfigError(
                "is no place for tallies",
                locator="tallies",
                expected="an absolute path, or a URL without credentials",
                got=place,
            )
        url = place if "://" in place else f"file://{place}"
        return cls(place, *file_system(url, filesystem_of(place, conn_id), {}, thing="tallies"))

    def write(self, name: str, data: bytes) -> str:
        """Put a tally, and return its location. One that is written again is the same.

        Args:
            name: Path below the place.
            data: The whole file.

        Raises:
            SystemTrouble: The store does not take it.
        """
        path = f"{self.root}/{name}"

        def put() -> None:
            if self._local:
                self.filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.filesystem.pipe_file(path, data)

        self._asked(name, put)
        return f"{self.place}/{name}"

    def head(self, location: str) -> bytes:
        """Return the first line of a tally, at most `MAX_HEAD_BYTES` and one.

        Raises:
            EvidenceMissing: There is no such file.
            SystemTrouble: The store does not answer.
        """
        return self._read(location, MAX_HEAD_BYTES + 1).partition(b"\n")[0]

    def read(self, location: str) -> bytes:
        """Return a tally.

        Raises:
            EvidenceMissing: There is no such file.
            MalformedEnvelope: It is too large.
            SystemTrouble: The store does not answer.
        """
        data = self._read(location, MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise MalformedEnvelope(
                "tally is too large", locator=location, expected=f"at most {MAX_BYTES} bytes"
            )
        return data

    def _read(self, location: str, most: int) -> bytes:
        name = location.removeprefix(f"{self.place}/")
        if name == location or ".." in name.split("/"):
            raise ConfigError(
                "the tally lies in another place than this run's",
                locator=location,
                expected=f"below {self.place}",
            )

        def get() -> bytes:
            with self.filesystem.open(f"{self.root}/{name}", "rb") as file:
                return bytes(file.read(most))

        return self._asked(name, get)

    @property
    def _local(self) -> bool:
        return "file" in self.filesystem.protocol

    def _asked(self, name: str, step: Callable[[], T]) -> T:
        try:
            return step()
        except FileNotFoundError:
            raise EvidenceMissing(
                "there is no such tally",
                locator=f"{self.place}/{name}",
                next_step="Run the task that counts this portion again.",
            ) from None
        except Exception as error:  # noqa: BLE001 - every store has its own exceptions
            raise SystemTrouble(
                "the store of tallies does not answer",
                locator=f"{self.place}/{name}",
                got=type(error).__name__,
                next_step="Check that it exists, the credentials and the network.",
            ) from None  # its text may quote a signed URL
