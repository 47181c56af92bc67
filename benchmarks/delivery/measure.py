"""One unit of work: a source and a plan, with one baseline, its clean batches and their attacks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from patterns import PLANS
from poison import ATTACKS
from sources import load

from sluicegate.gate.decide import decide
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import expected_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from units import Record

    from sluicegate.signals.baseline.stored import Baseline

ATTACKED = ("daily", "weekly", "monthly", "by contributor")
"""Patterns whose batches are poisoned too."""

_POISONED_BATCHES = 5
_FEWEST = 100


@dataclass(frozen=True)
class Unit:
    """What to run.

    Attributes:
        source: Name of the source.
        plan: Name of the plan.
    """

    source: str
    plan: str

    @property
    def name(self) -> str:
        """Identify the unit among results."""
        return f"{self.source}/{self.plan}"


def run(unit: Unit) -> list[Record]:
    """Build the baseline, judge every clean batch, and poison some of them."""
    warnings.simplefilter("ignore")
    source = load(unit.source)
    plan = PLANS[unit.plan](source)
    if plan is None:
        return []
    schema = BatchSchema.from_mapping(source.roles)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    baseline = build_baseline(_batches(plan.baseline), schema, created=created, seed=1)
    common = {"source": unit.source, "m": len(plan.baseline), "in_sample": source.in_sample}
    records = []
    for pattern, frames in plan.batches.items():
        for frame in frames:
            said = {**common, "pattern": pattern, "n": len(frame), "first": str(frame["at"].min())}
            records.append({**said, "case": "clean", **_check(baseline, frame)})
        if pattern in ATTACKED:
            records += _poisoned(unit, frames, baseline, {**common, "pattern": pattern})
    return records


def _poisoned(
    unit: Unit, frames: list[pd.DataFrame], baseline: Baseline, common: Record
) -> Iterator[Record]:
    source = load(unit.source)
    large = [frame for frame in frames if len(frame) >= _FEWEST]
    chosen = np.unique(
        np.linspace(0, len(large) - 1, min(_POISONED_BATCHES, len(large))).astype(int)
    )
    for i in chosen:
        for case, attack in ATTACKS.items():
            frame = attack(source, large[i], np.random.default_rng([7, int(i)]))
            if frame is not None:
                yield {**common, "n": len(frame), "case": case, **_check(baseline, frame)}


def _check(baseline: Baseline, frame: pd.DataFrame) -> Record:
    found = evaluate(baseline, _batches(frame), tolerances={}, rows=False)
    verdict, _ = decide(found.records, {}, expected=expected_codes(baseline))
    loud = [r for r in found.records if r.status.value != "PASSED"]
    keys = {
        status: sorted(
            {
                f"{r.code}:{r.column}" if r.column else r.code
                for r in loud
                if r.status.value == status
            }
        )
        for status in ("FAILED", "WARNED", "NOT_EVALUATED")
    }
    return {
        "verdict": verdict.value,
        "fired": keys["FAILED"],
        "warned": keys["WARNED"],
        "not_evaluated": keys["NOT_EVALUATED"],
    }


def _batches(frame: pd.DataFrame) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = pa.Table.from_pandas(frame, preserve_index=False).to_batches()
    return batches
