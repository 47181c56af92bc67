"""`sluicegate doctor`: say what is installed, what is configured, and what is not usable."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

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


def _installation(home: SluiceHome) -> list[tuple[str, str, str]]:
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.workflow.evidence import open_evidence

    def signer(role: str) -> Callable[[], str]:
        def members() -> str:
            signers = Installation(home, now(), {}).signer(role).members
            return "key " + " ".join(one.public_key.key_id[:12] for one in signers)

        return members

    def ledger() -> str:
        return f"{open_evidence(home, at=now()).ledger.audit().size} leaves verified"

    checks: list[tuple[str, Callable[[], str]]] = [
        ("home", lambda: _safe(home.root, home)),
        ("keys directory", lambda: _private(home.keys)),
        ("trust policy", lambda: f"{_safe(home.trust, home)}, {_trust(home.trust)}"),
        ("policy", lambda: f"{_safe(home.policy, home)}, {read_policy(home.policy).digest.short}"),
        ("ledger", ledger),
        *((f"{role} key", signer(role)) for role in ("source", "gate", "baseline", "ledger")),
    ]
    return [*(_row(name, check) for name, check in checks), *_warnings(home)]


def _safe(path: Path, home: SluiceHome) -> str:
    """Say that nobody else may replace what is believed; as the gate and the guard ask it.

    Raises:
        ConfigError: Somebody may, or it is not there.
    """
    status = _status(path)
    require_safe(home.root, path)
    return f"of user {status.st_uid}"


def _warnings(home: SluiceHome) -> list[tuple[str, str, str]]:
    """Name what others may write and nobody believes: they cannot forge it, only destroy it."""
    found = []
    for name, path in (("ledger file", home.ledger), ("baselines", home.root / "baselines")):
        with suppress(OSError):  # the checks above say what is not there
            if who := writers(path, Insiders.of_process().and_of(home.root.stat())):
                found.append((name, "warning", f"{path}: {who} may destroy or hide evidence"))
    return found


def _private(directory: Path) -> str:
    """Say who may look into the keys: only one user, and never the one that trains."""
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
    from sluicegate.workflow.evidence import read_trust

    policy = read_trust(path)
    return f"version {policy.version}, expires {policy.expires.date().isoformat()}"


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
