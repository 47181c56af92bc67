"""Clean data in every usual pattern of delivery, and poison in it; a Markdown table.

    python benchmarks/delivery/run.py --quick                   about two minutes, printed
    python benchmarks/delivery/run.py --write docs/delivery.md  about half an hour of one core

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
from sources import SOURCES  # noqa: E402
from units import measured, parser, publish  # noqa: E402


def main() -> None:
    """Run what is missing, then write or print the report."""
    options = parser(__doc__.splitlines()[0], HERE / "results.jsonl")
    options.add_argument("--source", choices=sorted(SOURCES), help="this one only")
    arguments = options.parse_args()
    names = ["stops", "births"] if arguments.quick else list(SOURCES)
    names = [arguments.source] if arguments.source else names
    units = [Unit(name, plan) for plan in PLANS for name in names]
    results, code = measured(units, run, arguments)
    text = report(
        [r for line in results.values() for r in line["records"]],
        n_units=len(units),
        done=len(results),
        n_old=sum(line["code"] != code for line in results.values()),
    )
    publish(text, arguments)


if __name__ == "__main__":
    main()
