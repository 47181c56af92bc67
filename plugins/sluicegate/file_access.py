"""Who else could read a key, or replace a file that decides what is believed.

One rule holds for all files of an installation. Root, this user and the owner of the home
directory are insiders: each of them could put another installation in its place. The groups of
this process and the group of the home directory are insiders too, because deployments work by
groups (umask 002, OpenShift's group 0, fsGroup of a pod). A file system that is mounted read-only
has no writers here, whatever its modes say: Kubernetes mounts secrets and ConfigMaps that way.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

ROOT: Final = 0

_ANY_WRITE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Insiders:
    """Users and groups that do not count as others.

    Attributes:
        users: User ids of the operating system.
        groups: Group ids of the operating system.
    """

    users: frozenset[int]
    groups: frozenset[int]

    @classmethod
    def of_process(cls) -> Self:
        """Return root, the effective user of this process and all its groups."""
        groups = frozenset((ROOT, os.getegid(), *os.getgroups()))
        return cls(frozenset((ROOT, os.geteuid())), groups)

    def and_of(self, home: os.stat_result) -> Insiders:
        """Return them with the owner and the group of a home directory."""
        return Insiders(self.users | {home.st_uid}, self.groups | {home.st_gid})


def readers(status: os.stat_result, insiders: Insiders) -> str:
    """Say who else may read a private key.

    A group may read it in one case: root owns the file, nobody may write it and this process is
    in the group. A pod gets a secret that way, and cannot have the mode 0600.

    Args:
        status: Of the key's file, links followed.
        insiders: Who does not count as another.

    Returns:
        "every user" or "group" with its id; empty if nobody else may.
    """
    mode = status.st_mode
    if mode & stat.S_IRWXO:
        return "every user"
    if not mode & stat.S_IRWXG:
        return ""
    mounted = status.st_uid == ROOT and not mode & _ANY_WRITE and status.st_gid in insiders.groups
    return "" if mounted else f"group {status.st_gid}"


def writers(path: Path, insiders: Insiders) -> str:
    """Say who else may write a file or replace what is in a directory.

    Args:
        path: A file or directory that exists; a link is followed.
        insiders: Who does not count as another.

    Returns:
        "every user", or "user" or "group" with its id; empty if nobody else may.

    Raises:
        OSError: Its status cannot be read.
    """
    status = path.stat()
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return ""
    if status.st_uid not in insiders.users:
        return f"user {status.st_uid}"
    # In a sticky directory such as /tmp, nobody replaces a file of somebody else.
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & stat.S_IWOTH and not sticky:
        return "every user"
    if status.st_mode & stat.S_IWGRP and status.st_gid not in insiders.groups and not sticky:
        return f"group {status.st_gid}"
    return ""


def require_safe(home: Path, *trusted: Path) -> None:
    """Return if nobody else can replace what an installation believes without a signature.

    Args:
        home: Home directory of the installation.
        *trusted: Files in it. A missing one is passed over: its reader reports it.

    Raises:
        ConfigError: Somebody else can replace one of them.

    Cost: two system calls for each file.
    """
    for path in (home, *trusted):
        try:
            who = writers(path, Insiders.of_process().and_of(home.stat()))
        except OSError:
            continue  # its reader says why it cannot be read
        if who:
            raise ConfigError(
                f"others may replace it: {who}",
                locator=str(path),
                expected="root, this user or the home's owner alone",
                got=f"mode {stat.S_IMODE(path.stat().st_mode):04o}",
                next_step=f"Run: chmod go-w {path}; or chown it to the home's owner "
                "(docs/configuration.md, Who may write).",
            )
