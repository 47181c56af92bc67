"""The resources of a seal in the two serializations of Model Signing: files, and shards of files.

Specified in docs/formats/seal.md, sections "Statement" and "Shards".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sluicegate.digest import canonical
from sluicegate.digest.algorithms import (
    FILE_ALGORITHMS,
    FILE_IDENTITIES,
    SHA256,
    shard_bytes,
    shards_of,
)
from sluicegate.digest.manifest import Manifest
from sluicegate.errors import MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.digest.scan import HashedFile

_NAME: Final = re.compile(r"([^:]*):(0|[1-9][0-9]{0,18}):([1-9][0-9]{0,18})", re.DOTALL)
_DIGITS: Final = 64  # of one SHA-256


def predicate_of(manifest: Manifest) -> dict[str, Any]:
    """Return the predicate of a seal without its resources.

    Args:
        manifest: Files of the batch.
    """
    # No file has a shard of no bytes, and Model Signing does not name it then.
    empty = [path for path, _, size in manifest.oms_files() if not size]
    named = {"emptyFiles": empty} if empty and shard_bytes(manifest.algorithm) else {}
    return {"serialization": _serialization(manifest.algorithm), "resources": [], **named}


def resources_text(manifest: Manifest) -> bytes:
    """Return the resources of a seal as canonical JSON, without the brackets.

    Tens of thousands of objects of one form are written as text, five times faster than as values.

    Args:
        manifest: Files of the batch.

    Cost: linear; about 1 microsecond for each file or shard.
    """
    n_bytes = shard_bytes(manifest.algorithm)
    if n_bytes:
        return canonical.dumps(list(_shards(manifest, n_bytes)))[1:-1]
    before = f'{{"algorithm":"{manifest.algorithm}","digest":"'
    files = manifest.oms_files()
    names = [path for path, _, _ in files]
    text = "".join(names)
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        quoted = [f'"{name}"' for name in names]
    else:
        quoted = [canonical.dumps(name).decode("utf-8") for name in names]
    return ",".join(
        [
            f'{before}{value}","name":{name},"size":{size}}}'
            for name, (_, value, size) in zip(quoted, files, strict=True)
        ]
    ).encode("utf-8")


def manifest_of(predicate: Mapping[str, Any], *, locator: str) -> Manifest:
    """Read the predicate of a verified seal.

    Args:
        predicate: Of the statement.
        locator: Where it came from, for messages.

    Raises:
        MalformedEnvelope: It allows symlinks or ignored paths, its algorithm is unknown, or a
            resource is malformed, named twice, out of order or not all of a file.
        UnsafePath: It names a resource that no manifest may hold.
    """
    match dict(predicate):
        case {"serialization": dict(serialization), "resources": list(resources)}:
            algorithm = _algorithm(serialization, locator)
        case _:
            _refuse(locator, "seal has no serialization and resources")
    if n_bytes := shard_bytes(algorithm):
        return _of_shards(predicate, n_bytes, locator)
    files = [_file(item, algorithm, locator) for item in resources]
    manifest = Manifest(tuple(sorted(files)), algorithm)
    if files != manifest.oms_files():
        _refuse(locator, "seal lists its resources out of order")
    return manifest


def _serialization(algorithm: str) -> dict[str, Any]:
    """Return the parameters of Model Signing that change its digest.

    We refuse symlinks and ignored paths, so a seal never covers less than what it names.
    """
    if n_bytes := shard_bytes(algorithm):
        sharded = {"method": "shards", "hash_type": SHA256, "shard_size": n_bytes}
        return {**sharded, "allow_symlinks": False}
    return {"method": "files", "hash_type": algorithm, "allow_symlinks": False}


def _algorithm(serialization: dict[str, Any], locator: str) -> str:
    """Return the algorithm of the files, if the serialization is one that we write."""
    if not serialization.get("ignore_paths"):
        serialization = {k: v for k, v in serialization.items() if k != "ignore_paths"}
    match serialization:
        case {"method": "shards", "shard_size": int(n_bytes)} if not isinstance(n_bytes, bool):
            algorithm = shards_of(n_bytes)
            known = shard_bytes(algorithm) > 0
        case {"hash_type": str(algorithm)}:
            known = algorithm in FILE_IDENTITIES
        case _:
            known = False
    if not known or serialization != _serialization(algorithm):
        expected = f"files or shards, {' or '.join(FILE_ALGORITHMS)}, no symlinks"
        _refuse(locator, "seal uses another serialization", expected)
    return algorithm


def _shards(manifest: Manifest, n_bytes: int) -> Iterator[dict[str, str]]:
    """Yield the resources of a manifest in shards, in the order of the root."""
    name = f"{SHA256}-sharded-{n_bytes}"
    for path, value, size in manifest.oms_files():
        for number, start in enumerate(range(0, size, n_bytes)):
            digest = value[number * _DIGITS : (number + 1) * _DIGITS]
            end = min(size, start + n_bytes)
            yield {"algorithm": name, "digest": digest, "name": f"{path}:{start}:{end}"}


def _of_shards(predicate: Mapping[str, Any], n_bytes: int, locator: str) -> Manifest:
    resources, empty = predicate["resources"], predicate.get("emptyFiles", [])
    values: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for item in resources:
        match item:
            case {"name": str(name), "digest": str(digest)} if found := _NAME.fullmatch(name):
                path, _, end = found.groups()
                values.setdefault(path, []).append(digest)
                sizes[path] = int(end)
            case _:
                _refuse(locator, "resource has the wrong shape", "path:start:end and digest")
    if not isinstance(empty, list) or not all(isinstance(path, str) for path in empty):
        _refuse(locator, "empty files of a seal are not a list of paths")
    files = [(path, "".join(shards), sizes[path]) for path, shards in values.items()]
    files += [(path, "", 0) for path in empty]
    manifest = Manifest(tuple(sorted(files)), shards_of(n_bytes))
    # Written again, they are the same only without gap, overlap, other order or other field.
    names = ("resources", "emptyFiles")
    said = {name: predicate[name] for name in names if name in predicate}
    again = {**predicate_of(manifest), "resources": list(_shards(manifest, n_bytes))}
    if {name: again[name] for name in names if name in again} != said:
        _refuse(locator, "seal lists its shards out of order, or not all of a file")
    return manifest


def _file(item: Any, algorithm: str, locator: str) -> HashedFile:
    """Read one resource; all are of the algorithm that the serialization names."""
    if not isinstance(item, dict):
        _refuse(locator, "resource has the wrong shape")
    found = item.get("algorithm")
    if found != algorithm:
        _refuse(locator, "resource has an unknown algorithm", algorithm, ascii(found)[:40])
    match item:
        # A bool is an int to Python and a boolean to JSON.
        case {"name": str(path), "digest": str(value), "size": int(size)} if len(
            item
        ) == 4 and not isinstance(size, bool):
            return path, value, size
    raise _malformed(locator, "resource has the wrong shape", "name, algorithm, digest and size")


def _refuse(locator: str, what: str, expected: str = "", got: str = "") -> NoReturn:
    raise _malformed(locator, what, expected, got)


def _malformed(locator: str, what: str, expected: str = "", got: str = "") -> MalformedEnvelope:
    return MalformedEnvelope(what, locator=locator, expected=expected, got=got)
