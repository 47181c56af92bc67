"""Measured labels of every kind: clean batches pass, and values that lie are found."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from tests.attacks.signals import changes
from tests.unit.signals.conftest import CREATED, PRICED, make_prices, put

from sluicegate.errors import ConfigError
from sluicegate.profiling.label_kind import LabelKind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import Baseline, build_baseline
from sluicegate.signals.contributors.names import ContributorNames
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import expected_codes, expected_findings
from sluicegate.signals.targets.questions import Question
from sluicegate.signals.targets.reference import TARGETS
from sluicegate.signals.targets.residual_count import RESIDUALS

pytestmark = pytest.mark.slow  # many baselines, each of its own rows

CLASSES = {
    "LABEL_PRIOR",
    "LABEL_NEW_CLASS",
    "LABEL_FLIPS",
    "CONTRIBUTOR_LABEL_SKEW",
    "LABEL_CONFLICTS",
}
TARGET = {"DRIFT_NUMERIC:y", "TARGET_RANGE", "TARGET_SHIFT"}


def orders(n: int, seed: int, kind: str) -> pa.Table:
    """Orders of four customers, and a label of one kind that two numbers and a channel predict."""
    rng = np.random.default_rng(seed)
    amount, age = np.round(rng.gamma(2, 40, n), 2), rng.integers(18, 90, n)
    channel = rng.choice(["web", "app", "shop"], n, p=[0.5, 0.3, 0.2])
    height = 0.012 * (amount - 80) + 0.01 * (age - 50) + 0.4 * (channel == "web")
    noise = rng.normal(size=n)
    label = KINDS[kind](rng, height, noise)
    return pa.table(
        {
            "amount": amount,
            "age": age,
            "channel": channel.tolist(),
            "customer": rng.choice(["a", "b", "c", "d"], n).tolist(),
            "at": np.arange(n),
            "y": label if isinstance(label, pa.Array) else pa.array(label),
        }
    )


def _missing(values):
    values = values.astype(np.float32)
    values[::50] = np.nan
    return values


KINDS = {
    "counts": lambda rng, h, _: rng.poisson(np.exp(3.5 + h)),
    "counts as floats": lambda rng, h, _: rng.poisson(np.exp(3.5 + h)).astype(float),
    "small counts": lambda rng, h, _: rng.poisson(np.exp(1 + h)).astype(np.int8),
    "cents": lambda _, h, e: np.round(100 * np.exp(3 + h + 0.5 * e)).astype(np.int64),
    "minutes": lambda _, h, e: np.round(30 + 10 * h + 8 * np.abs(e)).astype(np.int32),
    "log-normal prices": lambda _, h, e: np.exp(2 + h + e),
    "heavy tails": lambda rng, h, e: 3 * h + rng.standard_t(1.5, e.size),
    "negative values": lambda _, h, e: -50 + 20 * h + 10 * e * (1 + np.abs(h)),
    "shares": lambda _, h, e: 1 / (1 + np.exp(-h - e)),
    "many zeros": lambda rng, h, e: np.where(rng.random(e.size) < 0.6, 0.0, np.exp(2 + h + e)),
    "decimals": lambda _, h, e: pa.array(
        [Decimal(str(round(float(v), 2))) for v in np.exp(2 + h + 0.5 * e)], pa.decimal128(12, 2)
    ),
    "float32 with NaN": lambda _, h, e: _missing(np.exp(2 + h + 0.5 * e)),
    "durations": lambda _, h, e: pa.array(
        np.round(1e6 * np.exp(2 + h + 0.5 * e)).astype(np.int64), pa.duration("us")
    ),
}
SCHEMA = BatchSchema(label="y", label_kind=LabelKind.NUMBER, contributor="customer", timestamp="at")


def learned(kind: str, schema: BatchSchema = SCHEMA) -> Baseline:
    return build_baseline(orders(4000, 1, kind).to_batches(), schema, created=CREATED, seed=1)


def found(baseline, table, **settings):
    done = evaluate(baseline, table.to_batches(), tolerances={}, rows=False, **settings)
    return {r.code: r for r in done.records if r.status is not Status.PASSED}


def times(table, factor, share=0.05):
    values = table["y"].combine_chunks()
    if pa.types.is_duration(values.type):
        ticks = values.cast(pa.int64()).to_pylist()
        new = [v * factor if i % round(1 / share) == 0 else v for i, v in enumerate(ticks)]
        return table.set_column(5, "y", pa.array(new, pa.int64()).cast(values.type))
    wide = pa.int64() if pa.types.is_integer(values.type) else values.type
    new = [
        v * factor if v is not None and i % round(1 / share) == 0 else v
        for i, v in enumerate(values.to_pylist())
    ]
    return table.set_column(5, "y", pa.array(new, wide))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_clean_batches_of_every_kind_pass_and_hundredfold_values_fail(kind):
    baseline = learned(kind)
    assert set(expected_findings(baseline)) >= TARGET
    assert not set(expected_codes(baseline)) & CLASSES
    for seed in range(3):
        assert found(baseline, orders(1500, 50 + seed, kind)) == {}
    share = 0.1 if kind == "many zeros" else 0.05  # a hundred times nothing is nothing
    wrong = times(orders(1500, 60, kind), 100, share)
    assert found(baseline, wrong)["TARGET_RANGE"].status is Status.FAILED


def test_values_out_of_range_warn_where_a_feature_moved_as_a_whole():
    """Twice the usual amounts predict other minutes, as a winter does; the values are true."""
    baseline = learned("minutes")
    batch = orders(1500, 60, "minutes")
    wrong = times(batch, 100)
    assert found(baseline, wrong)["TARGET_RANGE"].status is Status.FAILED
    grown = wrong.set_column(0, "amount", pa.compute.multiply(wrong["amount"], 3.0))
    record = found(baseline, grown)["TARGET_RANGE"]
    assert record.status is Status.WARNED
    assert "a column changed as a whole: amount" in record.message


@pytest.mark.slow
def test_ratings_and_a_source_without_any_label_pass_too():
    """One to five stars are classes, declared or not; without a label nothing asks for one."""
    for label in ("y", {"column": "y", "kind": "class"}, None):
        schema = BatchSchema.from_mapping({"contributor": "customer", "label": label})
        stars = [
            put(t, "y", (1 + np.arange(t.num_rows) * 7 % 5).tolist())
            for t in (orders(4000, 1, "cents"), orders(1500, 2, "cents"))
        ]
        baseline = build_baseline(stars[0].to_batches(), schema, created=CREATED, seed=1)
        asked = set(expected_codes(baseline))
        assert bool(asked & {"LABEL_NEW_CLASS"}) is (label is not None)
        assert not asked & {"TARGET_RANGE", "TARGET_SHIFT"}


def test_dates_as_label_are_refused_when_the_baseline_is_built():
    table = orders(400, 1, "cents")
    dates = put(table, "y", range(400)).set_column(
        5, "y", pa.array(range(400), pa.int32()).cast(pa.date32())
    )
    for schema in (SCHEMA, replace(SCHEMA, label_kind=None)):
        with pytest.raises(ConfigError, match="dates or times"):
            build_baseline(dates.to_batches(), schema, created=CREATED, seed=1)


def test_label_of_lists_is_not_judged_and_no_signal_of_labels_applies():
    table = orders(400, 1, "cents")
    tags = pa.array([["x", "y"][: 1 + i % 2] for i in range(400)])
    lists = table.set_column(5, "y", tags)
    schema = BatchSchema(label="y", contributor="customer")
    baseline = build_baseline(lists.to_batches(), schema, created=CREATED, seed=1)
    assert not {*CLASSES, *TARGET} & set(expected_findings(baseline))
    assert baseline.layout.label is None


def test_bytes_round_trip_and_an_older_baseline_says_that_it_must_be_built_again(priced):
    again = Baseline.from_bytes(priced.to_bytes())
    assert again.to_bytes() == priced.to_bytes()
    old = replace(priced, sections={**priced.sections, "target": None})
    assert Baseline.from_bytes(old.to_bytes()).to_bytes() == old.to_bytes()
    records = found(old, make_prices(200, 5))
    assert {records[code].status for code in ("TARGET_RANGE", "TARGET_SHIFT")} == {
        Status.NOT_EVALUATED
    }
    assert "build it again" in records["TARGET_RANGE"].message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: put(t, "price", [7.0] * t.num_rows), "one value"),
        (lambda t: t.select(["price", "id", "who", "at"]), "no feature column"),
        (lambda t: put(t, "price", [None] * 800 + t["price"].to_pylist()[800:]), "fewer than 200"),
    ],
    ids=["one value", "no feature", "few values"],
)
def test_label_that_cannot_be_learned_is_not_evaluated_and_says_why(change, said):
    table = change(make_prices(900, 1))
    schema = replace(PRICED, text=("note",) if "note" in table.column_names else ())
    baseline = build_baseline(table.to_batches(), schema, created=CREATED, seed=1)
    assert isinstance(TARGETS.of(baseline), str)
    assert Baseline.from_bytes(baseline.to_bytes()).to_bytes() == baseline.to_bytes()
    record = found(baseline, table)["TARGET_RANGE"]
    assert record.status is Status.NOT_EVALUATED
    assert said in record.message


ATTACKS = {
    "one customer 30 % up": (changes.priced(0.2, lambda p: p * 1.3, who="c1"), "TARGET_SHIFT"),
    "one customer in cents": (changes.priced(0.1, lambda p: p * 100, who="c1"), "TARGET_RANGE"),
    "one customer's values exchanged": (changes.exchanged(0.2, who="c1"), "TARGET_RANGE"),
    "wrong sign": (changes.priced(0.05, lambda p: -p), "TARGET_RANGE"),
    "cents in one category": (changes.priced(0.1, lambda p: p * 100, kind="blue"), "TARGET_RANGE"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_values_that_lie_are_found_and_the_contributor_is_named(priced, name):
    change, code = ATTACKS[name]
    record = found(priced, change(make_prices(1500, 2)))[code]
    assert record.status is Status.FAILED
    assert ("contributor c1" in record.message) is ("customer" in name)


def test_hidden_contributor_is_not_named(priced):
    naming = ContributorNames(hidden=True)
    change = changes.priced(0.2, lambda p: p * 1.3, who="c1")
    record = found(priced, change(make_prices(1500, 2)), naming=naming)["TARGET_SHIFT"]
    assert "c1" not in record.message
    assert "c1" not in str(record.evidence)


def test_rows_with_values_out_of_range_are_named_first(priced):
    table = make_prices(1500, 2)
    bad = changes.pick(table, 0.05)
    poisoned = changes.priced(0.05, lambda p: p * 100)(table)
    done = evaluate(priced, poisoned.to_batches(), tolerances={})
    named = [i for i, codes in enumerate(done.row_reasons) if "TARGET_RANGE" in codes]
    assert len(set(named) & set(bad)) > 0.9 * len(bad)
    assert len(set(named) - set(bad)) < 0.2 * len(bad)
    assert done.row_scores[bad].mean() > 0.7


def test_everybody_dearer_warns_and_does_not_fail(priced):
    dearer = changes.priced(1.0, lambda p: p * 1.12)(make_prices(1500, 2))
    assert found(priced, dearer)["TARGET_SHIFT"].status is Status.WARNED


def test_more_rows_of_large_predictions_move_nothing(priced):
    """The features may drift: what they predict drifts along."""
    table = make_prices(4000, 9)
    high = np.argsort(table["x0"].to_numpy())[-1500:]
    moved = found(priced, table.take(np.sort(high)))
    assert not {"TARGET_RANGE", "TARGET_SHIFT"} & set(moved)


def test_one_contributor_and_one_group_are_not_asked_beside_nobody(priced):
    reference = TARGETS.of(priced)
    question = Question(reference, reference.score("standing"), reference.habits["standing"])
    one = np.zeros_like(reference.residuals.own)
    one[0, 3] = 50
    assert list(question.by_contributor({"a": one, None: one})) == []
    assert list(question.by_group(one)) == []
    assert question.overall(one).p_value > 0.99
    assert RESIDUALS.start(priced).rows == {}
