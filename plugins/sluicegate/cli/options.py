"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Final

from sluicegate.cli.terminal import for_terminal, is_terminal
from sluicegate.digest.algorithms import AUTO, HASHES
from sluicegate.errors import ConfigError, VerificationError
from sluicegate.untrusted import visible
from sluicegate.workflow.evidence.home import ENV_AIRFLOW_HOME_SETTING, ENV_HOME, SluiceHome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sluicegate.attest.contents import Contents
    from sluicegate.attest.keys import Signer
    from sluicegate.errors import SluicegateError
    from sluicegate.workflow.evidence.recall import MemoryRule
    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.judging.gate import GateSigners

_AIRFLOW_SETTING: Final = "AIRFLOW__SLUICEGATE__"

_PLACES: Final = "file, env:NAME, or URI of a KMS or HSM (docs/keys.md)"

MOST_SHOWN: Final = 10
"""Findings that a command prints, a line each, unless it is asked for all."""

Subparsers = Any  # argparse's own class is private


def add_hash(parser: argparse.ArgumentParser, when: str = "") -> None:
    """Add ``--hash``.

    Args:
        parser: Of a command that hashes files.
        when: When it counts, for the help text.
    """
    parser.add_argument(
        "--hash",
        choices=HASHES,
        default=AUTO,
        help=f"{when}hash function for each file; auto is sha256, of shards if a file has 64 MiB "
        "or more (default: auto)",
    )


