"""One unit of work: a source, a size and a seed, with one baseline, its batches and their cases.

A baseline costs as much as dozens of checks, so disjoint batches share one. Clean batches do too;
the report bounds their alarms over batches and, more carefully, over baselines.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from controls import CONTROLS, clean, covariate_change, prior_shift
from models import Standard
from peers import Peers, label_ranking
from sklearn.metrics import roc_auc_score
from sources import build, load, split, splits, to_batches

from attacks import (
    ATTACKS,
    NEEDS_LIMIT,
    Poisoned,
    Scene,
    contributor_flood,
    fixed_trigger,
    near_duplicates,
    targeted_flips,
)
from sluicegate.gate.decide import decide
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.labels.excess import read_step
from sluicegate.signals.labels.information import information_limit
from sluicegate.signals.registry import expected_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from sources import Source, Split
    from units import Record

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.evaluate import CheckResult
    from sluicegate.signals.labels.excess import Step

STEPS = 10
_RAMP_TO = 0.05
_RANKED = 0.03
_TIMES = (1, 10, 100)


@dataclass(frozen=True)
class Unit:
    """What to run.

    Attributes:
        part: "cases" (controls and attacks), "attacks", "clean", "ramp" or "sizes".
        source: Name of the source.
        n_baseline: Rows of the baseline.
        n_batch: Rows of the batch.
        seed: Of the split and of everything else.
        n_batches: Disjoint batches judged against the one baseline.
        rates: Shares of poison.
    """

    part: str
    source: str
    n_baseline: int
    n_batch: int
    seed: int
    n_batches: int = 1
    rates: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Identify the unit among results."""
        rates = "-".join(f"{r:g}" for r in self.rates)
        size = f"{self.n_baseline}/{self.n_batch}x{self.n_batches}"
        return f"{self.part}/{self.source}/{size}/{self.seed}/{rates}"


def run(unit: Unit) -> list[Record]:
    """Measure all cases of a unit."""
    warnings.simplefilter("ignore")
    source = load(unit.source)
    if source is None:
        return [{"part": "missing"}]
    parts = {"cases": _cases, "attacks": _attacks, "clean": _clean, "ramp": _ramp, "sizes": _sizes}
    return list(parts[unit.part](unit, source))


def described(unit: Unit, record: Record) -> Record:
    """Return a record with what its unit says of it."""
    source = load(unit.source)
    common = {"unit": unit.name, "part": unit.part, "source": unit.source}
    common["kind"] = "" if source is None else source.kind
    return {**common, "n": unit.n_batch, "m": unit.n_baseline, "seed": unit.seed, **record}


def _start(unit: Unit, source: Source) -> tuple[list[Split], Baseline]:
    drawn = splits(source, unit.seed, unit.n_baseline, unit.n_batch, unit.n_batches)
    return drawn, build(source, drawn[0], unit.seed)


def _check(baseline: Baseline, frame: pd.DataFrame, **more: Any) -> tuple[Record, CheckResult]:
    found = evaluate(baseline, to_batches(frame), tolerances={}, **more)
    verdict, _ = decide(found.records, {}, expected=expected_codes(baseline))
    loud = [r for r in found.records if r.status.value != "PASSED"]
    return {
        "verdict": verdict.value,
        "fired": sorted({r.code for r in loud if r.status.value == "FAILED"}),
        "warned": sorted({r.code for r in loud if r.status.value == "WARNED"}),
        "not_evaluated": sorted({r.code for r in loud if r.status.value == "NOT_EVALUATED"}),
    }, found


def _clean(unit: Unit, source: Source) -> Iterator[Record]:
    batches, baseline = _start(unit, source)
    for drawn in batches:
        yield _check(baseline, drawn.batch, rows=False)[0]


def _cases(unit: Unit, source: Source) -> Iterator[Record]:
    batches, baseline = _start(unit, source)
    for i, drawn in enumerate(batches):
        for control in CONTROLS[source.kind]:
            rng = np.random.default_rng([unit.seed, 3, i])
            record, _ = _check(baseline, control(drawn, source, rng))
            yield {"part": "controls", "case": control.__name__, **record}
        for rate in unit.rates:
            for case, poisoned, record in _poisoned(unit, source, drawn, baseline, rate=rate, i=i):
                if i == 0 and rate == _RANKED and case in NEEDS_LIMIT:
                    opinion = label_ranking(source, poisoned.frame)
                    roc = float(roc_auc_score(poisoned.bad, opinion.rows))
                    record["peer_roc"] = {"label ranking": roc}
                yield {"part": "attacks", "case": case, "rate": rate, **record}


def _poisoned(
    unit: Unit, source: Source, drawn: Split, baseline: Baseline, *, rate: float, i: int
) -> Iterator[tuple[str, Poisoned, Record]]:
    limit = None if baseline.labels is None else _limit(baseline, unit.n_batch)
    for attack in ATTACKS[source.kind]:
        rng = np.random.default_rng([unit.seed, int(rate * 1e4), i])
        poisoned = attack(Scene(source, drawn, rate, rng))
        record, found = _check(baseline, poisoned.frame)
        record |= {"limit": limit, "share": float(poisoned.bad.mean()), **_rows(found, poisoned)}
        yield attack.__name__, poisoned, record


