"""`sluicegate lineage`: verify what a batch was made of, back to the sources."""

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
        "lineage",
        run,
        "draw and verify the chain from a batch back to its sources",
        [
            "sluicegate lineage --home sluice --source features",
            "sluicegate lineage --home sluice --source features --svg lineage.svg --json",
        ],
    )
    parser.add_argument("--source", required=True, help="name of the source")
    parser.add_argument("--digest", help="digest of the batch, dirHash1:… (default: the newest)")
    parser.add_argument("--svg", type=Path, metavar="OUT.svg", help="write a drawing")
    add_installation(parser, at=True)


def run(arguments: argparse.Namespace) -> int:
    """Trace the chain, print it, and draw it if asked; 0 only if all of it is proven."""
    from sluicegate.adapters.files.named_file import write_named
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.exporting.lineage import svg, text_tree, trace

    place = installation_of(arguments)
    digest = Digest.parse(arguments.digest) if arguments.digest else None
    top = trace(place.audited(), arguments.source, at=place.at, digest=digest)
    if arguments.svg is not None:
        write_named(arguments.svg, svg(top).encode(), "the drawing cannot be written")
    proven = {0: "PROVEN", 1: "NOT PROVEN", 2: "INCOMPLETE"}[top.exit_code]
    emit(
        {"proven": top.exit_code == 0, "chain": top.to_dict()},
        [f"{arguments.source}: {proven}", *text_tree(top)],
        as_json=arguments.json,
    )
    return top.exit_code