def command(
    commands: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help_: str,
    examples: Sequence[str],
) -> argparse.ArgumentParser:
    """Register a command with its examples.

    Args:
        commands: argparse's collection of commands.
        name: What a person types after ``sluicegate``.
        run: Runs the parsed command and returns the exit code.
        help_: One clause about what the command does; no full stop.
        examples: Command lines that the parser accepts.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_,
        description=help_,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``: one JSON object on standard output."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_home(parser: argparse.ArgumentParser) -> None:
    """Add ``--home``: where ledger, trust policy, policy, keys and baselines are."""
    parser.add_argument(
        "--home", help="installation: directory, or URL of a store (default: SLUICEGATE_HOME)"
    )


def home_of(arguments: argparse.Namespace) -> SluiceHome:
    """Return the installation the command works on.

    Raises:
        ConfigError: Neither an option nor the environment names one.
    """
    if arguments.home is not None:
        place = arguments.home if "://" in arguments.home else str(Path(arguments.home).resolve())
        found = dict.fromkeys((ENV_HOME, ENV_AIRFLOW_HOME_SETTING), place)
        return SluiceHome.from_environ({**os.environ, **found})
    return SluiceHome.from_environ(os.environ)


@dataclass(frozen=True, slots=True)
class Installation:
    """What a command works on, and with which keys.

    Attributes:
        home: Paths of the installation.
        at: Time to judge at, with its zone: UTC.
        keys: References by role, from the command line; they replace what is configured.
    """

    home: SluiceHome
    at: datetime
    keys: Mapping[str, Sequence[str]]

    def signer(self, role: str) -> Signer:
        """Return what a role signs with.

        Raises:
            ConfigError: As `role_signer`: a key is missing or unusable.
        """
        return _role_signer(role, self.home.keys, self.keys.get(role, ()))

    def gate_signers(self) -> GateSigners:
        """Return the keys of a gate run."""
        from sluicegate.workflow.judging.gate import GateSigners

        return GateSigners(gate=self.signer("gate"), ledger=self.signer("ledger"))

    def evidence(self, *, append: bool = False, memory: MemoryRule | None = None) -> Evidence:
        """Open trust policy and ledger.

        Args:
            append: Whether the command appends, for which it needs the ledger's key.
            memory: Whether the memory must be there. None requires it of a command that
                appends; one that only reads then uses it if it is there.

        Raises:
            SluicegateError: As `open_evidence`.
        """
        from sluicegate.workflow.evidence.opening import open_evidence
        from sluicegate.workflow.evidence.recall import MemoryRule

        signer = self.signer("ledger") if append else None
        rule = memory or (MemoryRule.REQUIRED if append else MemoryRule.IF_THERE)
        return open_evidence(self.home, at=self.at, ledger_signer=signer, memory=rule)

    def audited(self) -> Evidence:
        """Open trust policy and ledger for a command that lists what is in the ledger.

        A list is wrong if an edit hid a row, and no proof of the other rows shows that. So the
        whole ledger is read first.

        Raises:
            LedgerCorrupt: Rows are missing, superfluous or edited.
            VerificationError: The rows do not lead to the signed checkpoint.

        Cost: about 14 us of CPU for each leaf, and one read of the ledger.
        """
        evidence = self.evidence()
        evidence.ledger.audit()
        return evidence


def add_installation(
    parser: argparse.ArgumentParser, *, signs: bool = False, at: bool = False
) -> None:
    """Add ``--home`` and ``--json``.

    Args:
        parser: The command's.
        signs: Add ``--key`` too: the command signs as one role or several.
        at: Add ``--at`` too: the command can judge at a past time.
    """
    add_home(parser)
    if signs:
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="ROLE=KEY",
            help=f"key of a role: {_PLACES}; repeat for further roles, or for keys that cosign",
        )
    if at:
        add_at(parser)
    add_json(parser)


def installation_of(arguments: argparse.Namespace) -> Installation:
    """Return the installation that the options of `add_installation` name.

    Raises:
        ConfigError: No home is named, ``--at`` is not a time, or ``--key`` names no role.
    """
    at = at_of(arguments) if "at" in arguments else now()
    keys: dict[str, list[str]] = {}
    for text in arguments.key if isinstance(getattr(arguments, "key", None), list) else ():
        role, reference = _role_and_reference(text)
        keys.setdefault(role, []).append(reference)
    return Installation(home_of(arguments), at, keys)


def add_role_key(parser: argparse.ArgumentParser, whose: str, *, required: bool = True) -> None:
    """Add ``--key``, ``--cosign-key`` and ``--public-key`` to a command that signs as one role.

    Args:
        parser: The command's.
        whose: Words about the key for the help text.
        required: Refuse the command without ``--key``.
    """
    parser.add_argument("--key", required=required, help=f"{whose}: {_PLACES}")
    parser.add_argument(
        "--cosign-key",
        action="append",
        default=[],
        metavar="KEY",
        help="a further key of the role, with any algorithm; repeat for a threshold",
    )
    parser.add_argument(
        "--public-key",
        type=Path,
        metavar="PUB.pem",
        help="public part of a key in a KMS or HSM; KEY#PUB.pem says the same",
    )


def role_key_of(arguments: argparse.Namespace, role: str) -> Signer:
    """Return the signer that the options of `add_role_key` name.

    Args:
        arguments: Parsed; ``--key`` is there.
        role: One of `SIGNING_ROLES`.

    Raises:
        ConfigError: A key is missing or unusable.
    """
    given = [arguments.key, *arguments.cosign_key]
    return _role_signer(role, None, given, arguments.public_key)


def given_role_key_of(arguments: argparse.Namespace, role: str) -> Signer | None:
    """Return the signer that the options of `add_role_key` name; None if they name none.

    Args:
        arguments: Parsed.
        role: One of `SIGNING_ROLES`.

    Raises:
        ConfigError: A key is missing or unusable, or ``--cosign-key`` or ``--public-key`` is there
            without ``--key``.
    """
    if arguments.key is not None:
        return role_key_of(arguments, role)
    if arguments.cosign_key or arguments.public_key is not None:
        raise ConfigError("--cosign-key and --public-key need --key", locator="--key")
    return None


def _role_signer(
    role: str, directory: Path | None, given: Sequence[str], public_key: Path | None = None
) -> Signer:
    from sluicegate.adapters.keys.roles import role_signer

    return role_signer(
        role,
        directory=directory,
        environ=os.environ,
        option=lambda name: os.environ.get(f"{_AIRFLOW_SETTING}{name.upper()}"),
        given=given,
        public_key=public_key,
    )


def _role_and_reference(text: str) -> tuple[str, str]:
    from sluicegate.adapters.keys.settings import SIGNING_ROLES

    role, _, reference = text.partition("=")
    # The message does not show the text: somebody may have pasted the key itself.
    if role not in SIGNING_ROLES or not reference:
        roles = " ".join(SIGNING_ROLES)
        raise ConfigError("not a key of a role", locator="--key", expected=f"ROLE=KEY, of {roles}")
    return role, reference


def add_at(parser: argparse.ArgumentParser) -> None:
    """Add ``--at``: judge validity at a past time, for audits."""
    parser.add_argument(
        "--at", help="time at which evidence must be valid, RFC 3339 UTC (default: now)"
    )


def at_of(arguments: argparse.Namespace) -> datetime:
    """Return the time to judge at, with its zone: UTC.

    Raises:
        ConfigError: ``--at`` is not a timestamp.
    """
    if not arguments.at:
        return now()
    from sluicegate.attest.timestamps import parse_timestamp

    try:
        return parse_timestamp(arguments.at)
    except VerificationError as error:
        raise ConfigError(
            "not a timestamp", locator="--at", expected="2026-01-31T12:00:00Z"
        ) from error


def now() -> datetime:
    """Return the current time in UTC with its zone, in whole seconds as evidence records it."""
    return datetime.now(UTC).replace(microsecond=0)


def command_line_run() -> dict[str, str]:
    """Return who runs this command, for provenance; it is only a claim of the signer.

    In a task of Airflow, the run is named too: its record tells which person started it.
    """
    named = {"dag_id": "DAG_ID", "run_id": "DAG_RUN_ID", "task_id": "TASK_ID"}
    found = {key: os.environ.get(f"AIRFLOW_CTX_{name}", "") for key, name in named.items()}
    task = found if all(found.values()) else {}
    return {"orchestrator": "command line", "user": user_name(), **task}


def user_name() -> str:
    """Return the login name, or the number of a user without one, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        return str(os.getuid())


