"""The page about what a check costs: a table a size, and each goal with what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Found = Mapping[tuple[str, int], "Cost"]
    """By tool and rows; documents are counted below zero."""


class Cost(Protocol):
    """CPU seconds and peak megabytes of a process."""

    cpu_s: float
    peak_mb: int


NAMES = {
    "read": "read the file, nothing else",
    "bare": "bare numpy counting loop",
    "duckdb": "DuckDB `histogram`",
    "polars": "Polars, streaming",
    "great_expectations": "Great Expectations, KL divergence of each column",
    "counts": "`sluicegate check`, signals from counts",
    "labels": "`sluicegate check`, label model and triggers too",
    "text": "`sluicegate check`, text and label",
}
GOALS = {1_000_000: (3.0, 400), 10_000_000: (15.0, 400)}
"""CPU seconds and megabytes by rows."""
MODEL_S = 20.0
BARE_TIMES = 2.0
DOCUMENTS = 50_000


def page(
    found: Found, versions: Mapping[str, str], columns: int, *, called: str, machine: str
) -> str:
    """Return the page.

    Args:
        found: What was measured.
        versions: Versions of other tools; "" for one that is not installed.
        columns: Of the tables.
        called: Arguments of the command.
        machine: Where it ran.
    """
    goals = "\n".join(_goals(found))
    tables = "\n\n".join(_table(found, rows) for rows in dict.fromkeys(r for _, r in found))
    named = ", ".join(f"{name} {v}" for name, v in versions.items() if v)
    return f"""# What a check costs

Written by `python benchmarks/check/run.py {called}`.

{machine}.
The goals are about an idle machine: a load above 1 makes everything slower, by up to a fifth here.
CPU is user plus system of the whole process, imports included; memory is its peak. Tables have
{columns} columns: a label, every fifth a category, the rest numbers. The check is the command
`sluicegate check BATCH --baseline BASELINE --json OUT.json` against a baseline of 20,000 rows.
Other tools ({named})
count the same cells and nothing more.

## Goals

| what | goal | measured | |
|---|---|---|---|
{goals}

{tables}

{_NOTES}"""


_NOTES = """## What bounds it

- **Reading** the file is the first part of every line; the bare loop adds one binary search a
  value against 64 edges. A check adds, for each row, four fingerprints for copies, the
  extremeness of outlying values and, with a label, the margin under the reference model and a
  table of values by class.
- **Start-up** is about 0.8 CPU s of a check and 0.45 of the bare loop (a batch of 1,000 rows takes
  that), so at 1,000,000 rows a third of the check is spent before the first row, and the ratio to
  the bare loop is worse there than at ten times the rows.
- `benchmarks/speed/run.py --against CHECKOUT` runs the same commands of two versions in turns and
  prints their ratios, which the load of a machine changes less than seconds.
- **Memory** does not grow with clean rows. What it needs is one record batch as it is decoded, the
  row group it comes from, the libraries (about 130 MB) and, with a label, tables of a few
  megabytes.
- Evidently, Deepchecks, whylogs, alibi-detect, Frouros and TensorFlow Data Validation do not
  install or import beside current pandas and numpy, so no ratio to them can be measured here.
"""


def _goals(found: Found) -> Iterator[str]:
    for rows, (most_s, most_mb) in GOALS.items():
        if ("counts", rows) not in found:
            continue
        size, counts, labels = f"{rows:,} rows", found["counts", rows], found["labels", rows]
        ratio = counts.cpu_s / found["bare", rows].cpu_s
        yield _goal(f"{size}, signals from counts", most_s, counts.cpu_s, "CPU s")
        yield _goal(f"{size}, signals from counts", most_mb, counts.peak_mb, "MB")
        yield _goal(f"{size}, of the bare loop", BARE_TIMES, ratio, "times")
        more = labels.cpu_s - counts.cpu_s
        yield _goal(f"{size}, label model and triggers, more", MODEL_S, more, "CPU s")
        yield _goal(f"{size}, label model and triggers", most_mb, labels.peak_mb, "MB")
    for (name, rows), cost in found.items():
        if name == "text":
            rate = -rows / cost.cpu_s
            met = "met" if rate >= DOCUMENTS else "**missed**"
            goal = f"at least {DOCUMENTS:,} a second"
            yield f"| short documents, text and label | {goal} | {rate:,.0f} a CPU second | {met} |"


def _goal(what: str, most: float, measured: float, unit: str) -> str:
    met = "met" if measured <= most else "**missed**"
    shown = f"{measured:.2f}" if measured < 100 else f"{measured:.0f}"
    return f"| {what} | at most {most:g} {unit} | {shown} {unit} | {met} |"


def _table(found: Found, rows: int) -> str:
    what = f"{rows:,} rows" if rows > 0 else f"{-rows:,} short documents"
    lines = [f"## {what}", "", "| | CPU s | peak MB | times the bare loop |", "|---|---|---|---|"]
    bare = found.get(("bare", rows))
    for (name, size), cost in found.items():
        if size == rows:
            ratio = f"{cost.cpu_s / bare.cpu_s:.2f}" if bare else "-"
            lines.append(f"| {NAMES[name]} | {cost.cpu_s:.2f} | {cost.peak_mb} | {ratio} |")
    return "\n".join(lines)
