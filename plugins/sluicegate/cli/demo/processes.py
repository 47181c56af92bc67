"""A process in a session of its own, so that nothing it started can stay behind."""

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

    Airflow moves each task into a process group of its own, so signalling a group would
    miss the tasks; the session holds them all.

    Args:
        command: Program and arguments.
        env: Whole environment.
        cwd: Working directory.
        log: File that standard output and error are appended to.
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
        """Ask the command to end; it ends its own children."""
        if not self.has_ended():
            self._process.terminate()

    def kill(self, wait_s: float = 0.0) -> None:
        """Kill what is left of the session after ``wait_s`` seconds; repeatable."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        while members := self.members():  # again, for what was forked meanwhile
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not self.has_ended():
                self._process.wait()

    def members(self) -> list[int]:
        """Return the ids of the session's living processes."""
        return [pid for pid in _all_processes() if _session_of(pid) == self._process.pid]

    def tail(self, n_chars: int = 1500) -> str:
        """Return the end of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-n_chars:]


def _all_processes() -> list[int]:
    proc = Path("/proc/self")
    if proc.exists():
        names = [path.name for path in proc.parent.iterdir()]
    else:
        names = subprocess.check_output(["/bin/ps", "-axo", "pid="], text=True).split()
    return [int(name) for name in names if name.isdigit()]


def _session_of(pid: int) -> int:
    """Return the session of a living process, else 0; a zombie is dead, only not buried."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return 0
        return os.getsid(pid)
    return 0