def exit_code_of(error: SluicegateError, arguments: argparse.Namespace) -> int:
    """Return the exit code of an error.

    Args:
        error: What ended the command.
        arguments: Parsed. With ``--exit-by-code`` the error's own number counts, otherwise that
            of its outcome.
    """
    if getattr(arguments, "exit_by_code", False):
        return error.own_exit_code
    return error.outcome.value


def emit(value: Mapping[str, Any], lines: Sequence[str], *, as_json: bool) -> None:
    """Print a result as one JSON object or as lines for a person.

    Args:
        value: The result, in types that JSON has.
        lines: The same for a person; control characters in them are escaped.
        as_json: Print the object and not the lines.

    Raises:
        OutputLost: Standard output does not take it.
    """
    if as_json:
        write_out(json.dumps(value, sort_keys=True))
    else:
        say(lines)


def say(lines: Sequence[str]) -> None:
    """Print lines for a person; no name in an element begins a line of its own.

    On a terminal results are coloured, and the text behind them wraps.

    Raises:
        OutputLost: Standard output does not take them.
    """
    shown = [visible(line, None) for line in lines]
    if is_terminal(sys.stdout):
        width = get_terminal_size().columns
        shown = [for_terminal(line, width) for line in shown]
    write_out("\n".join(shown))


class OutputLost(Exception):
    """Standard output did not take the answer; the cause says why."""


def write_out(text: str) -> None:
    """Print and flush: at the interpreter's end, nobody could report a failed write.

    Raises:
        OutputLost: The disk is full, or the reader is gone.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        raise OutputLost from error


def size_of(contents: Contents) -> tuple[str, int]:
    """Return what a batch consists of, ``files`` or ``rows``, and how many of them."""
    from sluicegate.attest.sealed_table import SealedTable
    from sluicegate.digest.merkle_files import MerkleFiles

    if isinstance(contents, SealedTable):
        return "rows", contents.n_rows
    if isinstance(contents, MerkleFiles):
        return "files", contents.n_files
    return "files", len(contents.files)


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    """Return a table as lines of text; all columns but the last are padded.

    Args:
        rows: Cells of each row, one for each column.
        header: Names of the columns.
    """
    # Each cell is escaped and cut before its column is measured: no cell pushes another off the
    # screen.
    cells = [list(header), *[[visible(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header) - 1)]
    lines = []
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return lines
