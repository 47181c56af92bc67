"""What every table of the report uses: groups, bounds, marks."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sluicegate.signals.decision.tails import binomial_lower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from units import Record

SHOWN = 20  # fewer batches without a miss do not show a rate of 0.85
_ENOUGH = 60  # fewer splits say nothing about one in a hundred


def shortfall(n_units: int, done: int, n_old: int) -> str:
    """Say what a report lacks, to go on a sentence with; "" for nothing.

    Args:
        n_units: How many units there are.
        done: How many of them have results.
        n_old: How many of those were measured with other code.
    """
    cut = "" if done == n_units else "; **incomplete**, numbers rest on fewer cases than planned"
    if n_old:
        cut += f"; {n_old} units were measured with an earlier version of the signals"
    return cut


def is_found(record: Record) -> bool:
    """Return whether a signal that blocks fired."""
    return bool(record["fired"])


def at_rate_and_size(record: Record, rate: float, n: int) -> bool:
    """Return whether a record is of this share of poison and this many rows."""
    return bool(record["rate"] == rate and record["n"] == n)


def mark(reached: bool | None, n: int) -> str:
    """Say "met" or "missed", and "so far" where too few batches show it."""
    if reached is None:
        return "-"
    if not reached:
        return "**missed**"
    return "met" if n >= SHOWN else "so far"


def supported(alarms: int, n: int) -> str:
    """Say "met" only when so many batches can show it."""
    if n < _ENOUGH:
        return "-"
    if alarms / n > 0.01:
        return "**missed**"
    return "met" if upper_bound(alarms, n) <= 0.01 else "so far"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def upper_bound(k: int, n: int) -> float:
    """Upper 95 % bound of a rate (Clopper and Pearson)."""
    return 1.0 - binomial_lower(n - k, n)


def grouped(records: Iterable[Record], key: Callable[[Record], object]) -> dict[str, list[Record]]:
    """Return the records by what a function says of each."""
    out: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        out[str(key(record))].append(record)
    return dict(out)


def case_name(record: Record) -> str:
    """Return the name of a case, as people read it."""
    return str(record["case"]).replace("_", " ")


def verdict_of(record: Record) -> str:
    """Return the verdict of a record."""
    return str(record["verdict"])
