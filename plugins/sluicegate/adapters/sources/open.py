"""Open the source that a location names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.sources.local import (
    GLOB_SCHEME,
    GlobFiles,
    LocalFiles,
    has_wildcard,
    real_place,
    sealed_place,
)
from sluicegate.adapters.sources.protocol import CROISSANT_SCHEME
from sluicegate.credentials import without_credentials
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.adapters.sources.protocol import ByteSource, Source

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def open_source(
    location: str | Path,
    *,
    filesystem: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    follow: bool = True,
) -> ByteSource:
    """Open a file, directory, glob, or prefix of an object store.

    Args:
        location: Path; path with wildcards; ``glob:PATTERN``; ``croissant:FILE``; or a URL of
            any protocol that fsspec knows (``s3://``, ``gs://``, ``abfs://``, ``https://``, ``file://``).
        filesystem: An fsspec file system that already holds its credentials, as Airflow's
            object storage gives one for a connection; or a function that returns one for the
            location. None makes one.
        storage_options: fsspec's arguments for making one, such as keys and endpoint.
        follow: Go to where a directory on this machine lies if it is reached through a link. Not
            for a sealed location: a seal names the place itself, so a link there is new.

    Returns:
        The source; nothing has been read.

    Raises:
        ConfigError: The protocol is unknown, its library is not installed, or the location holds
            credentials, which provenance would show to all.
    """
    text = str(location)
    scheme = _SCHEME.match(text)
    if text.startswith(CROISSANT_SCHEME):
        from sluicegate.adapters.sources.croissant import CroissantFiles

        document = Path(text.removeprefix(CROISSANT_SCHEME))
        return CroissantFiles(real_place(document) if follow else document)
    if text.startswith(GLOB_SCHEME):
        return _glob(text.removeprefix(GLOB_SCHEME), follow)
    if scheme is None or scheme[1] in {"file", "local"}:
        path = text if scheme is None else text[scheme.end() :]
        # If a file has this very name, its star is no wildcard.
        if has_wildcard(path) and not Path(path).exists():
            return _glob(path, follow)
        return LocalFiles((real_place if follow else sealed_place)(Path(path)))
    if without_credentials(text) != text:
        raise ConfigError(
            "the locator holds credentials",
            locator=text,  # without them, as in every error
            next_step="Pass them as storage options or through an Airflow connection.",
        )
    return _open_store(text, filesystem, dict(storage_options or {}))


def open_any(location: str | Path, *, filesystem: Any = None) -> Source:
    """Open files or rows.

    Args:
        location: As for `open_source`, or a location of rows (see rows.py).
        filesystem: As for `open_source`; for a database, its URL with user and password.

    Raises:
        ConfigError: As `open_source` or `open_rows`.
    """
    from sluicegate.adapters.sources.rows import is_rows, open_rows

    if is_rows(str(location)):
        return open_rows(str(location), url=filesystem, follow=True)
    return open_source(location, filesystem=filesystem)


def _glob(pattern: str, follow: bool) -> GlobFiles:
    found = GlobFiles.parse(pattern)
    return GlobFiles(real_place(found.base), found.pattern) if follow else found


def _open_store(url: str, filesystem: Any, options: dict[str, Any]) -> ByteSource:
    from sluicegate.adapters.sources.object_store import StoreFiles

    if callable(filesystem):
        filesystem = filesystem(url)
    return StoreFiles(*file_system(url, filesystem, options, thing="locator"), url.rstrip("/"))


def file_system(url: str, given: Any, options: Mapping[str, Any], *, thing: str) -> tuple[Any, str]:
    """Return an fsspec file system for a URL, and the path of the URL in it.

    Args:
        url: Of any protocol that fsspec knows.
        given: A file system with its credentials; None makes one.
        options: fsspec's arguments for making one.
        thing: What the URL is, for the message.

    Raises:
        ConfigError: The protocol is unknown, or its library is not installed.
    """
    if given is not None:
        return given, str(given._strip_protocol(url))  # noqa: SLF001 - fsspec's documented hook for this
    from fsspec.core import url_to_fs

    try:
        made, path = url_to_fs(url, **options)
    except (ImportError, ValueError, TypeError) as error:
        raise ConfigError(
            f"no file system for this {thing}",
            locator=url,
            got=type(error).__name__,
            next_step="Install its fsspec package, e.g. pip install 'sluicegate[s3]'.",
        ) from None  # the text of the cause may quote the URL
    return made, str(path)
