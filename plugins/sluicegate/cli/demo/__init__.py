"""`sluicegate demo`: six stories with real data, real attacks and the real scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import Subparsers, add_json, command

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "demo",
        run,
        "run six stories through a private Airflow, or write the demo's data",
        [
            "sluicegate demo",
            "sluicegate demo --keep                 (leave Airflow up to look around)",
            "sluicegate demo data --out flights",
        ],
    )
    parser.add_argument(
        "action",
        choices=["run", "data"],
        nargs="?",
        default="run",
        help="run the stories, or only write the data (default: run)",
    )
    parser.add_argument("--out", type=Path, default=Path(".demo"), help="directory to work in")
    parser.add_argument("--keep", action="store_true", help="leave Airflow running until Ctrl-C")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the stories, or write the data; 0 if each story ended as it should."""
    if arguments.action == "data":
        from sluicegate.cli.demo.flights import write_flights

        paths = write_flights(arguments.out)
        print(f"{len(paths)} months in {arguments.out}")
        return 0
    from sluicegate.cli.demo.runner import run_demo

    return run_demo(arguments.out, keep=arguments.keep, as_json=arguments.json)
