"""SCHEMA: the batch has the baseline's columns, once each, of the same kinds.

Null hypothesis: none; these are facts, not samples. Minimum n: 0. An extra column (a load date,
a partition key) is named as not judged and does not alarm by default, because it changes no
column that the baseline knows; with a tolerance ``SCHEMA:extra`` of 0 it warns, and a policy's
rule of that name says whether that blocks. A column that was empty in the baseline fits any type;
once it has values it is extra too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sluicegate.profiling.columns import Kind
from sluicegate.profiling.encode import comparable
from sluicegate.signals.decision.correction import listed
from sluicegate.signals.decision.finding import Candidate, Finding
from sluicegate.signals.decision.record import EXTRA_COLUMNS, SCHEMA, Family, Status
from sluicegate.signals.definition import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sluicegate.signals.comparison import Comparison

_WORDS = {
    "missing": "missing {}",
    "repeated": "repeated {}",
    "type-changed": "{} of another type",
    "extra": "extra {} (not judged)",
}
_ANY = 1e9  # more extra columns than a batch can have


def findings(comparison: Comparison) -> list[Finding]:
    """Return one finding for the whole batch, with a candidate for each kind of change."""
    ignored = comparison.baseline.schema.ignore
    seen = Counter(field.name for field in comparison.fields if field.name not in ignored)
    types = {field.name: field.type for field in comparison.fields}
    columns = {c.name: c for c in comparison.baseline.layout.columns}
    changes = {
        "missing": sorted(set(columns) - set(seen)),
        "repeated": sorted(name for name, count in seen.items() if count > 1),
        "type-changed": sorted(
            n for n, c in columns.items() if seen[n] == 1 and not comparable(c, types[n])
        ),
        "extra": sorted((set(seen) - set(columns)).union(_filled(comparison))),
    }
    total = max(len(columns), 1)
    candidates = [
        Candidate(
            effect=len(names) / total,
            bound=len(names) / total,
            tolerance=_tolerance(comparison, change),
            p_value=0.0 if names else 1.0,
            text=_text(change, changes, types),
            hint="Ask the owner of the source whether the format changed; if it stays so, rebuild "
            "the baseline.",
            severity=Status.WARNED if change == "extra" else None,
        )
        for change, names in changes.items()
    ]
    return [
        Finding(
            signal=SIGNAL,
            null_hypothesis="none: an exact comparison of columns and their kinds",
            effect_unit="share of the baseline's columns",
            n_baseline=comparison.baseline.n_rows,
            n_batch=comparison.profile.n_rows,
            candidates=candidates,
            exact=True,
            evidence={k: v[:50] for k, v in changes.items() if v},
        )
    ]


def _filled(comparison: Comparison) -> list[str]:
    """Return the columns that were empty in the baseline and have values: nobody judges these."""
    empty = (c for c in comparison.baseline.layout.columns if c.kind is Kind.EMPTY)
    return [c.name for c in empty if comparison.profile.marginal(c.name)[0]]


def _tolerance(comparison: Comparison, change: str) -> float:
    if change == "extra":
        return comparison.overrides.get(EXTRA_COLUMNS, _ANY)
    return comparison.tolerance(SIGNAL, "")


def _text(change: str, changes: Mapping[str, list[str]], types: Mapping[str, pa.DataType]) -> str:
    """Return a change and all others beside it: a column that is missing may be an extra one."""
    if not changes[change]:
        return f"no {change} column"
    found = [change, *(other for other, names in changes.items() if names and other != change)]
    return "; ".join(_one(kind, changes[kind], types) for kind in found)


def _one(change: str, names: list[str], types: Mapping[str, pa.DataType]) -> str:
    now = [f"{n} (now {types[n]})" for n in names] if change == "type-changed" else names
    thing = "columns" if len(names) > 1 else "column"
    return f"{len(names)} {_WORDS[change].format(thing)}: {listed(now)}"


SIGNAL = Signal(
    code=SCHEMA,
    family=Family.SCHEMA,
    floor=0.0,
    exact=True,
    asks="columns missing, repeated, of another kind (extra ones are named as not judged; the "
    "tolerance `SCHEMA:extra: 0` makes them warn)",
    demand="Columns and their types must be those of the baseline.",
    needs="nothing",
    expectation="ExpectBatchToMatchBaselineSchema",
    applies=lambda _: True,
    findings=findings,
)
