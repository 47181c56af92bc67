"""One unit of work: a source, a size and a seed, with one baseline and all its cases."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from controls import CONTROLS, clean
from models import Standard
from peers import Peers
from sklearn.metrics import roc_auc_score
from sources import build, load, split, to_batches

from attacks import ATTACKS, Poisoned, Scene
from sluicegate.gate.decide import decide
from sluicegate.signals.evaluate import evaluate, expected_codes
from sluicegate.signals.excess import read_step
from sluicegate.signals.label_flips import information_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from sources import Source, Split

    from sluicegate.signals.evaluate import CheckResult
    from sluicegate.signals.excess import Step
    from sluicegate.signals.stored_baseline import Baseline

Record = dict[str, Any]
STEPS = 10
_RAMP_TO = 0.05


@dataclass(frozen=True)
class Unit:
    """What to run.

    Attributes:
        part: "attacks", "controls", "clean" or "ramp".
        source: Name of the source.
        n_baseline: Rows of the baseline.
        n_batch: Rows of the batch.
        seed: Of the split and of everything else.
        rates: Shares of poison.
        peers: Whether to ask the peers and measure damage.
    """

    part: str
    source: str
    n_baseline: int
    n_batch: int
    seed: int
    rates: tuple[float, ...] = ()
    peers: bool = False

    @property
    def name(self) -> str:
        """Identify the unit among results."""
        rates = "-".join(f"{r:g}" for r in self.rates)
        return f"{self.part}/{self.source}/{self.n_baseline}/{self.n_batch}/{self.seed}/{rates}"


def run(unit: Unit) -> list[Record]:
    """Measure all cases of a unit."""
    warnings.simplefilter("ignore")
    source = load(unit.source)
    if source is None:
        return [{"unit": unit.name, "part": "missing", "source": unit.source}]
    started = time.process_time()
    parts = {"attacks": _attacks, "controls": _controls, "clean": _clean, "ramp": _ramp}
    common = {"unit": unit.name, "part": unit.part, "source": unit.source, "kind": source.kind}
    common |= {"n": unit.n_batch, "m": unit.n_baseline, "seed": unit.seed}
    found = [{**common, **record} for record in parts[unit.part](unit, source)]
    for record in found:
        record["unit_cpu_s"] = time.process_time() - started
    return found


def _start(unit: Unit, source: Source) -> tuple[Split, Baseline]:
    drawn = split(source, unit.seed, unit.n_baseline, unit.n_batch)
    return drawn, build(source, drawn, unit.seed)


def _check(baseline: Baseline, frame: pd.DataFrame, **more: Any) -> tuple[Record, CheckResult]:
    started = time.process_time()
    found = evaluate(baseline, to_batches(frame), tolerances={}, **more)
    verdict, _ = decide(found.records, {}, expected=expected_codes(baseline))
    loud = [r for r in found.records if r.status.value != "PASSED"]
    return {
        "verdict": verdict.value,
        "fired": sorted({r.code for r in loud if r.status.value == "FAILED"}),
        "warned": sorted({r.code for r in loud if r.status.value == "WARNED"}),
        "not_evaluated": sorted({r.code for r in loud if r.status.value == "NOT_EVALUATED"}),
        "cpu_s": time.process_time() - started,
    }, found


def _clean(unit: Unit, source: Source) -> Iterator[Record]:
    drawn, baseline = _start(unit, source)
    yield _check(baseline, drawn.batch)[0]


def _controls(unit: Unit, source: Source) -> Iterator[Record]:
    drawn, baseline = _start(unit, source)
    for control in CONTROLS[source.kind]:
        rng = np.random.default_rng([unit.seed, 3])
        frame = control(drawn, source, rng)
        yield {"case": control.__name__, **_check(baseline, frame)[0]}


def _attacks(unit: Unit, source: Source) -> Iterator[Record]:
    drawn, baseline = _start(unit, source)
    limit = None if baseline.labels is None else _limit(baseline, unit.n_batch)
    peers = Peers(source, drawn, unit.seed) if unit.peers else None
    if peers is not None:
        record, _ = _check(baseline, drawn.batch)
        opinions = {k: o.batch for k, o in peers.opinions(drawn.batch).items()}
        yield {"case": clean.__name__, "rate": 0.0, **record, "peers": opinions}
    for rate in unit.rates:
        for attack in ATTACKS[source.kind]:
            scene = Scene(source, drawn, rate, np.random.default_rng([unit.seed, int(rate * 1e4)]))
            poisoned = attack(scene)
            record, found = _check(baseline, poisoned.frame)
            record |= {"case": attack.__name__, "rate": rate, "limit": limit}
            record["share"] = float(poisoned.bad.mean())
            record |= _rows(found, poisoned)
            if peers is not None:
                record |= _damage(source, drawn, poisoned, unit.seed)
                record["peers"], record["peer_roc"] = {}, {}
                for name, opinion in peers.opinions(poisoned.frame).items():
                    record["peers"][name] = opinion.batch
                    if opinion.rows is not None:
                        record["peer_roc"][name] = float(roc_auc_score(poisoned.bad, opinion.rows))
            yield record


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
