"""Croissant metadata: enforce the sha256 of each file that it names, and write it for a seal.

Source: MLCommons Croissant format specification 1.0, sections "FileObject" and "FileSet".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import quote, unquote, urlsplit

from sluicegate.adapters.files.table_layouts import peek_at
from sluicegate.adapters.sources.local import opened, sizes_at
from sluicegate.adapters.sources.protocol import CROISSANT_SCHEME
from sluicegate.adapters.sources.url_list import SCHEMES, UrlItem, check_url
from sluicegate.digest.algorithms import SHA256, Digest
from sluicegate.digest.canonical import loads
from sluicegate.digest.file_hash import hash_file
from sluicegate.digest.manifest import FileEntry, Manifest
from sluicegate.digest.names import SINGLE_FILE, check_paths
from sluicegate.digest.verified_copy import copy_verified
from sluicegate.digest.verified_file import read_verified, refuse_mismatch, view_verified
from sluicegate.digest.verified_ranges import ranges_verified
from sluicegate.errors import ConfigError, MalformedEnvelope, SluicegateError, UnreadableData

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

    from sluicegate.digest.verified_ranges import VerifiedRanges

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.0"

_FILE_OBJECT: Final = {
    "cr:FileObject",
    "sc:FileObject",
    "FileObject",
    "http://mlcommons.org/croissant/FileObject",
}
_FILE_SET: Final = {"cr:FileSet", "sc:FileSet", "FileSet", "http://mlcommons.org/croissant/FileSet"}
_FORMATS: Final = {
    ".csv": "text/csv", ".json": "application/json", ".jsonl": "application/jsonlines",
    ".parquet": "application/x-parquet", ".txt": "text/plain", ".zip": "application/zip",
}  # fmt: skip
# The specification's section "Croissant context", without the terms that are not used here.
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "sc": "https://schema.org/",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CroissantFile:
    """One FileObject that is fetched itself, not extracted from another.

    Attributes:
        url: ``contentUrl`` as written: absolute, or relative to the Croissant file.
        digest: The sha256 that its bytes must have.
    """

    url: str
    digest: Digest

    @property
    def path(self) -> str:
        """The file's path in the manifest of the source."""
        parts = urlsplit(self.url)
        return unquote(parts.path.rpartition("/")[2] if parts.scheme else parts.path)


def read_croissant(data: bytes, *, locator: str) -> tuple[CroissantFile, ...]:
    """Read which files a Croissant document promises.

    Args:
        data: JSON-LD.
        locator: Where it came from, for messages.

    Returns:
        Files in the order of the document; files inside an archive are left out, because the
        archive's digest covers them.

    Raises:
        MalformedEnvelope: The document is not Croissant, a file has no sha256, or a set of files
            lies in no FileObject: what is not promised cannot be enforced.
        UnsafePath: A name that no manifest may hold.
    """
    match loads(data, locator=locator):
        case {"distribution": [*parts]} if parts and all(isinstance(part, dict) for part in parts):
            pass
        case _:
            raise MalformedEnvelope("is not a Croissant with a distribution", locator=locator)
    files = [file for part in parts if (file := _file(part, locator)) is not None]
    if not files:
        raise MalformedEnvelope("Croissant names no file", locator=locator)
    names = [file.path for file in files]
    if len(set(names)) != len(names):
        raise MalformedEnvelope("Croissant names two files alike", locator=locator)
    check_paths(names, locator=locator)
    return tuple(files)


def _file(part: dict[str, Any], locator: str) -> CroissantFile | None:
    # In JSON-LD a type may be a list or an object; neither is the type of a single file.
    kind, name = str(part.get("@type")), ascii(part.get("@id") or part.get("name"))[:80]
    if part.get("containedIn"):
        return None  # its archive's digest covers it
    if kind in _FILE_SET:
        raise MalformedEnvelope(
            "no file with a sha256 holds this set of files", locator=f"{locator} {name}"
        )
    url, value = part.get("contentUrl"), part.get("sha256")
    if kind not in _FILE_OBJECT or not isinstance(url, str):
        raise MalformedEnvelope(
            "is not a FileObject with a contentUrl", locator=f"{locator} {name}"
        )
    if not isinstance(value, str):
        raise MalformedEnvelope("file has no sha256", locator=f"{locator} {name}")
    try:
        if urlsplit(url).scheme:
            check_url(url)
        return CroissantFile(url, Digest(SHA256, value.lower()))
    except (SluicegateError, ValueError) as error:
        what = error.what if isinstance(error, SluicegateError) else "contentUrl is not a URL"
        raise MalformedEnvelope(what, locator=f"{locator} {name}") from None


