"""The report: what was found, what was missed, how often clean data was stopped."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from attacks import NEEDS_LIMIT
from sluicegate.signals.tails import binomial_lower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from measure import Record

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
_ENOUGH = 60  # fewer splits say nothing about one in a hundred
_SHOWN = 20  # fewer batches without a miss do not show a rate of 0.85

_HEAD = """# Detection: what is found, what is missed

Written by `python benchmarks/detection/run.py --write docs/detection.md`: {done} of {n_units} units
of work done{cut}.

Real data from wheels (flights, diamonds, handwriting with a pen, film reviews, images of digits as
vectors), split at random into a clean baseline, a golden set and a batch;
poison replaces rows of the batch. *Found* means that the verdict is FAILED because a signal fired.
The attacker knows everything: data, model and baseline. No threshold was fitted to these cases;
the cell sizes of near copies were made finer after this benchmark showed what one size misses.

*met* rests on at least 20 batches; *so far* is a goal reached on fewer, which proves little;
*missed* is missed on any number.
"""

_NOT_BUILT = """## Missed, and why

- No signal looks for triggers whose values never repeat exactly (jittered; found only where the
  label model contradicts), texts stuffed with another class's words (dictionary), conflicting
  labels of equal rows, flips against trusted labels by id, bursts in time.
- Random flips below the information limit (flights and reviews at 1,500 rows) cannot be told from
  the natural error of labels. The limit is that of random flips: boundary flips carry less, since
  the attacker flips what the model is unsure of. In one split of the flights (10,000 rows, 3 %)
  they moved the estimated share of flips by 0.2 points, and no band of margins differed more than
  in the clean batch.
- Near copies: the budget for natural copies grows with the rows, as pairs do. At 150,000 rows
  against a baseline of 20,000 the same share of copies that blocks at 15,000 passes.
  Near copies of flights, whose rows resemble each other, are missed now and then at 3 % too.
- One per cent of 1,500 rows is fifteen: a word in so few reviews, and near copies of flights or
  diamonds, stay within what clean batches show.
- Natural copies move with the season: October of the flights is blocked by DUPLICATES against a
  baseline of the six months before it, and passes against January to March.
- Ranking: where one number decides the label (delay of the flights) a linear model cross-fitted on
  the batch ranks random and boundary flips better than our trees over bins.
