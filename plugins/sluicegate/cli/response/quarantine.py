"""`sluicegate quarantine`: set a batch, or the bad rows of one, aside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Subparsers,
    add_installation,
    command,
    command_line_run,
    emit,
    installation_of,
)
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "quarantine",
        run,
        "keep a batch from training, with its bytes and reasons; or keep out only its flagged rows",
        [
            'sluicegate quarantine flights --reason "supplier hacked" --home sluice',
            "sluicegate quarantine flights --rows rows.parquet --out data/flights-clean",
        ],
    )
    parser.add_argument("source", help="name of the source")
    parser.add_argument("--digest", help="dirHash1 digest of the batch (default: the newest)")
    parser.add_argument(
        "--reason", default="", help="why, in addition to the reasons of the verdict"
    )
    parser.add_argument("--rows", type=Path, help="row report that `check --rows` wrote")
    parser.add_argument("--out", type=Path, help="with --rows: directory of the clean remainder")
    add_installation(parser, signs=True)


def run(arguments: argparse.Namespace) -> int:
    """Set the batch aside; with a row report, also seal and judge the remainder.

    Raises:
        ConfigError: One of --rows and --out is missing, or the directory exists already.
    """
    from sluicegate.cli.response.release import digest_of
    from sluicegate.workflow.response.quarantine import batch_of, quarantine_batch, seal_remainder

    if (arguments.rows is None) != (arguments.out is None):
        raise ConfigError("--rows and --out go together")
    if arguments.out is not None and arguments.out.exists():
        raise ConfigError("the directory exists already", locator=str(arguments.out))
    place, by = installation_of(arguments), command_line_run()
    home, at = place.home, place.at
    evidence = place.evidence(append=True)
    batch = batch_of(evidence, arguments.source, digest_of(arguments.digest), at=at)
    gate = place.signer("gate")
    kept = quarantine_batch(
        home, evidence, batch, reason=arguments.reason, signer=gate, run=by, at=at
    )
    said = {"source": batch.source, "digest": str(batch.digest), "kept": str(kept)}
    lines = [f"quarantined {batch.source}@{batch.digest.short} in {kept}"]
    clean = None
    if arguments.rows is not None:
        clean, n_out = seal_remainder(
            evidence,
            batch,
            arguments.rows,
            arguments.out,
            signer=place.signer("source"),
            run=by,
            at=at,
        )
        said |= {"remainder": str(clean.digest), "rows_left_out": str(n_out)}
        lines.append(f"sealed the remainder as version {clean.version}, {n_out} rows left out")
    emit(said, lines, as_json=arguments.json)
    if clean is None:
        return 0
    from sluicegate.cli.response.release import gate_and_print

    return gate_and_print(place, clean, by, as_json=arguments.json)
