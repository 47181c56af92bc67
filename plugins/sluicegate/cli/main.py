"""Entry point of the console script: parse, dispatch, map each error to an exit code.

The exit codes of all commands are the same: 0 passed, 1 checked and bad, 2 could not check,
64 called wrongly, 130 interrupted. Only `verify --exit-by-code` distinguishes more failures.
No exception leaves this module: `foreign` gives a code to each error that is not ours.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from sluicegate import __version__
from sluicegate.cli.options import OutputLost, exit_code_of, write_out
from sluicegate.credentials import without_credentials
from sluicegate.errors import Outcome, SluicegateError
from sluicegate.foreign import DEBUG, coded
from sluicegate.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130  # 128 plus SIGINT's number, as in a shell

_OPTION = re.compile(r"--?[a-z][a-z-]*")

_MODULES = (
    "administration.keygen",
    "administration.trust",
    "seal",
    "verify",
    "digest",
    "fetch",
    "diff",
    "baseline",
    "check",
    "administration.policy",
    "signals",
    "gate",
    "model",
    "response.waive",
    "response.quarantine",
    "response.release",
    "response.rollback",
    "response.history",
    "administration.home",
    "administration.ledger",
    "lineage",
    "response.uses",
    "administration.witness",
    "audit",
    "export",
    "demo",
    "administration.doctor",
)
COMMANDS = {module.rpartition(".")[2]: module for module in _MODULES}
"""The module of each command below `sluicegate.cli`, in the order of the help text."""


class Parser(argparse.ArgumentParser):
    """ArgumentParser whose usage errors exit with 64, not with "could not check"."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message without what was typed, and exit with 64."""
        message = _without_values(message)
        self.print_usage(sys.stderr)
        self.exit(Outcome.CALLED_WRONGLY.value, f"{self.prog}: {visible(message)}\n")


def _without_values(message: str) -> str:
    """Return a message of argparse without what was typed, which may be a pasted secret."""
    from sluicegate.adapters.keys.reference import name_or_not

    what, _, typed = message.partition("unrecognized arguments: ")
    if typed:
        words = [word.partition("=")[0] for word in typed.split()]
        options = [word for word in words if _OPTION.fullmatch(word)]
        n_more = len(words) - len(options)
        return f"unrecognized arguments: {' '.join(options)}" + f" and {n_more} more" * (n_more > 0)
    what, choices, rest = message.partition(" (choose from")
    what = re.sub(r"(?s)(--[a-z-]+)=.*?(?= could match|$)", r"\1", what)
    return re.sub(r"(?s)'.*'", lambda found: name_or_not(found[0][1:-1]), what) + choices + rest


def build_parser(only: str | None = None) -> Parser:
    """Return the parser.

    Args:
        only: Name of the one command that it knows; None for all. Each command's module is a file
            to read, and 26 of them cost as much as a small check.
    """
    parser = Parser(
        prog="sluicegate",
        description="Prove where training data came from, that nobody changed it, and that it "
        "carries no contamination signals.",
        epilog="Exit codes: 0 passed, 1 checked and bad, 2 could not check, 64 called wrongly.",
    )
    parser.add_argument("--version", action="version", version=f"sluicegate {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS.values() if only is None else [COMMANDS[only]]:
        import_module(f"sluicegate.cli.{module}").register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program name; None takes the process's own.

    Returns:
        The exit code; see the top of this module.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A character that the terminal's encoding lacks must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    known = words[0] if words and words[0] in COMMANDS else None
    arguments = build_parser(known).parse_args(words)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OutputLost as lost:
        return _unread(lost)
    except Exception as error:  # noqa: BLE001 - nothing may leave that looks like "passed"
        found = coded(error)
        if os.environ.get(DEBUG):
            sys.stderr.write(without_credentials(traceback.format_exc()))
        _report(found, as_json=getattr(arguments, "json", None) is True)
        return exit_code_of(found, arguments)


def _unread(lost: OutputLost) -> int:
    """Report an answer that could not be written, unless its reader closed the pipe."""
    with suppress(OSError, ValueError):  # otherwise Python tries again at its end and reports it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if lost.__cause__ is not None and not isinstance(lost.__cause__, BrokenPipeError):
        found = coded(lost.__cause__, what="the answer could not be written", locator="output")
        _report(found, as_json=False)
    return Outcome.COULD_NOT_CHECK.value


def _report(error: SluicegateError, *, as_json: bool) -> None:
    if as_json:
        with suppress(OutputLost):
            write_out(json.dumps({"error": error.to_dict()}, sort_keys=True))
    from sluicegate.workflow.admission.stopped import block

    sys.stderr.write(f"sluicegate: {block(error)}\n")


if __name__ == "__main__":
    raise SystemExit(main())
