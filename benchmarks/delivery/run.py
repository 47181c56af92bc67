"""Clean data in every usual pattern of delivery, and poison in it; a Markdown table.

    python benchmarks/delivery/run.py --quick                   about two minutes, printed
    python benchmarks/delivery/run.py --write docs/delivery.md  about half an hour of one core
    python benchmarks/delivery/run.py --small --write docs/small-batches.md  about half an hour, too

Results are kept: a second call runs only units that are missing or were measured with other code,
and stops after ``--minutes``. Sources and patterns: `sources`, `patterns`.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # what benchmarks share

from measure import Unit, run  # noqa: E402
from patterns import PLANS  # noqa: E402
from report import report  # noqa: E402
from small import REACHES, Small  # noqa: E402
from small import run as run_small  # noqa: E402
from small_report import small_report  # noqa: E402
from sources import SOURCES  # noqa: E402
from units import parser, reported  # noqa: E402

from sluicegate.gate.pool import WANTED_ROWS  # noqa: E402

_POOLING = (
    "gate/pool.py",
    "workflow/judging/counted_rows.py",
    "workflow/judging/gate.py",
    "workflow/judging/pooling.py",
)


def main() -> None:
    """Run what is missing, then write or print the report."""
    options = parser(__doc__.splitlines()[0], HERE / "results.jsonl")
    options.add_argument("--source", choices=sorted(SOURCES), help="this one only")
    options.add_argument("--plan", choices=sorted(PLANS), help="this one first")
    options.add_argument("--small", action="store_true", help="batches of twelve rows instead")
    arguments = options.parse_args()
    names = ["stops", "births"] if arguments.quick else list(SOURCES)
    names = [arguments.source] if arguments.source else names
    if not arguments.small:
        plans = sorted(PLANS, key=lambda plan: plan != arguments.plan)
        units = [Unit(name, plan) for plan in plans for name in names]
        reported(units, run, report, arguments, _POOLING)
        return
    if arguments.results == HERE / "results.jsonl":
        arguments.results = HERE / "small.jsonl"
    reaches = sorted(REACHES, key=lambda wanted: wanted != WANTED_ROWS)  # ours first
    small = [Small(name, wanted) for wanted in reaches for name in names]
    reported(small, run_small, small_report, arguments, _POOLING)


if __name__ == "__main__":
    main()
