"""`sluicegate digest`: print the digest that seals and verdicts name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.cli.options import Subparsers, add_hash, add_json, command, emit

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "digest",
        run,
        "print the digest of a source as algorithm:hex, as its seal names it",
        ["sluicegate digest data/2013-04", "sluicegate digest data/2013-04 --table"],
    )
    parser.add_argument(
        "source", help="file, directory, glob, URL of an object store, or DATABASE-URL#TABLE"
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="print the digest of the rows, which depends on neither their order nor their files",
    )
    add_hash(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Hash the source, and print its digest."""
    from sluicegate.adapters.sources.rows import is_rows

    if arguments.table or is_rows(arguments.source):
        return _run_table(arguments)
    from sluicegate.adapters.sources.open import open_source
    from sluicegate.workflow.sealing.hash_choice import algorithm_for

    source = open_source(arguments.source)
    manifest = source.manifest(algorithm_for(source, arguments.hash))
    emit(
        {"digest": str(manifest.digest), "files": len(manifest.files)},
        [str(manifest.digest)],
        as_json=arguments.json,
    )
    return 0


def _run_table(arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.engines.table_commitment import commit_batches
    from sluicegate.workflow.sealing.sealed_rows import rows_of

    made = commit_batches(rows_of(arguments.source), locator=arguments.source)
    emit(
        {"digest": str(made.digest), "rows": made.n_rows, "columns": list(made.schema.names)},
        [str(made.digest)],
        as_json=arguments.json,
    )
    return 0
