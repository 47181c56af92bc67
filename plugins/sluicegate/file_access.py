"""Who else could read a key, or replace a file that decides what is believed.

One rule for all files of an installation. Nobody is an other who is root, this user, or the owner
of the home directory: each of them could put another installation in its place. A group is no
other if this process or the home directory belongs to it, because deployments work by groups
(umask 002, OpenShift's group 0, fsGroup of a pod). A file system that is mounted read-only has
no writers here, whatever the modes on it say: Kubernetes mounts secrets and ConfigMaps so.
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
    """Users and groups that are no others.

    Attributes:
        users: Numbers of users.
        groups: Numbers of groups.
    """

    users: frozenset[int]
    groups: frozenset[int]

    @classmethod
    def of_process(cls) -> Self:
        """Return root and this process."""
        groups = frozenset((ROOT, os.getegid(), *os.getgroups()))
        return cls(frozenset((ROOT, os.geteuid())), groups)

    def and_of(self, home: os.stat_result) -> Insiders:
        """Return them with the owner and the group of a home directory."""
        return Insiders(self.users | {home.st_uid}, self.groups | {home.st_gid})


def readers(status: os.stat_result, insiders: Insiders) -> str:
    """Say who else may read a private key; empty if nobody.

    A group may in one case: root owns the file, nobody may write it and this process is in the
    group. So a pod gets a secret, and no mode of 0600 could be had there.
    """
    mode = status.st_mode
    if mode & stat.S_IRWXO:
        return "every user"
    if not mode & stat.S_IRWXG:
        return ""
    mounted = status.st_uid == ROOT and not mode & _ANY_WRITE and status.st_gid in insiders.groups
    return "" if mounted else f"group {status.st_gid}"


def writers(path: Path, insiders: Insiders) -> str:
    """Say who else may write a file or replace what is in a directory; empty if nobody.

    Args:
        path: It exists; of a link the target counts.
        insiders: Who is no other.

    Raises:
        OSError: It cannot be looked at.
    """
    status = path.stat()
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return ""
    if status.st_uid not in insiders.users:
        return f"user {status.st_uid}"
    # In a sticky directory, as /tmp, nobody replaces a file of somebody else.
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & stat.S_IWOTH and not sticky:
        return "every user"
    if status.st_mode & stat.S_IWGRP and status.st_gid not in insiders.groups and not sticky:
        return f"group {status.st_gid}"
    return ""


def require_safe(home: Path, *trusted: Path) -> None:
    """Return if nobody else can replace what an installation believes without a signature.

    Args:
        home: The directory.
        *trusted: Files in it; one that is missing is for its reader to report.

    Raises:
        ConfigError: Somebody else can.

    Cost: two system calls a file.
    """
    for path in (home, *trusted):
        try:
            who = writers(path, Insiders.of_process().and_of(home.stat()))
        except OSError:
            continue  # whoever reads it says why it cannot be read
        if who:
            raise ConfigError(
                f"others may replace it: {who}",
                locator=str(path),
                expected="root, this user or the home's owner alone",
                got=f"mode {stat.S_IMODE(path.stat().st_mode):04o}",
                next_step=f"Run: chmod go-w {path}; or chown it to the home's owner "
                "(docs/configuration.md, Who may write).",
            )
