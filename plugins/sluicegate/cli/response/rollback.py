"""`sluicegate rollback`: make the last trusted batch of a source its newest one again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Subparsers,
    add_installation,
    command,
    command_line_run,
    emit,
    installation_of,
)

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "rollback",
        run,
        "go back to the last batch on which training was allowed",
        ["sluicegate rollback flights --home sluice"],
    )
    parser.add_argument("source", help="name of the source")
    parser.add_argument(
        "--to",
        metavar="DIGEST",
        help="dirHash1 digest to go back to (default: the last that was allowed)",
    )
    add_installation(parser, signs=True)


def run(arguments: argparse.Namespace) -> int:
    """Make an older batch the newest, and say whether it must be judged again first."""
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.cli.response.release import digest_of
    from sluicegate.errors import SluicegateError
    from sluicegate.workflow.admission.admit import admit_training
    from sluicegate.workflow.auditing.history import roll_back

    place = installation_of(arguments)
    home, at = place.home, place.at
    batch = roll_back(
        place.evidence(append=True),
        read_policy(home.policy),
        arguments.source,
        to=digest_of(arguments.to),
        signer=place.signer("source"),
        run=command_line_run(),
        at=at,
    )
    try:
        admit_training(home, [arguments.source], at=at)
    except SluicegateError as error:
        # Its verdict may have expired, or an earlier policy may have led to it.
        then = f"not admitted yet: {error.what}; run `sluicegate gate {arguments.source}`"
    else:
        then = "training may start"
    emit(
        {
            "source": batch.source,
            "digest": str(batch.digest),
            "version": batch.version,
            "then": then,
        },
        [f"{batch.source} is back at {batch.digest.short} as version {batch.version}; {then}"],
        as_json=arguments.json,
    )
    return 0
