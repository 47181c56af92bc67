"""`sluicegate export`: write the evidence of one batch or model run, to verify anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import Subparsers, add_installation, command, emit, installation_of

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "export",
        run,
        "write the evidence of one batch or model run to a folder that verifies offline",
        [
            "sluicegate export --home sluice --source flights --out evidence --controls",
            (
                "sluicegate export --home sluice --verdict sha256:ab12... --out evidence "
                "--model model.joblib --archive evidence.tar.gz"
            ),
        ],
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--source", help="source whose newest batch to export")
    which.add_argument(
        "--verdict", help="digest of the verdict's envelope, as a model card names it"
    )
    parser.add_argument("--digest", default="", help="with --source: this exact batch")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--archive", type=Path, help="also pack the folder as .tar.gz, always with the same bytes"
    )
    parser.add_argument("--controls", action="store_true", help="add the control report")
    parser.add_argument("--mlbom", action="store_true", help="add a CycloneDX 1.6 ML-BOM")
    parser.add_argument("--model", type=Path, help="model file to name in the ML-BOM")
    parser.add_argument("--openlineage", action="store_true", help="add an OpenLineage event")
    add_installation(parser, at=True)


def run(arguments: argparse.Namespace) -> int:
    """Write the folder, and print what it holds."""
    from sluicegate.workflow.exporting.aside import written_aside
    from sluicegate.workflow.exporting.export import Extras, export_run, find_batch, write_archive

    place = installation_of(arguments)
    at, evidence = place.at, place.evidence()
    batch = find_batch(
        evidence,
        at=at,
        source=arguments.source or "",
        digest=arguments.digest,
        verdict=arguments.verdict or "",
    )
    extras = Extras(
        controls=arguments.controls,
        mlbom=arguments.mlbom,
        openlineage=arguments.openlineage,
        model=arguments.model,
    )
    with written_aside(arguments.out) as folder:
        written = export_run(evidence, batch, folder, at=at, extras=extras)
    lines = [f"exported {batch.source}@{batch.digest.short} to {arguments.out}", *written]
    value = {"out": str(arguments.out), "digest": str(batch.digest), "files": written}
    if arguments.archive is not None:
        digest = write_archive(arguments.out, arguments.archive)
        value["archive"] = str(digest)
        lines.append(f"{arguments.archive}: {digest}")
    emit(value, lines, as_json=arguments.json)
    return 0
