"""`sluicegate diff`: name the files in which two seals differ, or the rows of two tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import Subparsers, add_json, command, emit
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from sluicegate.workflow.sealing.table_difference import TableDifference


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "diff",
        run,
        "name the files that differ between two seals; with --key, the rows of two tables",
        [
            "sluicegate diff evidence-march evidence-april",
            "sluicegate diff data-march data-april --key id --label label",
            "sluicegate diff evidence-march data-april --key id",
            "sluicegate diff s3://lake/march 'days/*.parquet' --key id",
        ],
    )
    parser.add_argument(
        "a", metavar="A", help="older side: evidence; with --key, also a locator of data"
    )
    parser.add_argument(
        "b", metavar="B", help="newer side: evidence; with --key, a locator of data, as for check"
    )
    parser.add_argument(
        "--key", metavar="COLUMN", help="compare rows, and name them by this column"
    )
    parser.add_argument("--label", metavar="COLUMN", help="count flips of this column")
    parser.add_argument("--contributor", metavar="COLUMN", help="count flips by this column")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the differences; 0 if there is none, 1 otherwise.

    Raises:
        ConfigError: --label or --contributor without --key, or the newer side is evidence.
    """
    if arguments.key is not None:
        return _run_rows(arguments)
    if arguments.label or arguments.contributor:
        raise ConfigError("rows are compared by a key", locator="--label", expected="--key COLUMN")
    from sluicegate.workflow.evidence.folder import read_manifest

    diff = read_manifest(Path(arguments.a)).diff(read_manifest(Path(arguments.b)))
    kinds = {
        "added": list(diff.added),
        "removed": list(diff.removed),
        "changed": list(diff.changed),
        "renamed": [f"{old} -> {new}" for old, new in diff.renamed],
    }
    lines = [f"{kind}  {name}" for kind, names in kinds.items() for name in names]
    emit(kinds, lines or ["no difference"], as_json=arguments.json)
    return 1 if lines else 0


def _run_rows(arguments: argparse.Namespace) -> int:
    from sluicegate.workflow.sealing.table_difference import difference, is_evidence
    from sluicegate.workflow.sealing.table_record import Key

    if is_evidence(arguments.b):
        raise ConfigError(
            "the second side must be data",
            locator=arguments.b,
            next_step="Evidence can stand for the older side only.",
        )
    key = Key(arguments.key, arguments.label)
    found = difference(arguments.a, arguments.b, key, contributor=arguments.contributor)
    emit(found.to_dict(), _lines(found), as_json=arguments.json)
    return 0 if found.is_empty else 1


def _lines(found: TableDifference) -> list[str]:
    kinds = (("changed", found.changed), ("added", found.added), ("removed", found.removed))
    lines = [f"{kind}  {name}" for kind, names in kinds for name in names]
    flips = [
        f"label flip  {old} -> {new}  {n} rows" + (f"  by {contributor}" if contributor else "")
        for (old, new, contributor), n in sorted(found.flips.items())
    ]
    return [*lines, *flips] or ["no difference"]
