"""List the regular files below a root, and refuse whatever is not one.

Directories are opened one component at a time, with O_NOFOLLOW and relative to the parent's
descriptor. So a directory that is exchanged for a symlink after it was listed is refused, and
nobody follows it out of the source.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from sluicegate.digest.names import MAX_PATH_BYTES, SINGLE_FILE, check_path, check_paths
from sluicegate.errors import UnreadableData, UnsafePath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""O_NONBLOCK, because a FIFO in a file's place must not hang the reader before fstat refuses it."""

_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY

_KEPT_LEVELS: Final = 32
"""Most descriptors of a walk: more levels than any sane source has, and far below the limit of a
process."""

_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFDIR: "a directory",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Files of one directory.

    Attributes:
        directory: Path components below the root; empty for the root itself.
        names: File names in it, sorted by code point.
    """

    directory: tuple[str, ...]
    names: tuple[str, ...]

    def paths(self) -> list[str]:
        """Return the relative POSIX paths of the files."""
        prefix = "".join(f"{part}/" for part in self.directory)
        return [prefix + name for name in self.names]


def walk(root: Path) -> list[str]:
    """List the paths of a source's files, sorted, without reading the files.

    Args:
        root: Directory or regular file.

    Returns:
        The relative POSIX path of every file; of a single file ``.``.

    Raises:
        UnsafePath: `list_files` raises it.
        UnreadableData: `list_files` raises it.

    Cost: as `list_files`.
    """
    return sorted(path for listing in list_files(root) for path in listing.paths())


def list_files(root: Path) -> list[Listing]:
    """List every file below a directory, or the one file that the root is.

    Args:
        root: Directory or regular file.

    Returns:
        One listing for each directory that holds files; a single file is listed as ``.``.

    Raises:
        UnsafePath: There is a symlink (the root included), device, FIFO or socket, or a name
            that `check_paths` refuses.
        UnreadableData: The root is missing or holds no file, or this user may not read it.

    Cost: one open and one scandir for each directory, and no stat of files; memory for their
    names.
    """
    mode = root_mode(root)
    if stat.S_ISREG(mode):
        return [Listing((), (SINGLE_FILE,))]
    if not stat.S_ISDIR(mode):
        refuse_kind(mode, str(root))
    listings = _walk_directories(root)
    paths = [path for listing in listings for path in listing.paths()]
    if not paths:
        raise UnreadableData(
            "directory holds no file",
            locator=str(root),
            next_step="Check the path; an empty source cannot be sealed.",
        )
    check_paths(paths, locator=str(root))
    return listings


def sizes_of(root: Path, listing: Listing) -> list[tuple[str, str, int]]:
    """Return name, path and length in bytes of each file of a listing.

    A length only says who reads a file, and how. One that vanished has none, and its reader
    refuses it.

    Args:
        root: Directory, or the one file that the listing names.
        listing: From `list_files`.

    Cost: one stat for each file.
    """
    if listing.names == (SINGLE_FILE,) and not listing.directory:
        return [(SINGLE_FILE, SINGLE_FILE, root.lstat().st_size)]
    found = []
    with open_directory(root, listing.directory) as directory:
        for name, path in zip(listing.names, listing.paths(), strict=True):
            try:
                size = os.stat(name, dir_fd=directory, follow_symlinks=False).st_size
            except OSError:
                size = 0
            found.append((name, path, size))
    return found


def root_mode(root: Path) -> int:
    """Return the root's own file mode without following a symlink.

    Raises:
        UnreadableData: It is missing, or this user may not look at it.
    """
    try:
        return os.lstat(root).st_mode
    except (OSError, ValueError) as error:
        unreadable(error, str(root))


@contextmanager
def open_directory(root: Path, components: tuple[str, ...]) -> Iterator[int]:
    """Open a directory below the root without following any symlink.

    Args:
        root: Directory.
        components: Names from the root down; none for the root itself.

    Yields:
        A descriptor, closed on exit.

    Raises:
        UnsafePath: A component is a symlink or no directory.
        UnreadableData: It is missing, or this user may not read it.

    Cost: one open for each component.
    """
    locator = root.joinpath(*components)
    try:
        descriptor = os.open(root, _DIRECTORY_FLAGS)
    except OSError as error:
        _refuse_directory(error, str(locator))
    try:
        for component in components:
            try:
                child = os.open(component, _DIRECTORY_FLAGS, dir_fd=descriptor)
            except OSError as error:
                _refuse_directory(error, str(locator))
            os.close(descriptor)
            descriptor = child
        yield descriptor
    finally:
        os.close(descriptor)


def refuse_kind(mode: int, locator: str) -> NoReturn:
    """Refuse a file that is not regular.

    Args:
        mode: ``st_mode`` of its status.
        locator: Path for the message.

    Raises:
        UnsafePath: Always; the message says what kind of file it is.
    """
    raise UnsafePath(
        f"is {_KINDS.get(stat.S_IFMT(mode), 'a special file')}",
        locator=ascii(locator)[1:-1],
        expected="a regular file",
        next_step="Replace it by a regular file or remove it, then seal again.",
    )


def unreadable(error: Exception, locator: str) -> NoReturn:
    """Wrap the error of a file that the operating system did not let us read.

    Args:
        error: What it raised; a ValueError is a path that it cannot even name.
        locator: Path for the message.

    Raises:
        UnreadableData: Always, with the system's own reason.
    """
    reason = error.strerror if isinstance(error, OSError) else str(error)
    raise UnreadableData(
        "cannot be read",
        locator=ascii(locator)[1:-1],
        got=str(reason),
        next_step="Check that it exists and that this user may read it.",
    ) from error


def _walk_directories(root: Path) -> list[Listing]:
    listings = []
    pending: list[tuple[str, ...]] = [()]
    with closing(_Descent(root)) as descent:
        while pending:
            directory = pending.pop()
            files, subdirectories = _scan(root, directory, descent.open(directory))
            if files:
                listings.append(Listing(directory, tuple(sorted(files))))
            pending.extend((*directory, name) for name in subdirectories)
    return listings


class _Descent:
    """Descriptors of the last directories on the way down to where a walk is.

    To open each directory from the root costs the square of the depth, which is seconds in a tree
    as deep as a path may be long. To keep the whole way open would cost a descriptor for each
    level.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: list[tuple[tuple[str, ...], int]] = []

    def open(self, directory: tuple[str, ...]) -> int:
        """Open a directory as `open_directory` does; in depth-first order few are opened twice.

        Returns:
            A descriptor that the walk closes, not the caller.
        """
        while self._kept and directory[: len(self._kept[-1][0])] != self._kept[-1][0]:
            os.close(self._kept.pop()[1])
        try:
            if not self._kept:
                self._kept.append(((), os.open(self._root, _DIRECTORY_FLAGS)))
            for depth in range(len(self._kept[-1][0]), len(directory)):
                parent = self._kept[-1][1]
                child = os.open(directory[depth], _DIRECTORY_FLAGS, dir_fd=parent)
                self._kept.append((directory[: depth + 1], child))
                if len(self._kept) > _KEPT_LEVELS:
                    os.close(self._kept.pop(0)[1])
        except OSError as error:
            _refuse_directory(error, str(self._root.joinpath(*directory)))
        return self._kept[-1][1]

    def close(self) -> None:
        """Close them all."""
        while self._kept:
            os.close(self._kept.pop()[1])


