"""Which relative paths a manifest may hold. Specified in docs/formats/manifest.md, section 3.

If two systems read a name differently, another file can take the place of a sealed one. `A` and
`a` are one file on macOS. Two spellings of `é` are one file there and two on Linux. A newline
forges a second line of the text that dirHash1 hashes.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NoReturn

from sluicegate.errors import UnsafePath

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SINGLE_FILE: Final = "."
"""Path of the only entry if a source is one file: its own name is not part of its identity."""

MAX_PATH_BYTES: Final = 4096
"""Longest relative path in UTF-8 bytes: Linux PATH_MAX, beyond which other tools fail."""

_NEXT_STEP: Final = "Rename or remove it, then seal again."

# Components "", "." and ".." of paths between newlines; a leading or trailing "/" makes an empty
# one. Twelve searches for a text are thirty times faster than one regular expression.
_BAD_COMPONENTS: Final = tuple(
    left + dots + right for left in "\n/" for dots in ("", ".", "..") for right in "\n/"
)


def check_paths(paths: Sequence[str], *, locator: str = "") -> None:
    """Refuse a list of file paths that no manifest may hold.

    Args:
        paths: Relative POSIX paths of files, each once.
        locator: Source or envelope that the paths come from.

    Raises:
        UnsafePath: No manifest may hold one of them; the message names the first and why.

    Cost: linear; ordinary ASCII names are checked together, about 0.3 microseconds for each.
    """
    if list(paths) == [SINGLE_FILE]:
        return
    lines = "\n" + "\n".join(paths) + "\n"
    printable_ascii = lines.isascii() and lines.replace("\n", "").isprintable()
    long = max(map(len, paths), default=0) > MAX_PATH_BYTES
    if (
        not printable_ascii
        or lines.count("\n") != len(paths) + 1
        or long
        or any(bad in lines for bad in _BAD_COMPONENTS)
    ):
        for path in paths:
            check_path(path, locator=locator)
    _check_collisions(paths, locator)


def require_shard_names(paths: Iterable[str]) -> None:
    """Return if Model Signing can name a shard of each file: ``path:start:end``, split at colons.

    Raises:
        UnsafePath: A path has a colon.
    """
    found = next((path for path in paths if ":" in path), None)
    if found is not None:
        raise UnsafePath(
            "a path with a colon cannot be sealed by shards",
            locator=ascii(found)[1:-1][:300],
            next_step="Rename it, or seal files whole: --hash sha256.",
        )


def check_path(path: str, *, locator: str = "") -> None:
    """Refuse one relative path that no manifest may hold.

    Args:
        path: Relative POSIX path; bytes that are no UTF-8 appear as lone surrogates.
        locator: Source or envelope that the path comes from.

    Raises:
        UnsafePath: It is not UTF-8, not NFC, absolute or too long, or it has a control
            character or an empty, ``.`` or ``..`` component.
    """
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        _refuse("name is not UTF-8", path, locator)
    if any(unicodedata.category(character) == "Cc" for character in path):
        _refuse("name holds a control character", path, locator)
    if not unicodedata.is_normalized("NFC", path):
        _refuse("name is not in Unicode normal form NFC", path, locator)
    if len(encoded) > MAX_PATH_BYTES:
        _refuse(f"path is longer than {MAX_PATH_BYTES} bytes", path, locator)
    if path.startswith("/"):
        _refuse("path is absolute", path, locator)
    if any(part in {"", ".", ".."} for part in path.split("/")):
        _refuse("path has an empty, '.' or '..' component", path, locator)


def fold(path: str) -> str:
    """Return a form that two names share if some file system takes them for one.

    Args:
        path: Any name or path.

    Returns:
        Unicode caseless form (Unicode 16, section 3.13, D145).
    """
    if path.isascii():
        return path.lower()
    return unicodedata.normalize(
        "NFD",
        unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold()).casefold(),
    )


def _check_collisions(paths: Sequence[str], locator: str) -> None:
    directories = _directories(paths)
    if len(_folded([*paths, *directories])) == len(paths) + len(directories):
        return  # no two are even alike
    files = set(paths)
    for path in sorted(files & directories):
        _refuse("path is both a file and a directory", path, locator)
    everything = files | directories
    seen: dict[str, str] = {}
    for path in sorted(everything):
        other = seen.setdefault(fold(path), path)
        if other != path:
            _refuse(f"name differs only in case or form from {_shown(other)}", path, locator)


def _folded(paths: Iterable[str]) -> set[str]:
    joined = "\n".join(paths)  # no path holds a newline any more
    return set(joined.lower().split("\n")) if joined.isascii() else set(map(fold, paths))


def _directories(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for parent in {path.rpartition("/")[0] for path in paths}:
        current = parent
        while current and current not in found:
            found.add(current)
            current = current.rpartition("/")[0]
    return found


def _shown(path: str) -> str:
    """Quote a hostile name so that it cannot forge a line of a log."""
    return ascii(path if len(path) <= 200 else path[:200] + "...")


def _refuse(what: str, path: str, locator: str) -> NoReturn:
    name = _shown(path)
    raise UnsafePath(
        what, locator=f"{locator}: {name}" if locator else name, next_step=_NEXT_STEP
    ) from None
