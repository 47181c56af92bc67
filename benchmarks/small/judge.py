"""One unit of work: a table and a seed, with one baseline, its clean batches and their attacks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from cases import FAMILIES
from sources import to_batches
from tables import N_BATCH, draw

from attacks import Scene
from sluicegate.gate.decide import decide
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.labels.information import information_limit
from sluicegate.signals.registry import expected_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from tables import Drawn
    from units import Record

    from sluicegate.signals.baseline.stored import Baseline

RATE = 0.03
FLIPS = "targeted flips"
_TIMES_LIMIT = 2.0


@dataclass(frozen=True)
class Unit:
    """What to run.

    Attributes:
        table: Name of the table.
        seed: Of the split and of everything else.
        attacked: Whether its batches are poisoned too.
    """

    table: str
    seed: int
    attacked: bool = True

    @property
    def name(self) -> str:
        """Identify the unit among results."""
        return f"{self.table}/{self.seed}{'' if self.attacked else '/clean'}"


def run(unit: Unit) -> list[Record]:
    """Build the baseline, judge its clean batches, and poison them."""
    warnings.simplefilter("ignore")
    drawn = draw(unit.table, unit.seed)
    baseline = build_baseline(
        to_batches(drawn.batches[0].baseline),
        BatchSchema(id="id", label="y"),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=unit.seed,
    )
    common = {"table": unit.table, "seed": unit.seed, "m": len(drawn.batches[0].baseline)}
    return [{**common, **record} for record in _records(unit, drawn, baseline)]


def _records(unit: Unit, drawn: Drawn, baseline: Baseline) -> Iterator[Record]:
    for i, parts in enumerate(drawn.batches):
        yield {"case": "clean", **_check(baseline, parts.batch)}
        if not unit.attacked:
            continue
        for family, attacks in FAMILIES.items():
            rate, limit = RATE, None
            if family == FLIPS:
                limit = (
                    1.0 if baseline.labels is None else information_limit(baseline.labels, N_BATCH)
                )
                rate = _TIMES_LIMIT * limit
            for attack in attacks:
                scene = Scene(drawn.source, parts, rate, np.random.default_rng([unit.seed, i]))
                poisoned = attack(scene)
                yield {
                    "case": attack.__name__,
                    "family": family,
                    "wanted": rate,
                    "share": float(poisoned.bad.mean()),
                    "limit": limit,
                    **_check(baseline, poisoned.frame),
                }


def _check(baseline: Baseline, frame: pd.DataFrame) -> Record:
    found = evaluate(baseline, to_batches(frame), tolerances={}, rows=False)
    verdict, _ = decide(found.records, {}, expected=expected_codes(baseline))
    by_status: dict[str, set[str]] = {}
    for record in found.records:
        by_status.setdefault(record.status.value, set()).add(record.code)
    return {
        "verdict": verdict.value,
        "fired": sorted(by_status.get("FAILED", ())),
        "warned": sorted(by_status.get("WARNED", ())),
        "not_evaluated": sorted(by_status.get("NOT_EVALUATED", ())),
    }
