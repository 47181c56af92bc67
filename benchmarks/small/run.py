"""What is found in small tables of numbers, and how often clean batches of them are stopped.

    python benchmarks/small/run.py --quick                       about two minutes, printed
    python benchmarks/small/run.py --write docs/small-tables.md  about half an hour of one core

The **held-out** tables are `pitches`, `cells` and `tumours`; `cards`, `credit`, `yeast`, `segments`
and `wine` are for development (`tables`). Results are kept: a second call runs only units that are
missing or were measured with other code, and stops after ``--minutes``.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # what benchmarks share
sys.path.append(str(HERE.parent / "detection"))  # its attacks

from judge import Unit, run  # noqa: E402
from page import page  # noqa: E402
from tables import DEVELOPMENT, HELD_OUT, TABLES  # noqa: E402
from units import parser, reported  # noqa: E402

ATTACKED, CLEAN = 10, 20
"""Baselines of each table: with attacks, and with clean batches alone."""


def main() -> None:
    """Run what is missing, then write or print the report."""
    options = parser(__doc__.splitlines()[0], HERE / "results.jsonl")
    options.add_argument("--table", choices=sorted(TABLES), action="append", help="these only")
    arguments = options.parse_args()
    names = arguments.table or [*HELD_OUT, *DEVELOPMENT]
    attacked, clean = (2, 5) if arguments.quick else (ATTACKED, CLEAN)
    units = [Unit(name, seed) for seed in range(1, 1 + attacked) for name in names]
    units += [Unit(name, seed, False) for seed in range(1000, 1000 + clean) for name in names]
    reported(units, run, page, arguments)


if __name__ == "__main__":
    main()