def url_items(files: tuple[CroissantFile, ...]) -> tuple[UrlItem, ...]:
    """Return the files that are fetched over HTTP, as `take_snapshot` takes them."""
    remote = (file for file in files if urlsplit(file.url).scheme in SCHEMES)
    return tuple(UrlItem(file.url, file.digest, file.path) for file in remote)


@dataclass(frozen=True, slots=True)
class CroissantFiles:
    """The files that lie beside a Croissant document, with the digests it promises.

    Attributes:
        document: Path of the JSON-LD file.
    """

    document: Path

    @property
    def location(self) -> str:
        """``croissant:`` and the absolute path of the document."""
        return f"{CROISSANT_SCHEME}{self.document.resolve()}"

    def names(self) -> list[str]:
        """List the promised files."""
        return sorted(self._promised())

    def sizes(self) -> dict[str, int]:
        """Look at the promised files."""
        return sizes_at(self.document.parent, self._promised())

    @property
    def place(self) -> Path:
        """Where they lie."""
        return self.document

    def peek(self, name: str) -> bytes:
        """Return the begin of one file."""
        return peek_at(self.document.parent / name)

    def glance(self, name: str) -> BinaryIO:
        """Open one file."""
        return opened(self.document.parent / name)

    def manifest(self, algorithm: str = SHA256) -> Manifest:
        """Hash each promised file.

        Raises:
            ConfigError: The algorithm is not sha256, which the document uses.
            DigestMismatch: A file has another sha256 than the document promises.
        """
        if algorithm != SHA256:
            raise ConfigError(
                "a Croissant file promises SHA-256", locator=self.location, got=algorithm
            )
        entries = []
        for path, digest in self._promised().items():
            value, n_bytes = hash_file(self.document.parent / path, path)
            if value != digest.hex:
                refuse_mismatch(path, f"{digest.short} as its Croissant promises", value[:12])
            entries.append(FileEntry(path, digest, n_bytes))
        return Manifest.from_entries(entries)

    def read_verified(self, entry: FileEntry) -> bytes:
        """Read one file into memory."""
        return read_verified(self.document.parent / entry.path, entry)

    def view_verified(self, entry: FileEntry) -> memoryview:
        """Read one file for a parser."""
        return view_verified(self.document.parent / entry.path, entry)

    def copy_verified(self, entry: FileEntry) -> BinaryIO:
        """Copy one file to private disk."""
        return copy_verified(self.document.parent / entry.path, entry)

    def ranges_verified(self, entry: FileEntry) -> AbstractContextManager[VerifiedRanges]:
        """Open one file."""
        return ranges_verified(self.document.parent / entry.path, entry)

    def _promised(self) -> dict[str, Digest]:
        try:
            data = self.document.read_bytes()
        except OSError as error:
            raise UnreadableData(
                "cannot be read", locator=str(self.document), got=str(error.strerror)
            ) from error
        files = read_croissant(data, locator=str(self.document))
        remote = [file.url for file in files if urlsplit(file.url).scheme]
        if remote:
            raise UnreadableData(
                "Croissant names files on the web",
                locator=str(self.document),
                got=f"{len(remote)} URLs",
                next_step="Take a snapshot first: sluicegate fetch CROISSANT --into DIR.",
            )
        return {file.path: file.digest for file in files}


def croissant_of(
    manifest: Manifest, *, name: str, at: datetime, license_url: str, file_name: str = "data"
) -> dict[str, Any]:
    """Describe a sealed source.

    Args:
        manifest: Its files.
        name: Name of the source.
        at: When it was sealed.
        license_url: URL of the licence, which Croissant requires.
        file_name: Name of the file if the source is one file.

    Returns:
        JSON-LD for `json.dumps`. Paths are relative to the document's directory.

    Raises:
        ConfigError: The manifest does not use SHA-256, the only digest that Croissant knows.
    """
    if manifest.algorithm != SHA256:
        raise ConfigError("Croissant names files by SHA-256", got=manifest.algorithm)
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": f"Files sealed as {manifest.digest}.",
        "conformsTo": CONFORMS_TO,
        "license": license_url,
        "url": f"sluicegate://{name}",
        "version": "1.0.0",
        "datePublished": at.date().isoformat(),
        "citeAs": f"{name}, {manifest.digest}",
        "distribution": [_file_object(entry, file_name) for entry in manifest.entries],
    }


def _file_object(entry: FileEntry, file_name: str) -> dict[str, Any]:
    path = file_name if entry.path == SINGLE_FILE else entry.path
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": quote(path),
        "contentSize": f"{entry.size_bytes} B",
        "encodingFormat": _FORMATS.get(Path(path).suffix.lower(), "application/octet-stream"),
        "sha256": entry.digest.hex,
    }
