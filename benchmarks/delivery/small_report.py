"""The report on small batches: clean ones that were blocked, and poison that was found."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from report_table import grouped, shortfall, table, upper_bound
from small import CLEAN, POISONED, REACHES, ROWS

from sluicegate.gate.pool import WANTED_ROWS
from sluicegate.signals.comparison import MIN_ROWS

if TYPE_CHECKING:
    from units import Record

_HEAD = """# Small batches

Written by `python benchmarks/delivery/run.py --small --write docs/small-batches.md`: {done} of
{n_units} units of work done{cut}.

The sources of [delivery](delivery.md), thinned to about twelve rows a day. The first two fifths of
the rows by time are the baseline. What follows comes in batches of {rows} rows through the real
gate: each is sealed, judged together with those before it, and its verdict is signed and logged, in
one ledger. The policy has no rule but that of `SCHEMA`. *Blocked* means FAILED, by a signal or by
one that could not be computed. Nothing is drawn at random but which rows are kept.

- *Waited*: batches before {least} rows were together and everything could be computed. They are
  blocked too, which is no error: nobody can say much of {rows} rows. They are not among the {clean}
  clean batches that come next and are counted, at most.
- *Flips by one contributor*: {poisoned} batches after the clean ones, in which all labels of the
  contributor with most rows are exchanged; measured ones are mirrored at the median.
- *One batch flipped*: one batch more, all its labels exchanged.
- *One row again*: one batch more, and two of nothing but copies of its first row under new ids.

A number under an attack is that of the first batch that was blocked; - where the source has no such
label or contributor. Where most clean batches are blocked, it says nothing. To reach: at most 1 in
100 clean batches blocked.
"""
_WHY = """## Blocked, and why

Read after the numbers were known; nothing was tuned on it.

- Ratings hardly follow the features: of 200 rows nobody could tell half of the labels flipped, so
  `LABEL_FLIPS` could not be computed. It is judged since, with what can be told of them; that is
  not in the numbers.
- Room rates repeat by nature and move with the season, and are blocked in larger batches too.
- Tests come from an epidemic that grows, beside a baseline of 492 rows.
- After a pool that failed as a whole the next batches wait again until 50 rows are together. They
  are counted as blocked.
"""
_CASES = {
    "flips by one contributor": "flips by one contributor",
    "one batch with all labels flipped": "one batch flipped",
    "one row again and again": "one row again",
}


def small_report(records: list[Record], *, n_units: int, done: int, n_old: int) -> str:
    """Return Markdown.

    Args:
        records: Results of all units.
        n_units: How many units there are.
        done: How many of them have results.
        n_old: How many of those were measured with other code.
    """
    cut = shortfall(n_units, done, n_old)
    head = _HEAD.format(
        done=done,
        n_units=n_units,
        cut=cut,
        rows=ROWS,
        least=MIN_ROWS,
        clean=CLEAN,
        poisoned=POISONED,
    )
    by_reach = grouped(records, lambda r: r["wanted"])
    ours = by_reach.get(str(WANTED_ROWS), [])
    return "\n".join([head, _sources(ours), _calm(ours), _WHY, _reaches(by_reach)])


def _calm(records: list[Record]) -> str:
    """Say of how many sources no clean batch was blocked."""
    clean = grouped((r for r in records if r["case"] == "clean"), lambda r: r["source"])
    calm = [own for own in clean.values() if all(r["verdict"] != "FAILED" for r in own)]
    n = sum(map(len, calm))
    most = 100 * upper_bound(0, n) if n else 100.0
    return (
        f"Of {len(calm)} of {len(clean)} sources no clean batch was blocked: 0 of {n} (at most "
        f"{most:.1f} %).\n"
    )


def _sources(records: list[Record]) -> str:
    rows = [
        _row(name, own) for name, own in sorted(grouped(records, lambda r: r["source"]).items())
    ]
    rows.append(_row("**all**", records))
    head = ("source", "waited", "clean", "blocked", "by", *_CASES.values())
    return f"## Pools of {WANTED_ROWS} rows\n\n" + table(head, rows)


def _row(name: str, records: list[Record]) -> list[str]:
    clean = [r for r in records if r["case"] == "clean"]
    blocked = [r for r in clean if r["verdict"] == "FAILED"]
    waited = [r["batches"] for r in records if r["case"] == "waited"]
    rate = f"{len(blocked)}"
    if name == "**all**":
        most = upper_bound(len(blocked), len(clean)) if clean else 1.0
        rate += f" ({100 * len(blocked) / max(len(clean), 1):.1f} %, at most {100 * most:.1f} %)"
    codes = sorted({code for r in blocked if r["left"] != "waiting" for code in r["fired"]})
    again = sum(r["left"] == "waiting" for r in blocked)
    why = ", ".join(f"`{code}`" for code in codes) + (f"; {again} waited again" if again else "")
    middle = f"{statistics.median(waited):g}" if waited else "-"
    return [name, middle, str(len(clean)), rate, why, *(_found(records, c) for c in _CASES)]


def _found(records: list[Record], case: str) -> str:
    own = [r for r in records if r["case"] == case]
    if not own:
        return "-"
    if len(own) > 1:
        return f"{sum(r['found'] is not None for r in own)} of {len(own)}"
    return "no" if own[0]["found"] is None else str(own[0]["found"])


def _reaches(by_reach: dict[str, list[Record]]) -> str:
    rows = []
    for wanted in map(str, REACHES):
        if not (records := by_reach.get(wanted)):
            continue
        _, _, n, blocked, _, *found = _row("**all**", records)
        rows.append([wanted, n, blocked, *found])
    text = (
        "The same with pools that reach less far. In a pool of hardly 50 rows a column with "
        "missing values has fewer than 50, and what is left without the newest batch cannot be "
        "judged, so every failure spends the whole pool.\n\n"
    )
    head = ("rows of a pool", "clean", "blocked", *_CASES.values())
    return f"## Why {WANTED_ROWS} rows\n\n" + text + table(head, rows)
