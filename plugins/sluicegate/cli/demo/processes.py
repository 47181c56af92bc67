"""A process in its own session, so that nothing that it started can stay behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Session:
    """A running command, its descendants and its log file.

    Airflow moves each task into its own process group, so a signal to one group would miss the
    tasks. The session holds them all.

    Args:
        command: Program and arguments.
        env: Whole environment.
        cwd: Working directory.
        log: File to which standard output and standard error are appended.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self.log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the caller names the program
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        """Return whether the command itself has ended."""
        return self._process.poll() is not None

    def terminate(self) -> None:
        """Ask the command to end, which then ends its own children."""
        if not self.has_ended():
            self._process.terminate()

    def kill(self, wait_s: float = 0.0) -> None:
        """Kill what is left of the session after ``wait_s`` seconds; it may be called again."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        while members := self.members():  # looks again for what was forked meanwhile
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not self.has_ended():
                self._process.wait()

    def members(self) -> list[int]:
        """Return the ids of the session's living processes."""
        return [pid for pid in _all_processes() if _session_of(pid) == self._process.pid]

    def tail(self, n_chars: int = 1500) -> str:
        """Return the last ``n_chars`` characters of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-n_chars:]


def _all_processes() -> list[int]:
    proc = Path("/proc/self")
    if proc.exists():
        names = [path.name for path in proc.parent.iterdir()]
    else:
        names = subprocess.check_output(["/bin/ps", "-axo", "pid="], text=True).split()
    return [int(name) for name in names if name.isdigit()]


def _session_of(pid: int) -> int:
    """Return the session of a living process; 0 for any other, zombies too."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return 0
        return os.getsid(pid)
    return 0
