"""`sluicegate doctor`: say what is installed, what is configured, and what is not usable."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

from sluicegate.cli.administration.airflow_login import add_login, log_in
from sluicegate.cli.options import (
    Installation,
    Subparsers,
    add_home,
    add_json,
    command,
    emit,
    home_of,
    now,
    table,
)
from sluicegate.errors import ConfigError, Outcome, SluicegateError
from sluicegate.file_access import Insiders, require_safe, writers
from sluicegate.foreign import coded

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from sluicegate.workflow.auditing.canary import Canary
    from sluicegate.workflow.evidence.home import SluiceHome

_PACKAGES = ("cryptography", "pyarrow", "pandas", "great-expectations", "apache-airflow")


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "doctor",
        run,
        "show what is installed and configured, and what keeps a gate from working",
        [
            "sluicegate doctor",
            "sluicegate doctor --home sluice --json",
            (
                "sluicegate doctor --canary --queue default --queue gpu "
                "--airflow-url https://airflow.example.com --airflow-user operator"
            ),
        ],
    )
    add_home(parser)
    add_json(parser)
    _add_canary(parser)


def _add_canary(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "canary", "start tasks that show whether each worker's guard is live"
    )
    group.add_argument(
        "--canary",
        action="store_true",
        help="run a task on each queue, which a live guard refuses (dags/sluicegate_canary.py)",
    )
    group.add_argument(
        "--queue", action="append", metavar="NAME", help="a queue to ask (default: all)"
    )
    group.add_argument(
        "--times",
        type=int,
        default=1,
        metavar="N",
        help="canaries for each queue, 1 to 100; one canary reaches one worker (default: 1)",
    )
    group.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long to wait for all canaries, 1 to 86400 (default: 300)",
    )
    add_login(group, "whose scheduler starts them")


def run(arguments: argparse.Namespace) -> int:
    """Check software, the installation if there is one, and the workers if asked.

    Returns:
        1 if a worker has no guard, otherwise 2 if something is unusable, otherwise 0.
    """
    rows = [*_software(), *_guard()]
    try:
        home = home_of(arguments)
    except ConfigError:
        rows.append(("home", "none", "set SLUICEGATE_HOME or pass --home to check one"))
    else:
        rows.extend(_installation(home))
    if arguments.canary:
        rows.extend(_canaries(arguments))
    emit(
        {"checks": [{"check": a, "state": b, "detail": c} for a, b, c in rows]},
        table(rows, ("CHECK", "STATE", "DETAIL")),
        as_json=arguments.json,
    )
    states = {state for _, state, _ in rows}
    if "unarmed" in states:
        return Outcome.CHECKED_AND_BAD.value
    return Outcome.COULD_NOT_CHECK.value if "unusable" in states else 0


def _canaries(arguments: argparse.Namespace) -> list[tuple[str, str, str]]:
    from sluicegate.workflow.auditing.canary import fire

    if not arguments.airflow_url:
        raise ConfigError("no Airflow to fire canaries in", expected="--airflow-url")
    for name, value, most in (
        ("--times", arguments.times, 100),
        ("--timeout", arguments.timeout, 86400),
    ):
        if not 1 <= value <= most:
            raise ConfigError("out of range", locator=name, expected=f"1 to {most}")
    end = time.monotonic() + arguments.timeout
    found = fire(
        log_in(arguments),
        arguments.queue or (),
        times=arguments.times,
        deadline=lambda: time.monotonic() > end,
        pause=time.sleep,
        tell=lambda line: print(line, file=sys.stderr),
    )
    said = {(f"canary {one.queue}", one.state.value, _where(one)) for one in found}
    return sorted(said)


def _where(canary: Canary) -> str:
    return f"on {canary.host}: {canary.detail}" if canary.host else canary.detail


def _software() -> list[tuple[str, str, str]]:
    rows = [("python", "ok" if sys.version_info >= (3, 11) else "unusable", sys.version.split()[0])]
    for name in _PACKAGES:
        try:
            rows.append((name, "ok", version(name)))
        except PackageNotFoundError:
            rows.append((name, "absent", "needed for gates, not for `verify`"))
    node = shutil.which("node")
    rows.append(("node", "ok" if node else "absent", "only for the conformance tests"))
    return rows


def _guard() -> list[tuple[str, str, str]]:
    """Say whether Airflow would load the guard exactly once."""
    found = [point.value for point in entry_points(group="airflow.policy")]
    ours = [value for value in found if value.startswith("sluicegate.")]
    detail = "entry point" if ours else "not installed; a plugins folder needs local settings"
    return [("guard", "ok" if len(ours) == 1 else "absent", detail)]


def _installation(home: SluiceHome) -> list[tuple[str, str, str]]:
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.workflow.evidence.opening import open_evidence
    from sluicegate.workflow.evidence.recall import MemoryRule

    def signer(role: str) -> Callable[[], str]:
        def members() -> str:
            signers = Installation(home, now(), {}).signer(role).members
            return "key " + " ".join(one.public_key.key_id[:12] for one in signers)

        return members

    def ledger() -> str:
        evidence = open_evidence(home, at=now(), memory=MemoryRule.UNASKED)
        return f"{evidence.ledger.audit().size} leaves verified"

    def place() -> str:
        safe, snapshot = _safe(home.root, home), home.snapshot
        return safe if snapshot is None else f"{home.place}, version {snapshot.index.version}"

    checks: list[tuple[str, Callable[[], str]]] = [
        ("home", place),
        # Keys are never published.
        *([] if home.published else [("keys directory", lambda: _private(home.keys))]),
        ("trust policy", lambda: f"{_safe(home.trust, home)}, {_trust(home.trust)}"),
        ("policy", lambda: f"{_safe(home.policy, home)}, {read_policy(home.policy).digest.short}"),
        ("ledger", ledger),
        ("memory", lambda: _memory(home)),
        *((f"{role} key", signer(role)) for role in ("source", "gate", "baseline", "ledger")),
    ]
    return [*(_row(name, check) for name, check in checks), *_warnings(home)]


def _safe(path: Path, home: SluiceHome) -> str:
    """Say whose file it is, if nobody else may replace it; the gate and the guard ask the same.

    Raises:
        ConfigError: Somebody else may replace it, or it is missing.
    """
    status = _status(path)
    require_safe(home.root, path)
    return f"of user {status.st_uid}"


def _warnings(home: SluiceHome) -> list[tuple[str, str, str]]:
    """Name unbelieved files that others may write: they cannot forge these, only destroy them."""
    found = []
    for name, path in (("ledger file", home.ledger), ("baselines", home.root / "baselines")):
        with suppress(OSError):  # the checks above say what is missing
            if who := writers(path, Insiders.of_process().and_of(home.root.stat())):
                found.append((name, "warning", f"{path}: {who} may destroy or hide evidence"))
    return found


def _private(directory: Path) -> str:
    """Say who may read the keys: only one user may, and training must not run as that user."""
    status = _status(directory)
    if status.st_mode & 0o077 and not os.statvfs(directory).f_flag & os.ST_RDONLY:
        raise ConfigError(
            f"others may look into it (mode {stat.S_IMODE(status.st_mode):04o})",
            locator=str(directory),
            next_step=f"Run: chmod 700 {directory}",
        )
    for path in sorted(directory.glob("*.pem")):
        if path.lstat().st_uid != status.st_uid:
            raise ConfigError("key belongs to another user than its directory", locator=str(path))
    return f"user {status.st_uid} only; training tasks must run as another user"


def _trust(path: Path) -> str:
    from sluicegate.workflow.evidence.opening import read_trust

    policy = read_trust(path)
    return f"version {policy.version}, expires {policy.expires.date().isoformat()}"


def _memory(home: SluiceHome) -> str:
    """Say what is remembered, if ledger and trust policy still extend it."""
    from sluicegate.attest.timestamps import format_timestamp
    from sluicegate.workflow.evidence.opening import open_evidence
    from sluicegate.workflow.evidence.recall import MemoryRule
    from sluicegate.workflow.evidence.remember import require_remembered

    path, evidence = home.memory, open_evidence(home, at=now(), memory=MemoryRule.UNASKED)
    note = require_remembered(home, evidence, MemoryRule.REQUIRED)
    evidence.ledger.require_extends(note)
    size = evidence.ledger.verify_checkpoint(note).size
    for place in (path, path.parent):
        _require_unwritable(
            place, stat.S_IWOTH
        )  # the accounts of the installation may share it through a group
    written = datetime.fromtimestamp(_status(path).st_mtime, UTC)
    who = "" if os.access(path.parent, os.W_OK) else "; this user may only read it"
    return f"{size} leaves, since {format_timestamp(written)}, in {path}{who}"


def _require_unwritable(path: Path, by: int) -> None:
    mode = stat.S_IMODE(_status(path).st_mode)
    if mode & by:
        raise ConfigError(
            f"others may replace it (mode {mode:04o})",
            locator=str(path),
            next_step=f"Run: chmod {mode & ~by:o} {path}",
        )


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise ConfigError("cannot be read", locator=str(path), got=error.strerror or "") from error


def _row(name: str, check: Callable[[], str]) -> tuple[str, str, str]:
    try:
        return name, "ok", check()
    except (SluicegateError, OSError) as error:
        return name, "unusable", str(coded(error))