def _scan(root: Path, directory: tuple[str, ...], descriptor: int) -> tuple[list[str], list[str]]:
    files: list[str] = []
    subdirectories: list[str] = []
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    subdirectories.append(entry.name)
                else:
                    mode = entry.stat(follow_symlinks=False).st_mode
                    refuse_kind(mode, str(root.joinpath(*directory, entry.name)))
    except OSError as error:
        unreadable(error, str(root.joinpath(*directory)))
    _check_subdirectories(root, directory, subdirectories)
    return files, subdirectories


def _check_subdirectories(root: Path, directory: tuple[str, ...], names: list[str]) -> None:
    """Check directory names here, because an empty directory appears in no file's path.

    The length is checked on the way down, so that a tree of 100,000 levels ends at the
    2,048th.
    """
    n_bytes = len(os.fsencode("/".join(directory))) + 1
    for name in names:
        if not name.isascii() or not name.isprintable() or n_bytes + len(name) > MAX_PATH_BYTES:
            check_path("/".join((*directory, name)), locator=str(root))


def _refuse_directory(error: OSError, locator: str) -> NoReturn:
    try:
        mode = os.lstat(locator).st_mode
    except (OSError, ValueError):
        unreadable(error, locator)
    if not stat.S_ISDIR(mode):
        refuse_kind(mode, locator)
    unreadable(error, locator)
