"""What the signals find and what they cost in false alarms, on real data; a Markdown table.

    python benchmarks/detection/run.py --quick                    about two minutes, printed
    python benchmarks/detection/run.py --write docs/detection.md  about half an hour of one core

Results are kept: every finished unit is one line of ``--results``, with a digest of the code that
decides. A second call runs only units that are missing or were measured with other code, and stops
after ``--minutes``. Sources and their wheels: `sources`.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # what benchmarks share

from measure import Unit, described, run  # noqa: E402
from report import report  # noqa: E402
from units import measured, parser, publish  # noqa: E402

SMALL, LARGE = (3000, 1500), (20_000, 10_000)
NAMES = ("flights", "diamonds", "pen", "reviews", "digits")
RATES = (0.01, 0.03)
ALL_RATES = (0.005, 0.01, 0.03, 0.05, 0.1)
# A baseline of pen or digits costs seconds, and digits leave rows for one batch only.
BATCHES = {"flights": 4, "diamonds": 4, "pen": 4, "reviews": 4, "digits": 1}
CASE_SEEDS = {"flights": 3, "diamonds": 3, "pen": 2, "reviews": 5, "digits": 4}
CLEAN = {
    ("flights", 3000, 1000): (60, 2),
    ("reviews", 3000, 1000): (30, 4),
    ("diamonds", 3000, 1000): (20, 5),
    ("pen", 3000, 1000): (10, 5),
    ("digits", 3000, 1000): (10, 1),
    ("flights", *LARGE): (15, 4),
    ("diamonds", *LARGE): (8, 2),
    ("flights", 120_000, 100_000): (15, 2),
}
"""Baselines, and batches of each, by source and rows."""
# The largest multiple of two that 25,000 reviews of enough length allow.
LARGE_BY_NAME = {"flights": LARGE, "diamonds": LARGE, "reviews": (12_000, 6_000)}
_RAMPED = ("flights", "diamonds", "reviews")


def quick_units() -> list[Unit]:
    """Return one seed of the fast sources at 3 %."""
    units = [Unit("cases", name, *SMALL, 1, 1, (0.03,)) for name in ("flights", "reviews")]
    units += [Unit("clean", "flights", 3000, 1000, seed, 4) for seed in range(5)]
    return [*units, Unit("ramp", "flights", *SMALL, 1)]


def full_units() -> list[Unit]:
    """Return all units in turns, so that a run that is cut short has some of everything."""
    queues = [
        [
            Unit("cases", n, *SMALL, seed, BATCHES[n], RATES)
            for seed in range(1, 6)
            for n in NAMES
            if seed <= CASE_SEEDS[n]
        ]
    ]
    queues += [
        [Unit("clean", *key, seed, n) for seed in range(1000, 1000 + baselines)]
        for key, (baselines, n) in CLEAN.items()
    ]
    queues.append([Unit("ramp", n, *SMALL, seed) for seed in range(1, 8) for n in _RAMPED])
    queues.append(
        [
            Unit("cases", n, *s, seed, 1, (0.03,))
            for seed in (1, 2)
            for n, s in LARGE_BY_NAME.items()
        ]
    )
    queues.append([Unit("sizes", "flights", 20_000, 1500, seed) for seed in (1, 2, 3)])
    queues.append([Unit("attacks", n, *SMALL, 1, 1, ALL_RATES) for n in NAMES])
    spread = [(i / len(q), k, unit) for k, q in enumerate(queues) for i, unit in enumerate(q)]
    return [unit for _, _, unit in sorted(spread, key=lambda item: item[:2])]


def main() -> None:
    """Run what is missing, then write or print the report."""
    arguments = parser(__doc__.splitlines()[0], HERE / "results.jsonl").parse_args()
    units = {u.name: u for u in (quick_units() if arguments.quick else full_units())}
    results, code = measured(list(units.values()), run, arguments)
    text = report(
        [described(units[name], r) for name, line in results.items() for r in line["records"]],
        n_units=len(units),
        n_old=sum(line["code"] != code for line in results.values()),
    )
    publish(text, arguments)


if __name__ == "__main__":
    main()
