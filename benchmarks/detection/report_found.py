"""Sections about attacks: how many are found, in which rows, beside what others find."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from report_table import case_name, grouped, is_found, mark, table

from attacks import NEEDS_LIMIT

if TYPE_CHECKING:
    from units import Record

_FOUND_SMALL = {
    "fixed_trigger": 0.95,
    "clean_label_trigger": 0.95,
    "phrase": 1.0,
    "jittered_trigger": 0.85,
    "pair_trigger": 0.85,
    "feature_collision": 0.85,
    "dictionary": 0.95,
    "contributor_flood": 0.98,
    "near_duplicates": 0.98,
    "leakage": 0.98,
    "far_outliers": 0.98,
    "hidden_unicode": 0.98,
    "homoglyphs": 0.98,
    "availability": 0.97,
    **dict.fromkeys(NEEDS_LIMIT, 0.9),
}

_FLOODS = ("contributor_flood", "near_duplicates", "leakage", "hidden_unicode", "homoglyphs")

_FOUND_AT_ONE = {
    **dict.fromkeys(_FLOODS, 0.9),
    **dict.fromkeys(("fixed_trigger", "clean_label_trigger", "phrase"), 0.8),
}

_TRACED = (*_FLOODS, "fixed_trigger", "clean_label_trigger", "phrase", "far_outliers")

_ABOVE_LIMIT = 1.3


def found_section(records: list[Record]) -> str:
    """Return the sections about what is found, one a size and rate."""
    out = []
    for title, rate, small in (("3 %", 0.03, True), ("1 %", 0.01, True), ("3 %", 0.03, False)):
        here = [r for r in records if r["rate"] == rate and (r["n"] == 1500) == small]
        if not here:
            continue
        rows = []
        for name, group in sorted(grouped(here, lambda r: r["case"]).items()):
            rows.append(_found_row(name, group, _goal(name, rate, small=small)))
        size = "batches of 1,500 rows, baseline of 3,000"
        if not small:
            size = "batches of 10,000 rows, baseline of 20,000 (reviews 6,000 and 12,000)"
        text = f"## Found at {title}: {size}\n\n"
        if small and rate == 0.03:
            text += (
                "Label flips count as reachable where the share of flips is above 1.3 times the"
                " information limit (docs/signals.md); the last column is over those alone.\n\n"
            )
        head = ("attack", "batches", "found", "by source", "to reach", "reachable", "result")
        out.append(text + table(head, rows))
    return "\n".join(out)


def _goal(name: str, rate: float, *, small: bool) -> float | None:
    if not small:
        return 0.95
    return _FOUND_SMALL[name] if rate == 0.03 else _FOUND_AT_ONE.get(name)


def _found_row(name: str, group: list[Record], goal: float | None) -> list[str]:
    counted = group
    if name in NEEDS_LIMIT:
        counted = [r for r in group if r["limit"] and r["share"] > _ABOVE_LIMIT * r["limit"]]
    rate = sum(map(is_found, counted)) / len(counted) if counted else math.nan
    by_source = [
        f"{source} {sum(map(is_found, g))}/{len(g)}"
        for source, g in sorted(grouped(group, lambda r: r["source"]).items())
    ]
    return [
        name.replace("_", " "),
        str(len(group)),
        f"{sum(map(is_found, group)) / len(group):.2f}",
        ", ".join(by_source),
        "-" if goal is None else f"{goal:.2f}",
        "none" if not counted else f"{rate:.2f} of {len(counted)}",
        mark(None if goal is None or not counted else rate >= goal, len(counted)),
    ]


def by_rate(records: list[Record]) -> str:
    """Return the section about other rates."""
    here = [r for r in records if r["n"] == 1500]
    rates = sorted({r["rate"] for r in here})
    if len(rates) < 3:
        return ""
    rows = []
    for name, group in sorted(grouped(here, lambda r: r["case"]).items()):
        row = [name.replace("_", " ")]
        for rate in rates:
            some = [r for r in group if r["rate"] == rate]
            row.append(f"{sum(map(is_found, some))}/{len(some)}" if some else "-")
        rows.append(row)
    head = ("attack", *(f"{100 * rate:g} %" for rate in rates))
    return "## Found by rate: 1,500 rows\n\n" + table(head, rows)


def row_section(records: list[Record]) -> str:
    """Return the section about named rows."""
    if not records:
        return ""
    rows = []
    for name, group in sorted(grouped(records, lambda r: r["case"]).items()):
        named = [r for r in group if r["precision"] is not None]
        precision = float(np.mean([r["precision"] for r in named])) if named else math.nan
        recall = float(np.mean([r["recall"] for r in named])) if named else math.nan
        roc = float(np.mean([r["roc"] for r in group]))
        reached = None
        if name in _TRACED:
            reached = precision >= 0.8 and recall >= 0.7
        elif name in NEEDS_LIMIT:
            tabular = [r["roc"] for r in group if r["kind"] == "tabular"]
            reached = bool(tabular) and float(np.mean(tabular)) >= 0.92
        rows.append(
            [
                name.replace("_", " "),
                f"{len(named)}/{len(group)}",
                f"{precision:.2f}",
                f"{recall:.2f}",
                f"{roc:.3f}",
                mark(reached, len(group)),
            ]
        )
    head = ("attack", "named in", "precision", "recall", "ROC", "result")
    return (
        "## Rows named at 3 %\n\nPrecision and recall over the batches where any row was named. To"
        " reach: precision 0.8 and recall 0.7 where poison leaves a trace in rows; for label flips"
        " an area under the ROC of 0.92 on tabular data.\n\n" + table(head, rows)
    )


def ranking_section(records: list[Record]) -> str:
    """Return the section about ranked labels."""
    if not records:
        return ""
    rows = []
    for key, group in sorted(grouped(records, lambda r: f"{case_name(r)} | {r['source']}").items()):
        own = float(np.mean([r["roc"] for r in group]))
        peer = float(np.mean([r["peer_roc"]["label ranking"] for r in group]))
        better = mark(own > peer, len(group))
        rows.append([key, str(len(group)), f"{own:.3f}", f"{peer:.3f}", better])
    return (
        "## Wrong labels ranked, beside cleanlab's rule\n\nArea under the ROC of our row scores and"
        " of cleanlab's self-confidence (restated) on the same batches at 3 %.\n\n"
        + table(("flips", "source", "batches", "Sluicegate", "self-confidence", "better"), rows)
    )


def peer_section(records: list[Record]) -> str:
    """Return the section about other tools and damage."""
    clean = [r for r in records if r["rate"] == 0]
    poisoned = [r for r in records if r["rate"] > 0]
    if not clean or not poisoned:
        return ""
    names = list(poisoned[0]["peers"])
    limits: dict[tuple[str, str], float] = {}
    for record in clean:
        for name, value in record["peers"].items():
            key = record["source"], name
            # A share of rows may double and a distance may reach the peer's own default.
            own = 1.0 if name.startswith("drift") else 2.0 * value + 0.005
            limits[key] = max(limits.get(key, 0.0), own)
    rows = []
    for case, group in sorted(grouped(poisoned, lambda r: r["case"]).items()):
        row = [case.replace("_", " "), f"{sum(map(is_found, group))}/{len(group)}"]
        for name in names:
            hits = sum(r["peers"][name] > limits[r["source"], name] for r in group)
            row.append(f"{hits}/{len(group)}")
        lost = [r["accuracy_lost"] for r in group]
        works = [r["trigger_works"] for r in group if "trigger_works" in r]
        row.append(f"{100 * max(lost):.1f}")
        row.append(f"{100 * max(works):.0f} %" if works else "-")
        rows.append(row)
    alarms = [
        f"{name} {sum(r['peers'][name] > limits[r['source'], name] for r in clean)}/{len(clean)}"
        for name in names
    ]
    head = ("attack at 3 %", "Sluicegate", *names, "points lost", "trigger works")
    return (
        "## Peers and damage\n\nIsolation forest and LOF fitted on the baseline, alarm when the"
        " share of odd rows exceeds twice that of the clean batch and half a point; drift with"
        " Evidently's default rule restated; label ranking is cleanlab's self-confidence restated,"
        f" same rule. Alarms on the clean batches: {', '.join(alarms)}. Damage is the worst over"
        " the sources: accuracy that a logistic regression on the batch loses on the golden set,"
        " and how often the trigger turns golden rows into the target.\n\n" + table(head, rows)
    )