def _attacks(unit: Unit, source: Source) -> Iterator[Record]:
    """Attacks of one batch with the opinion of the peers and the damage to a model."""
    (drawn,), baseline = _start(unit, source)
    peers = Peers(source, drawn, unit.seed)
    record, _ = _check(baseline, drawn.batch)
    opinions = {k: o.batch for k, o in peers.opinions(drawn.batch).items()}
    yield {"case": clean.__name__, "rate": 0.0, **record, "peers": opinions}
    for rate in unit.rates:
        for case, poisoned, record in _poisoned(unit, source, drawn, baseline, rate=rate, i=0):
            said = {"case": case, "rate": rate, "peers": {}, **record}
            said |= _damage(source, drawn, poisoned, unit.seed)
            for name, opinion in peers.opinions(poisoned.frame).items():
                said["peers"][name] = opinion.batch
            yield said


def _sizes(unit: Unit, source: Source) -> Iterator[Record]:
    """The same cases at 1, 10 and 100 times the rows, against one baseline."""
    most = unit.n_batch * _TIMES[-1]
    whole = split(source, unit.seed, unit.n_baseline, most)
    baseline = build(source, whole, unit.seed)
    for times in _TIMES:
        rows = unit.n_batch * times
        drawn = replace(whole, batch=whole.batch.iloc[:rows].reset_index(drop=True))
        yield {"case": clean.__name__, "n": rows, **_check(baseline, drawn.batch, rows=False)[0]}
        rng = np.random.default_rng([unit.seed, 3])
        for control in (prior_shift, covariate_change):
            frame = control(drawn, source, rng)
            yield {"case": control.__name__, "n": rows, **_check(baseline, frame, rows=False)[0]}
        for attack in (targeted_flips, fixed_trigger, contributor_flood, near_duplicates):
            poisoned = attack(Scene(source, drawn, 0.03, np.random.default_rng(unit.seed)))
            record, _ = _check(baseline, poisoned.frame, rows=False)
            yield {"case": attack.__name__, "n": rows, **record}


def _limit(baseline: Baseline, n: int) -> float:
    assert baseline.labels is not None
    return information_limit(baseline.labels, n)


def _rows(found: CheckResult, poisoned: Poisoned) -> Record:
    bad = poisoned.bad
    assert found.row_scores is not None
    flagged = np.array([bool(r) for r in found.row_reasons])
    hits = int((flagged & bad).sum())
    return {
        "precision": hits / int(flagged.sum()) if flagged.any() else None,
        "recall": hits / int(bad.sum()),
        "roc": float(roc_auc_score(bad, found.row_scores)),
    }


def _damage(source: Source, drawn: Split, poisoned: Poisoned, seed: int) -> Record:
    """Accuracy that a standard model loses, and how often a trigger gets its way."""
    before = Standard(source, drawn.batch, seed=seed).accuracy(drawn.golden)
    model = Standard(source, poisoned.frame, seed=seed)
    out: Record = {"accuracy_lost": before - model.accuracy(drawn.golden)}
    if poisoned.stamp is not None:
        victims = drawn.golden[drawn.golden["y"] != poisoned.target]
        out["trigger_works"] = model.share(poisoned.stamp(victims), poisoned.target)
    return out


def _ramp(unit: Unit, source: Source) -> Iterator[Record]:
    """Ten batches; flips rise evenly to 5 %, or there are none."""
    drawn = split(source, unit.seed, unit.n_baseline, STEPS * unit.n_batch)
    baseline = build(source, drawn, unit.seed)
    classes = list(drawn.batch["y"].value_counts().index)
    for poisoned in (False, True):
        past: list[Step | None] = []
        rng = np.random.default_rng([unit.seed, 11])
        alarms: list[str | None] = []
        for k in range(STEPS):
            frame = drawn.batch.iloc[k * unit.n_batch : (k + 1) * unit.n_batch].reset_index(
                drop=True
            )
            if poisoned:
                share = _RAMP_TO * (k + 1) / STEPS
                rows = rng.choice(len(frame), round(share * len(frame)), replace=False)
                shifted = [classes[(classes.index(y) + 1) % len(classes)] for y in frame["y"][rows]]
                frame.loc[rows, "y"] = shifted
            record, found = _check(baseline, frame, history=past, rows=False)
            alarms.append(",".join(record["fired"]) or None)
            past.append(_step(found))
        first = next((i + 1 for i, a in enumerate(alarms) if a), None)
        yield {"case": "ramp" if poisoned else "calm", "first": first, "alarms": alarms}


def _step(found: CheckResult) -> Step | None:
    for record in found.records:
        if record.code == "LABEL_FLIPS" and "sequence" in record.evidence:
            return read_step(record.evidence["sequence"])
    return None
