"""Entry point of the console script: parse, dispatch, map every error to an exit code.

Exit codes are the same for every command: 0 passed, 1 checked and bad, 2 could not check,
64 called wrongly, 130 interrupted. `verify --exit-by-code` alone tells failures further apart.
No exception leaves this module: what is not an error of ours gets a code in `foreign`.
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

_INTERRUPTED = 130  # 128 and SIGINT, as a shell says it

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
    "gate",
    "model",
    "response.waive",
    "response.quarantine",
    "response.release",
    "response.rollback",
    "response.history",
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
"""Command to module below `sluicegate.cli`, in the order in which help lists them."""


class Parser(argparse.ArgumentParser):
    """ArgumentParser whose usage errors exit with 64, not with "could not check"."""

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, and exit."""
        message = _without_values(message)
        self.print_usage(sys.stderr)
        self.exit(Outcome.CALLED_WRONGLY.value, f"{self.prog}: {visible(message)}\n")


def _without_values(message: str) -> str:
    """Return a message of argparse without what was typed: it may be a pasted secret."""
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
    for module in COMMANDS.values():
        import_module(f"sluicegate.cli.{module}").register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program name; the process's own when None.

    Returns:
        The exit code.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A name that the terminal's encoding lacks must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = build_parser().parse_args(argv)
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
    """Report an answer that nobody got, unless whoever read had seen enough."""
    with suppress(OSError, ValueError):  # or Python tries again at its end, and says so
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
