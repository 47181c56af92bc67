"""One unit of work: a source and a plan, with one baseline, its clean batches and their attacks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from installation import SEED, Site
from patterns import PLANS, spread
from poison import ATTACKS
from sources import load

from sluicegate.gate.decide import decide
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import expected_codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from patterns import Plan
    from sources import Source
    from units import Record

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord

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
    common = {"source": unit.source, "m": len(plan.baseline), "in_sample": source.in_sample}
    if plan.in_order:
        return _delivered(source, plan, common)
    schema = BatchSchema.from_mapping(source.roles)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    baseline = build_baseline(_batches(plan.baseline), schema, created=created, seed=SEED)
    records = []
    for pattern, frames in plan.batches.items():
        for frame in frames:
            said = {**common, "pattern": pattern, "n": len(frame), "first": str(frame["at"].min())}
            records.append({**said, "case": "clean", **_check(baseline, frame)})
        if pattern in ATTACKED:
            records += _poisoned(unit, frames, baseline, {**common, "pattern": pattern})
    return records


def _delivered(source: Source, plan: Plan, common: Record) -> list[Record]:
    """Deliver batches in order to a real installation; report those that are to be counted."""
    records = []
    with TemporaryDirectory() as place:
        site = Site.build(Path(place), source, plan.baseline)
        for pattern, frames in plan.batches.items():
            counted = {id(frame) for frame in spread(frames)}
            for frame in frames:
                verdict, found = site.judge(frame)
                said = {**common, "pattern": pattern, "n": len(frame), "case": "clean"}
                said["first"] = str(frame["at"].min())
                if verdict.pool is not None:
                    said |= {"pooled": verdict.pool.n_rows, "left": verdict.pool.left.value}
                if id(frame) in counted:
                    records.append({**said, **_said(verdict.result.value, found)})
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
    return _said(verdict.value, found.records)


def _said(verdict: str, records: Sequence[SignalRecord]) -> Record:
    loud = [r for r in records if r.status.value != "PASSED"]
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
        "verdict": verdict,
        "fired": keys["FAILED"],
        "warned": keys["WARNED"],
        "not_evaluated": keys["NOT_EVALUATED"],
    }


def _batches(frame: pd.DataFrame) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = pa.Table.from_pandas(frame, preserve_index=False).to_batches()
    return batches
