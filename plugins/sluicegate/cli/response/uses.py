"""`sluicegate uses`: which batches and models were made of a batch, a file, or a contributor."""

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

if TYPE_CHECKING:
    import argparse

    from sluicegate.workflow.evidence.verified import Evidence


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "uses",
        run,
        "list the features and models that were made of a batch, file, contributor or row",
        [
            "sluicegate uses flights --home sluice",
            "sluicegate uses flights --file month=04/flights.parquet --home sluice",
            "sluicegate uses flights --contributor UA --home sluice --json",
        ],
    )
    parser.add_argument("source", help="name of the source")
    parser.add_argument("--digest", help="only what was made of this batch")
    parser.add_argument(
        "--file",
        metavar="PATH",
        help="only what was made of batches with this file, by path or by hexadecimal digest",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--contributor", help="only what was made of batches with rows of this contributor"
    )
    which.add_argument("--row", metavar="ID", help="only what was made of batches with this row")
    parser.add_argument(
        "--column", help="column of the contributor or id (default: the one in the baseline)"
    )
    add_installation(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask the ledger and print; 2 if an entry does not verify, so that its uses are unknown."""
    from sluicegate.workflow.auditing.uses import Asked, uses_of

    place = installation_of(arguments)
    evidence = place.audited()
    value = arguments.contributor or arguments.row
    asked = Asked(
        digest=arguments.digest,
        file=arguments.file,
        column=None if value is None else arguments.column or _column(arguments, evidence),
        value=value,
    )
    answer = uses_of(evidence, arguments.source, asked, at=place.at)
    rows = [
        (
            "model" if use.is_model else "batch",
            use.source,
            use.digest.partition(":")[2][:12],
            ", ".join(f"{name}@{digest.partition(':')[2][:12]}" for name, digest in use.of),
            str(use.index),
        )
        for use in answer.found
    ]
    lines = [f"{len(answer.batches)} batch(es) of {arguments.source} match"]
    lines += table(rows, ("KIND", "NAME", "DIGEST", "MADE OF", "ENTRY")) if rows else ["no use"]
    if answer.unverified:
        listed = ", ".join(map(str, answer.unverified[:10]))
        lines.append(f"unknown: entries that do not verify: {listed}; run `sluicegate audit`")
    emit(
        {
            "batches": [f"{name}@{digest}" for name, digest in answer.batches],
            "uses": [use.to_dict() for use in answer.found],
            "unverified": list(answer.unverified),
        },
        lines,
        as_json=arguments.json,
    )
    return 2 if answer.unverified else 0


def _column(arguments: argparse.Namespace, evidence: Evidence) -> str:
    """Return the column that the anchored baseline names.

    Raises:
        ConfigError: The baseline names none.
    """
    from sluicegate.errors import ConfigError
    from sluicegate.gate.promotion import Lane
    from sluicegate.workflow.baselines.in_force import baselines_in_force

    place = installation_of(arguments)
    known = baselines_in_force(place.home, evidence, arguments.source, at=place.at)
    schema = known[Lane.ANCHORED].baseline.schema
    column = schema.id if arguments.contributor is None else schema.contributor
    if column is None:
        raise ConfigError(
            "the baseline names no such column", locator=arguments.source, next_step="Use --column."
        )
    return column
