"""Batches of a source judged together: what is too little for one adds up, chance does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.unit.signals.conftest import make_rows, put

from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.labels.excess import Excess, read_step
from sluicegate.signals.labels.sequence import sequence_record, step_of


def record(step):
    return SignalRecord(
        code="LABEL_FLIPS",
        family=Family.LABEL,
        status=Status.PASSED,
        column="y",
        n_batch=1500,
        evidence={"budget": 0.005, "sequence": [dataclasses.asdict(e) for e in step]},
    )


def batch_step(rng, mean, shift, contributors=8):
    """One batch under the model: own errors are drawn anew, the baseline's are shared."""
    from sluicegate.signals.decision.tails import normal_sf

    def one(subject, level, own, shared, moved):
        effect = moved + own * rng.normal() + shared * shift[subject]
        return Excess(
            subject, level, effect, own, shared, normal_sf(effect / np.hypot(own, shared))
        )

    names = [f"contributor c{i}" for i in range(contributors)]
    out = [one("", 0, 0.009, 0.006, mean)]
    out += [one(f"label {y}", 1, 0.006, 0.004, mean / 2) for y in (0, 1)]
    out += [one(name, 2, 0.004, 0.003, mean / contributors) for name in names]
    return tuple(out)


def run(seed, means):
    """Return after which batch the sequence is alarmed, or None."""
    rng = np.random.default_rng(seed)
    subjects = ["", "label 0", "label 1", *(f"contributor c{i}" for i in range(8))]
    shift = {name: rng.normal() for name in subjects}
    past = []
    for t, mean in enumerate(means):
        step = batch_step(rng, mean, shift)
        found = sequence_record([record(step)], past, alpha=0.01, overrides={})
        if found.status is Status.FAILED:
            return t
        past.append(step)
    return None


@pytest.mark.slow
def test_clean_sequences_are_alarmed_at_most_once_in_a_hundred():
    alarms = sum(run(seed, [0.0] * 10) is not None for seed in range(300))
    assert alarms <= 3


def test_slow_ramp_to_five_percent_is_found_before_the_end():
    found = sum(run(seed, np.linspace(0.005, 0.05, 10)) is not None for seed in range(40))
    assert found >= 32


def test_share_that_no_single_batch_shows_adds_up():
    step = (Excess("", 0, 0.02, 0.01, 0.002, 0.025),)
    others = [dataclasses.replace(step[0], effect=0.02 + 1e-6 * i) for i in range(1, 13)]
    alone = sequence_record([record(step)], [], alpha=0.01, overrides={})
    together = sequence_record([record(step)], [(e,) for e in others], alpha=0.01, overrides={})
    assert alone.status is Status.PASSED
    assert together.status is Status.FAILED
    assert "13 batches" in together.message


def test_error_of_the_baseline_itself_does_not_add_up():
    shared = [(Excess("", 0, 0.03 + 1e-6 * i, 0.005, 0.02, 0.07),) for i in range(40)]
    assert (
        sequence_record([record(shared[0])], shared, alpha=0.01, overrides={}).status
        is Status.PASSED
    )


def test_batch_checked_twice_counts_once():
    step = (Excess("", 0, 0.02, 0.01, 0.0, 0.025),)
    once = sequence_record([record(step)], [], alpha=0.01, overrides={})
    assert sequence_record([record(step)], [step] * 30, alpha=0.01, overrides={}) == once


def test_tolerance_of_the_policy_is_respected():
    steps = [(Excess("", 0, 0.02 + 1e-6 * i, 0.005, 0.0, 1e-4),) for i in range(12)]
    found = sequence_record([record(steps[0])], steps, alpha=0.01, overrides={"SEQUENCE": 0.05})
    assert found.p_value <= 0.01
    assert found.status is Status.PASSED


def test_batch_without_judged_labels_is_not_evaluated():
    assert sequence_record([], [], alpha=0.01, overrides={}).status is Status.NOT_EVALUATED


def test_earlier_batch_without_judged_labels_is_passed_over():
    step = (Excess("", 0, 0.0, 0.01, 0.0, 0.5),)
    found = sequence_record([record(step)], [None, None], alpha=0.01, overrides={})
    assert found.evidence["batches"] == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("effect", "1"), ("effect", True), ("own_error", 0.0), ("p_value", 1.5), ("level", 3),
     ("subject", None), ("effect", float("nan")), ("shared_error", -1.0), ("more", 1)],
)  # fmt: skip
def test_malformed_excess_is_refused(key, value):
    good = dataclasses.asdict(Excess("", 0, 0.0, 0.01, 0.0, 0.5))
    assert read_step([good])
    with pytest.raises(ValueError, match="excess"):
        read_step([{**good, key: value}])


@pytest.mark.slow
def test_flips_in_every_batch_alarm_the_sequence(baseline):
    past, p_values, found = [], [], ()
    for i in range(8):
        rows = make_rows(400, 900 + i)
        bad = np.random.default_rng(i).random(400) < 0.025
        flipped = put(rows, "y", [1 - v if b else v for v, b in zip(rows["y"].to_pylist(), bad)])  # noqa: B905
        found = evaluate(
            baseline, flipped.to_batches(), tolerances={}, history=past, rows=False
        ).records
        past.append(step_of(found))
        p_values.append(found[-1].p_value)
    assert found[-1].code == "SEQUENCE"
    assert found[-1].status is Status.FAILED
    assert p_values[-1] < p_values[0]


@pytest.mark.slow
def test_clean_batches_with_history_pass(baseline):
    past = []
    for i in range(6):
        found = evaluate(
            baseline, make_rows(400, 950 + i).to_batches(), tolerances={}, history=past, rows=False
        ).records
        assert found[-1].status is Status.PASSED
        past.append(step_of(found))


def test_check_without_history_has_no_sequence(check, batch):
    assert "SEQUENCE" not in {code for code, _ in check(batch)}