"""


def report(records: list[Record], *, n_units: int, n_old: int) -> str:
    """Return Markdown."""
    done = len({r["unit"] for r in records})
    cut = "" if done == n_units else "; **incomplete**, numbers rest on fewer cases than planned"
    missing = sorted({r["source"] for r in records if r["part"] == "missing"})
    if n_old:
        cut += f"; {n_old} units were measured with an earlier version of the signals"
    parts = [_HEAD.format(done=done, n_units=n_units, cut=cut)]
    if missing:
        parts.append(f"Left out, because their wheels are not installed: {', '.join(missing)}.\n")
    attacks = [r for r in records if r["part"] == "attacks" and r["rate"] > 0]
    parts += [
        _NOT_BUILT,
        _clean_section([r for r in records if r["part"] == "clean"]),
        _control_section([r for r in records if r["part"] == "controls"]),
        _found_section(attacks),
        _by_rate(attacks),
        _row_section([r for r in attacks if _is(r, 0.03, 1500)]),
        _ranking_section([r for r in attacks if r.get("peer_roc")]),
        _sizes_section([r for r in records if r["part"] == "sizes"]),
        _ramp_section([r for r in records if r["part"] == "ramp"]),
        _peer_section([r for r in records if r["part"] == "attacks" and r.get("peers")]),
    ]
    return "\n".join(part for part in parts if part)


def _is(record: Record, rate: float, n: int) -> bool:
    return bool(record["rate"] == rate and record["n"] == n)


def _found(record: Record) -> bool:
    return bool(record["fired"])


def _mark(reached: bool | None, n: int) -> str:
    if reached is None:
        return "-"
    if not reached:
        return "**missed**"
    return "met" if n >= _SHOWN else "so far"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _upper(k: int, n: int) -> float:
    """Upper 95 % bound of a rate (Clopper and Pearson)."""
    return 1.0 - binomial_lower(n - k, n)


def _groups(records: Iterable[Record], key: Callable[[Record], object]) -> dict[str, list[Record]]:
    out: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        out[str(key(record))].append(record)
    return dict(out)


def _supported(alarms: int, n: int) -> str:
    """Say "met" only when so many batches can show it."""
    if n < _ENOUGH:
        return "-"
    if alarms / n > 0.01:
        return "**missed**"
    return "met" if _upper(alarms, n) <= 0.01 else "so far"


def _clean_section(records: list[Record]) -> str:
    if not records:
        return ""
    rows = []
    groups = _groups(records, lambda r: f"{r['source']} | {r['m']:,} | {r['n']:,}")
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
                f"{100 * alarms / n:.1f} % (at most {100 * _upper(alarms, n):.1f} %)",
                ", ".join(codes) or "none",
                _supported(alarms, n),
            ]
        )
    head = ("source", "baseline", "batch", "baselines", "batches", "blocked", "any alarm")
    by_baseline = _groups(records, lambda r: r["unit"]).values()
    loud = sum(any(r["verdict"] != "PASSED" for r in group) for group in by_baseline)
    n = len(by_baseline)
    return (
        "## False alarms on clean splits\n\nEvery baseline is drawn anew, the batches of one are"
        " disjoint. An alarm is any verdict but PASSED, warnings and signals that could not be"
        " computed included. To reach: at most 1 %. The bound (Clopper and Pearson) says what that"
        " many batches can support if they are independent: 300 without an alarm support 1 %, 60"
        f" do not. Batches of one baseline share its luck: {loud} of {n} baselines had any alarm,"
        f" {100 * loud / n:.1f} % (at most {100 * _upper(loud, n):.1f} %).\n\n"
        + _table((*head, "rate (95 % bound)", "signals", "at most 1 %"), rows)
    )


def _control_section(records: list[Record]) -> str:
    if not records:
        return ""
    rows = []
    groups = {**dict(sorted(_groups(records, lambda r: r["case"]).items())), "**all**": records}
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
                _mark(len(blocked) / len(group) <= 0.02, len(group)),
            ]
        )
    return (
        "## Benign changes\n\nTo reach: at most 2 % blocked; an honest newcomer warns.\n\n"
        + _table(("change", "batches", "blocked", "warned", "blocked by, where", "reach"), rows)
    )


def _found_section(records: list[Record]) -> str:
    out = []
    for title, rate, small in (("3 %", 0.03, True), ("1 %", 0.01, True), ("3 %", 0.03, False)):
        here = [r for r in records if r["rate"] == rate and (r["n"] == 1500) == small]
        if not here:
            continue
        rows = []
        for name, group in sorted(_groups(here, lambda r: r["case"]).items()):
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
        out.append(text + _table(head, rows))
    return "\n".join(out)


def _goal(name: str, rate: float, *, small: bool) -> float | None:
    if not small:
        return 0.95
    return _FOUND_SMALL[name] if rate == 0.03 else _FOUND_AT_ONE.get(name)


def _found_row(name: str, group: list[Record], goal: float | None) -> list[str]:
    counted = group
    if name in NEEDS_LIMIT:
        counted = [r for r in group if r["limit"] and r["share"] > _ABOVE_LIMIT * r["limit"]]
    rate = sum(map(_found, counted)) / len(counted) if counted else math.nan
    by_source = [
        f"{source} {sum(map(_found, g))}/{len(g)}"
        for source, g in sorted(_groups(group, lambda r: r["source"]).items())
    ]
    return [
        name.replace("_", " "),
        str(len(group)),
        f"{sum(map(_found, group)) / len(group):.2f}",
        ", ".join(by_source),
        "-" if goal is None else f"{goal:.2f}",
        "none" if not counted else f"{rate:.2f} of {len(counted)}",
        _mark(None if goal is None or not counted else rate >= goal, len(counted)),
    ]


def _by_rate(records: list[Record]) -> str:
    here = [r for r in records if r["n"] == 1500]
    rates = sorted({r["rate"] for r in here})
    if len(rates) < 3:
        return ""
    rows = []
    for name, group in sorted(_groups(here, lambda r: r["case"]).items()):
        row = [name.replace("_", " ")]
        for rate in rates:
            some = [r for r in group if r["rate"] == rate]
            row.append(f"{sum(map(_found, some))}/{len(some)}" if some else "-")
        rows.append(row)
    head = ("attack", *(f"{100 * rate:g} %" for rate in rates))
    return "## Found by rate: 1,500 rows\n\n" + _table(head, rows)


def _row_section(records: list[Record]) -> str:
    if not records:
        return ""
    rows = []
    for name, group in sorted(_groups(records, lambda r: r["case"]).items()):
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
                _mark(reached, len(group)),
            ]
        )
    head = ("attack", "named in", "precision", "recall", "ROC", "result")
    return (
        "## Rows named at 3 %\n\nPrecision and recall over the batches where any row was named. To"
        " reach: precision 0.8 and recall 0.7 where poison leaves a trace in rows; for label flips"
        " an area under the ROC of 0.92 on tabular data.\n\n" + _table(head, rows)
    )


def _ramp_section(records: list[Record]) -> str:
    if not records:
        return ""
    rows = []
    for source, group in sorted(_groups(records, lambda r: r["source"]).items()):
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
    result = _mark(found / total >= 0.8, total)
    return (
        "## Slow ramp: flips rise from 0.5 to 5 % over ten batches\n\n"
        f"Found before the end in {found} of {total}; to reach 0.80: {result}."
        " A calm sequence holds ten clean batches, each with its own budget of 1 %.\n\n"
        + _table(("source", "found", "median batch", "calm sequences alarmed"), rows)
    )


def _peer_section(records: list[Record]) -> str:
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
    for case, group in sorted(_groups(poisoned, lambda r: r["case"]).items()):
        row = [case.replace("_", " "), f"{sum(map(_found, group))}/{len(group)}"]
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
        " and how often the trigger turns golden rows into the target.\n\n" + _table(head, rows)
    )


def _ranking_section(records: list[Record]) -> str:
    if not records:
        return ""
    rows = []
    for key, group in sorted(_groups(records, lambda r: f"{_name(r)} | {r['source']}").items()):
        own = float(np.mean([r["roc"] for r in group]))
        peer = float(np.mean([r["peer_roc"]["label ranking"] for r in group]))
        better = _mark(own > peer, len(group))
        rows.append([key, str(len(group)), f"{own:.3f}", f"{peer:.3f}", better])
    return (
        "## Wrong labels ranked, beside cleanlab's rule\n\nArea under the ROC of our row scores and"
        " of cleanlab's self-confidence (restated) on the same batches at 3 %.\n\n"
        + _table(("flips", "source", "batches", "Sluicegate", "self-confidence", "better"), rows)
    )


def _name(record: Record) -> str:
    return str(record["case"]).replace("_", " ")


def _sizes_section(records: list[Record]) -> str:
    if not records:
        return ""
    sizes = sorted({r["n"] for r in records})
    rows = []
    for name, group in _groups(records, _name).items():
        by_size = _groups(group, lambda r: r["n"])
        shown = [
            ", ".join(f"{k} {len(v)}" for k, v in sorted(_groups(g, _verdict).items()))
            for g in (by_size[str(n)] for n in sizes)
        ]
        same = len({frozenset(_groups(by_size[str(n)], _verdict)) for n in sizes}) == 1
        rows.append([name, *shown, "yes" if same else "**no**"])
    return (
        f"## The same decision at 1, 10 and 100 times the rows\n\nflights, baseline of"
        f" {records[0]['m']:,} rows, attacks at 3 %; verdicts by rows of the batch.\n\n"
        + _table(("case", *(f"{n:,}" for n in sizes), "same"), rows)
    )


def _verdict(record: Record) -> str:
    return str(record["verdict"])
