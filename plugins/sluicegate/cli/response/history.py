"""`sluicegate history`: show what became of each batch of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Subparsers,
    add_installation,
    command,
    emit,
    installation_of,
    table,
)
from sluicegate.signals.contributors.names import pseudonym
from sluicegate.untrusted import visible

if TYPE_CHECKING:
    import argparse

    from sluicegate.workflow.auditing.history import Version


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "history",
        run,
        "list the sealed batches of a source with verdicts, custody and what was made of them",
        [
            "sluicegate history flights --home sluice",
            "sluicegate history flights --file 2013-04.parquet --json",
        ],
    )
    parser.add_argument("source", help="name of the source")
    parser.add_argument("--file", metavar="PATH", help="only batches that hold this file")
    parser.add_argument(
        "--digest", help="only this batch, or batches that hold a file with this digest"
    )
    parser.add_argument("--contributor", help="only batches whose findings name this contributor")
    add_installation(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the batches that the options choose."""
    from sluicegate.workflow.auditing.history import versions

    place = installation_of(arguments)
    found = [
        version
        for version in versions(place.audited(), arguments.source, at=place.at)
        if _wanted(version, arguments)
    ]
    rows = [
        (
            str(version.batch.version),
            version.batch.digest.short,
            version.sealed_at,
            "quarantined"
            if version.quarantined
            else (version.verdict.result.value if version.verdict else "not judged"),
            version.run.get("rollback", ""),
        )
        for version in found
    ]
    emit(
        {"source": arguments.source, "versions": [version.to_dict() for version in found]},
        table(rows, ("VERSION", "DIGEST", "SEALED", "STANDING", "NOTE")),
        as_json=arguments.json,
    )
    return 0


def _wanted(version: Version, arguments: argparse.Namespace) -> bool:
    batch = version.batch
    entries = () if batch.table is not None else batch.manifest.entries
    if arguments.file and arguments.file not in {entry.path for entry in entries}:
        return False
    if arguments.contributor:
        reasons = version.verdict.reasons if version.verdict else ()
        # A message holds the name, or its pseudonym if the policy of that time hid names.
        called = (arguments.contributor, pseudonym(arguments.contributor))
        named = [f"contributor {visible(name)}" for name in called]
        if not any(name in reason.message for reason in reasons for name in named):
            return False
    if arguments.digest:
        wanted = arguments.digest.rpartition(":")[2]
        hexes = {version.batch.digest.hex, *(entry.digest.hex for entry in entries)}
        return wanted in hexes
    return True
