"""Entry point of the console script: parse, dispatch, map every error to an exit code.

Exit codes are the same for every command: 0 passed, 1 checked and bad, 2 could not check,
64 called wrongly. `verify --exit-by-code` alone tells failures further apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from sluicegate import __version__
from sluicegate.cli.options import exit_code_of
from sluicegate.errors import Outcome, SluicegateError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEBUG = "SLUICEGATE_DEBUG"

COMMANDS = (
    "keygen",
    "trust",
    "seal",
    "verify",
    "digest",
    "fetch",
    "diff",
    "baseline",
    "check",
    "policy",
    "gate",
    "model",
    "waive",
    "quarantine",
    "release",
    "rollback",
    "history",
    "ledger",
    "lineage",
    "uses",
    "witness",
    "audit",
    "export",
    "demo",
    "doctor",
)


class Parser(argparse.ArgumentParser):
    """ArgumentParser whose usage errors exit with 64, not with "could not check"."""

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, and exit."""
        self.print_usage(sys.stderr)
        self.exit(Outcome.CALLED_WRONGLY.value, f"{self.prog}: {message}\n")


def build_parser() -> Parser:
    """Return the parser with every command registered."""
    parser = Parser(
        prog="sluicegate",
        description="Prove where training data came from, that nobody changed it, and that it "
        "carries no contamination signals.",
        epilog="Exit codes: 0 passed, 1 checked and bad, 2 could not check, 64 called wrongly.",
    )
    parser.add_argument("--version", action="version", version=f"sluicegate {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"sluicegate.cli.{name}").register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program name; the process's own when None.

    Returns:
        The exit code.
    """
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except SluicegateError as error:
        _report(error, as_json=getattr(arguments, "json", None) is True)
        return exit_code_of(error, arguments)
    except BrokenPipeError:
        return Outcome.COULD_NOT_CHECK.value
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was decided\n")
        return Outcome.COULD_NOT_CHECK.value
    except Exception as error:  # noqa: BLE001 - our own defect must not look like "passed"
        # The text of a foreign exception may quote data, so only its type is shown.
        sys.stderr.write(
            f"sluicegate: internal error ({type(error).__name__}); nothing was decided. "
            f"Set {_DEBUG}=1 to see where, and report it.\n"
        )
        if os.environ.get(_DEBUG):
            traceback.print_exc()
        return Outcome.COULD_NOT_CHECK.value


def _report(error: SluicegateError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error.to_dict()}, sort_keys=True))
    from sluicegate.workflow.stopped import block

    sys.stderr.write(f"sluicegate: {block(error)}\n")


if __name__ == "__main__":
    raise SystemExit(main())
