"""`sluicegate doctor`: say what is installed, what is configured, and what is not usable."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from sluicegate.workflow.home import SluiceHome

_PACKAGES = ("cryptography", "pyarrow", "pandas", "great-expectations", "apache-airflow")


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "doctor",
        run,
        "show what is installed and configured, and what keeps a gate from working",
        ["sluicegate doctor", "sluicegate doctor --home sluice --json"],
    )
    add_home(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check software, then the installation if there is one; 2 if something is unusable."""
    rows = [*_software(), *_guard()]
    try:
        home = home_of(arguments)
    except ConfigError:
        rows.append(("home", "none", "set SLUICEGATE_HOME or pass --home to check one"))
    else:
        rows.extend(_installation(home))
    emit(
        {"checks": [{"check": a, "state": b, "detail": c} for a, b, c in rows]},
        table(rows, ("CHECK", "STATE", "DETAIL")),
        as_json=arguments.json,
    )
    unusable = any(state == "unusable" for _, state, _ in rows)
    return Outcome.COULD_NOT_CHECK.value if unusable else 0


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
    """Say whether Airflow would load the guard, and once only."""
    found = [point.value for point in entry_points(group="airflow.policy")]
    ours = [value for value in found if value.startswith("sluicegate.")]
    detail = "entry point" if ours else "not installed; a plugins folder needs local settings"
    return [("guard", "ok" if len(ours) == 1 else "absent", detail)]


def _installation(home: Any) -> list[tuple[str, str, str]]:
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.workflow.evidence import open_evidence
    from sluicegate.workflow.recall import MemoryRule

    def signer(role: str) -> Callable[[], str]:
        def members() -> str:
            signers = Installation(home, now(), {}).signer(role).members
            return "key " + " ".join(one.public_key.key_id[:12] for one in signers)

        return members

    def ledger() -> str:
        evidence = open_evidence(home, at=now(), memory=MemoryRule.UNASKED)
        return f"{evidence.ledger.audit().size} leaves verified"

    checks: list[tuple[str, Callable[[], str]]] = [
        ("keys directory", lambda: _private(home.keys)),
        ("trust policy", lambda: _unwritable(home.trust)),
        ("policy", lambda: f"{read_policy(home.policy).digest.short}"),
        ("ledger", ledger),
        ("memory", lambda: _memory(home)),
        *((f"{role} key", signer(role)) for role in ("source", "gate", "baseline", "ledger")),
    ]
    return [_row(name, check) for name, check in checks]


def _private(directory: Path) -> str:
    """Say who may look into the keys: only one user, and never the one that trains."""
    status = _status(directory)
    if status.st_mode & 0o077:
        raise ConfigError(
            f"others may look into it (mode {stat.S_IMODE(status.st_mode):04o})",
            locator=str(directory),
            next_step=f"Run: chmod 700 {directory}",
        )
    for path in sorted(directory.glob("*.pem")):
        if path.lstat().st_uid != status.st_uid:
            raise ConfigError("key belongs to another user than its directory", locator=str(path))
    return f"user {status.st_uid} only; training tasks must run as another user"


def _unwritable(path: Path) -> str:
    """Say whether the file that decides what is believed is safe from others."""
    _require_unwritable(path, stat.S_IWGRP | stat.S_IWOTH)
    from sluicegate.workflow.evidence import read_trust

    policy = read_trust(path)
    return f"version {policy.version}, expires {policy.expires.date().isoformat()}"


def _memory(home: SluiceHome) -> str:
    """Say what is remembered, and whether ledger and trust policy still extend it."""
    from sluicegate.attest.timestamps import format_timestamp
    from sluicegate.workflow.evidence import open_evidence
    from sluicegate.workflow.recall import MemoryRule
    from sluicegate.workflow.remember import require_remembered

    path, evidence = home.memory, open_evidence(home, at=now(), memory=MemoryRule.UNASKED)
    note = require_remembered(home, evidence, MemoryRule.REQUIRED)
    evidence.ledger.require_extends(note)
    size = evidence.ledger.verify_checkpoint(note).size
    for place in (path, path.parent):
        _require_unwritable(place, stat.S_IWOTH)  # its accounts may share it through a group
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
    except SluicegateError as error:
        return name, "unusable", str(error)
