"""Sections about clean and benign batches, sizes, and sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from report_table import case_name, grouped, mark, supported, table, upper_bound, verdict_of

if TYPE_CHECKING:
    from units import Record


def clean_section(records: list[Record]) -> str:
    """Return the section about clean splits."""
    if not records:
        return ""
    rows = []
    groups = grouped(records, lambda r: f"{r['source']} | {r['m']:,} | {r['n']:,}")
    groups["**all** | | "] = records
    for name, group in groups.items():
        n = len(group)
        blocked = sum(r["verdict"] == "FAILED" for r in group)
        alarms = sum(r["verdict"] != "PASSED" for r in group)
        codes = sorted({c for r in group for c in (*r["fired"], *r["warned"], *r["not_evaluated"])})
        rows.append(
            [
                name,
                str(len({r["unit"] for r in group})),
                str(n),
                str(blocked),
                str(alarms),
                f"{100 * alarms / n:.1f} % (at most {100 * upper_bound(alarms, n):.1f} %)",
                ", ".join(codes) or "none",
                supported(alarms, n),
            ]
        )
    head = ("source", "baseline", "batch", "baselines", "batches", "blocked", "any alarm")
    by_baseline = grouped(records, lambda r: r["unit"]).values()
    loud = sum(any(r["verdict"] != "PASSED" for r in group) for group in by_baseline)
    n = len(by_baseline)
    return (
        "## False alarms on clean splits\n\nEvery baseline is drawn anew, the batches of one are"
        " disjoint. An alarm is any verdict but PASSED, warnings and signals that could not be"
        " computed included. To reach: at most 1 %. The bound (Clopper and Pearson) says what that"
        " many batches can support if they are independent: 300 without an alarm support 1 %, 60"
        f" do not. Batches of one baseline share its luck: {loud} of {n} baselines had any alarm,"
        f" {100 * loud / n:.1f} % (at most {100 * upper_bound(loud, n):.1f} %).\n\n"
        + table((*head, "rate (95 % bound)", "signals", "at most 1 %"), rows)
    )


def control_section(records: list[Record]) -> str:
    """Return the section about benign changes."""
    if not records:
        return ""
    rows = []
    groups = {**dict(sorted(grouped(records, lambda r: r["case"]).items())), "**all**": records}
    for name, group in groups.items():
        blocked = [r for r in group if r["verdict"] == "FAILED"]
        warned = sum(r["verdict"] == "WARNED" for r in group)
        codes = sorted({c for r in blocked for c in (*r["fired"], *r["not_evaluated"])})
        where = sorted({r["source"] for r in blocked})
        rows.append(
            [
                name.replace("_", " "),
                str(len(group)),
                str(len(blocked)),
                str(warned),
                ", ".join(codes + where) or "none",
                mark(len(blocked) / len(group) <= 0.02, len(group)),
            ]
        )
    return (
        "## Benign changes\n\nTo reach: at most 2 % blocked; an honest newcomer warns.\n\n"
        + table(("change", "batches", "blocked", "warned", "blocked by, where", "reach"), rows)
    )


def sizes_section(records: list[Record]) -> str:
    """Return the section about many times the rows."""
    if not records:
        return ""
    sizes = sorted({r["n"] for r in records})
    rows = []
    for name, group in grouped(records, case_name).items():
        by_size = grouped(group, lambda r: r["n"])
        shown = [
            ", ".join(f"{k} {len(v)}" for k, v in sorted(grouped(g, verdict_of).items()))
            for g in (by_size[str(n)] for n in sizes)
        ]
        same = len({frozenset(grouped(by_size[str(n)], verdict_of)) for n in sizes}) == 1
        rows.append([name, *shown, "yes" if same else "**no**"])
    return (
        f"## The same decision at 1, 10 and 100 times the rows\n\nflights, baseline of"
        f" {records[0]['m']:,} rows, attacks at 3 %; verdicts by rows of the batch.\n\n"
        + table(("case", *(f"{n:,}" for n in sizes), "same"), rows)
    )


def ramp_section(records: list[Record]) -> str:
    """Return the section about slow ramps."""
    if not records:
        return ""
    rows = []
    for source, group in sorted(grouped(records, lambda r: r["source"]).items()):
        ramps = [r for r in group if r["case"] == "ramp"]
        calm = [r for r in group if r["case"] == "calm"]
        first = [r["first"] for r in ramps if r["first"]]
        rows.append(
            [
                source,
                f"{len(first)}/{len(ramps)}",
                f"{np.median(first):.0f}" if first else "-",
                f"{sum(bool(r['first']) for r in calm)}/{len(calm)}",
            ]
        )
    found = sum(bool(r["first"]) for r in records if r["case"] == "ramp")
    total = sum(r["case"] == "ramp" for r in records)
    result = mark(found / total >= 0.8, total)
    return (
        "## Slow ramp: flips rise from 0.5 to 5 % over ten batches\n\n"
        f"Found before the end in {found} of {total}; to reach 0.80: {result}."
        " A calm sequence holds ten clean batches, each with its own budget of 1 %.\n\n"
        + table(("source", "found", "median batch", "calm sequences alarmed"), rows)
    )
