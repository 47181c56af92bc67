"""What the cases are played on: a small source and its baseline, and two small models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.unit.signals.conftest import make_rows

from sluicegate.gate.decide import decide
from sluicegate.gate.policy import Severity, SignalRule
from sluicegate.signals.contributors.limits import limit_records
from sluicegate.signals.contributors.rules import ContributorLimits
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.labels.model_comparison import (
    ModelTolerances,
    compare_models,
    leakage_record,
)
from sluicegate.signals.labels.sequence import step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from tests.attacks.signals.changes import Change

    from sluicegate.gate.policy import Result
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord

    Probe = Callable[["World"], tuple[SignalRecord, ...]]

N_GOLDEN = 3000
LIMITS = ContributorLimits(
    max_share=0.5, max_class_share=0.55, max_period_share=0.6, period_hours=24
)
TOLERANCES = ModelTolerances(overall=0.01, by_class=0.03, by_slice=0.05, disagreement=0.2)
MAX_LEAKAGE = 0.001


@dataclass(frozen=True)
class World:
    """A baseline and a clean batch of the same source; perhaps one whose label is a price too."""

    baseline: Baseline
    batch: pa.Table
    prices: World | None = None

    @property
    def measured(self) -> World:
        """The same source with a price as label."""
        assert self.prices is not None
        return self.prices

    def check(self, table: pa.Table, **settings: Any) -> tuple[SignalRecord, ...]:
        """Return all records on one batch."""
        return evaluate(
            self.baseline, table.to_batches(), tolerances={}, rows=False, **settings
        ).records


def verdict(
    records: Iterable[SignalRecord], code: str, severity: Severity
) -> tuple[Result, set[str]]:
    """Return what the gate says of one signal, and the codes that it names."""
    own = [record for record in records if record.code == code]
    result, reasons = decide(own, {code: SignalRule(severity=severity)}, expected=(code,))
    return result, {reason.code for reason in reasons}


def over_time(each: Change, *, last: Change | None = None) -> Probe:
    """Check eight small batches one after the other, and return the records of the last."""

    def probe(world: World) -> tuple[SignalRecord, ...]:
        past: list[Any] = []
        records: tuple[SignalRecord, ...] = ()
        for i in range(8):
            table = each(make_rows(400, 900 + i))
            table = last(table) if last is not None and i == 7 else table
            records = world.check(table, history=past)
            past.append(step_of(records))
        return records

    return probe


def limits(change: Change) -> Probe:
    """Hold a batch against all limits on contributors."""

    def probe(world: World) -> tuple[SignalRecord, ...]:
        known = [name for name in world.baseline.profile.contributors if name is not None]
        return limit_records(change(world.batch), world.baseline.schema, known, LIMITS)

    return probe


def models(
    *,
    worse: float = 0.0,
    label: str | None = None,
    place: str | None = None,
    confused: bool = False,
    n_leaked: int = 0,
) -> Probe:
    """Compare a champion with a challenger that lost some of its right answers.

    Args:
        worse: Share of answers lost, among rows of the label and place if they are named.
        label: Class in which answers are lost.
        place: Slice in which answers are lost.
        confused: Whether wrong answers to class a are all drawn to one class.
        n_leaked: Golden rows that the challenger was trained on.
    """

    def probe(_: World) -> tuple[SignalRecord, ...]:
        rng = np.random.default_rng(5)
        labels = rng.choice(["a", "b", "c"], N_GOLDEN).astype(object)
        places = rng.choice(["north", "south"], N_GOLDEN, p=[0.9, 0.1]).astype(object)
        champion = _wrong(labels, rng.random(N_GOLDEN) < 0.2, rng)
        hit = rng.random(N_GOLDEN) < worse
        hit &= (labels == label) if label else True
        hit &= (places == place) if place else True
        challenger = _wrong(champion, hit & (champion == labels), rng)
        if confused:
            challenger[(labels == "a") & (champion == "b")] = "c"
        answers = (values.tolist() for values in (labels, champion, challenger))
        found = compare_models(*answers, {"place": places.tolist()}, TOLERANCES, alpha=0.01)
        return (*found, leakage_record(n_leaked, N_GOLDEN, MAX_LEAKAGE))

    return probe


def _wrong(answers: Any, where: Any, rng: np.random.Generator) -> Any:
    """Replace some answers by another class."""
    changed = answers.copy()
    for row in np.flatnonzero(where):
        changed[row] = rng.choice([c for c in "abc" if c != changed[row]])
    return changed
