"""For every signal code: an attack that it finds, its benign twin, and what it cannot judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.attacks.signals import changes
from tests.attacks.signals.world import limits, models, over_time

from sluicegate.signals.decision.record import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.attacks.signals.changes import Change
    from tests.attacks.signals.world import Probe, World


def _small(world: World) -> World:
    """Return the source whose label is a class."""
    return world


def _measured(world: World) -> World:
    """Return the source whose label is a price."""
    return world.measured


@dataclass(frozen=True)
class Case:
    """One signal.

    Attributes:
        attack: What it must find.
        benign: The same kind of change, innocent or too small to matter.
        blind: Situations in which it cannot judge, each of which must block.
        status: What finding it makes of the signal by itself.
        change: What the attack does to a clean batch, for signals that judge one batch.
        place: The source that it is done to.
    """

    attack: Probe
    benign: Probe
    blind: Mapping[str, Probe] = field(default_factory=dict)
    status: Status = Status.FAILED
    change: Change | None = None
    place: Callable[[World], World] = _small


def _batch(
    attack: Change,
    benign: Change,
    *,
    warns: bool = False,
    place: Callable[[World], World] = _small,
    **blind: Change,
) -> Case:
    """Return a case of a signal that looks at one batch of the small source."""

    def probe(change: Change) -> Probe:
        return lambda world: place(world).check(change(place(world).batch))

    return Case(
        probe(attack),
        probe(benign),
        {name: probe(change) for name, change in {**blind, "no_rows": changes.first(0)}.items()},
        Status.WARNED if warns else Status.FAILED,
        attack,
        place,
    )


def _prices(attack: Change, benign: Change) -> Case:
    """Return a case of a signal of measured labels."""
    return _batch(
        attack,
        benign,
        place=_measured,
        few_rows=changes.first(49),
        no_label=changes.without("price"),
        no_values=changes.nothing_in("price"),
        other_type=changes.as_text("price"),
        no_feature=changes.without("x0"),
    )


def _rows(attack: Change, benign: Change) -> Case:
    """Return a case of a signal that needs all features of some rows."""
    return _batch(
        attack,
        benign,
        few_rows=changes.first(49),
        no_feature=changes.without("x2"),
        feature_of_another_type=changes.as_text("x2"),
    )


_VALUES = ("x0", "x1", "x2", "x3", "kind")
"""The features that are numbers or categories."""
CASES: Mapping[str, Case] = {
    # An exact fact: whatever it cannot see is missing, and it says so by failing.
    "SCHEMA": Case(
        lambda world: world.check(changes.without("x0")(world.batch)),
        lambda world: world.check(world.batch.select(world.batch.column_names[::-1])),
        change=changes.without("x0"),
    ),
    "COMPLETENESS": _batch(
        changes.every(10, "x0", None),
        changes.every(300, "x0", None),
        few_rows=changes.first(49),
        no_column=changes.without("x0"),
        other_type=changes.as_text("x0"),
    ),
    "DRIFT_NUMERIC": _batch(
        changes.column("x2", lambda _, v: v + 0.8),
        changes.column("x2", lambda _, v: v + 0.05),
        warns=True,
        few_rows=changes.first(49),
        no_column=changes.without("x2"),
        no_values=changes.nothing_in("x2"),
        other_type=changes.as_text("x2"),
    ),
    "DRIFT_CATEGORICAL": _batch(
        changes.every(20, "kind", "violet"),
        changes.every(1000, "kind", "rde"),
        warns=True,
        few_rows=changes.first(49),
        no_column=changes.without("kind"),
        no_values=changes.nothing_in("kind"),
    ),
    "DRIFT_TEXT": _batch(
        changes.column("note", lambda _, v: f"{v} {v}"),
        changes.column("note", lambda i, v: f"{v} {v}" if i % 100 == 0 else v),
        warns=True,
        few_rows=changes.first(49),
        no_column=changes.without("note"),
        no_values=changes.nothing_in("note"),
    ),
    "LABEL_PRIOR": _batch(
        changes.classes(500, 1000),
        changes.classes(750, 750),
        warns=True,
        few_rows=changes.first(49),
        no_label=changes.without("y"),
        no_values=changes.nothing_in("y"),
        other_type=changes.as_text("y"),
    ),
    "LABEL_NEW_CLASS": _batch(
        changes.every(250, "y", 2),
        changes.every(1000, "y", 1),
        no_label=changes.without("y"),
        no_values=changes.nothing_in("y"),
        other_type=changes.as_text("y"),
    ),
    "LABEL_FLIPS": _batch(
        changes.flip(0.04, who="c2"),
        changes.flip(0.002),
        few_rows=changes.first(49),
        no_label=changes.without("y"),
        no_values=changes.nothing_in("y"),
        no_features=changes.without("x0", "note"),
    ),
    "LABEL_TRUSTED": _batch(
        changes.redelivered(300, flipped=15),
        changes.redelivered(300),
        few_rows=changes.first(49),
        no_id=changes.without("id"),
        ids_of_another_type=changes.numbered("id"),
        no_label=changes.without("y"),
        no_values=changes.nothing_in("y"),
    ),
    "TARGET_RANGE": _prices(
        changes.priced(0.05, lambda price: price * 100.0),
        changes.priced(0.05, lambda price: price * 1.1),
    ),
    "TARGET_SHIFT": _prices(
        changes.priced(0.2, lambda price: price * 1.3, who="c1"),
        changes.priced(1.0, lambda price: price * 1.01),
    ),
    "CONTRIBUTOR_NEW": _batch(
        changes.newcomer(12),
        changes.every(1500, "who", "newcomer"),
        warns=True,
        no_column=changes.without("who"),
    ),
    "CONTRIBUTOR_FLOOD": _batch(
        changes.every(4, "who", "c5"),
        changes.every(100, "who", "c5"),
        warns=True,
        few_rows=changes.first(49),
        no_column=changes.without("who"),
        no_values=changes.nothing_in("who"),
    ),
    "CONTRIBUTOR_LABEL_SKEW": _batch(
        changes.newcomer(20, label=1),
        changes.newcomer(20),
        few_rows=changes.first(49),
        no_column=changes.without("who"),
        no_label=changes.without("y"),
        no_values=changes.nothing_in("who"),
    ),
    "DUPLICATES": _rows(changes.copied(45), changes.redelivered(500)),
    "REDELIVERY": _batch(
        changes.again(60),
        changes.again(1),
        warns=True,
        few_rows=changes.first(49),
        no_id=changes.without("id"),
        ids_of_another_type=changes.numbered("id"),
        no_feature=changes.without("x2"),
    ),
    "LABEL_CONFLICTS": _batch(
        changes.redelivered(30, flipped=30, renamed=True),
        changes.redelivered(300, flipped=1, renamed=True),
        few_rows=changes.first(49),
        no_feature=changes.without("x2"),
        feature_of_another_type=changes.as_text("x2"),
        no_label=changes.without("y"),
        no_values=changes.nothing_in("y"),
    ),
    "LEAKAGE": _batch(
        changes.leaked(20),
        changes.redelivered(20),
        no_feature=changes.without("x2"),
        feature_of_another_type=changes.as_text("x2"),
    ),
    "COUNTER": _batch(
        changes.every(50, "serial", 77),
        changes.every(500, "serial", 77),
        few_rows=changes.first(49),
        no_column=changes.without("serial"),
        no_values=changes.nothing_in("serial"),
        other_type=changes.as_text("serial"),
    ),
    "OUTLIERS": _batch(
        changes.far_out(20),
        changes.column("x2", lambda _, v: v + 3.0),
        few_rows=changes.first(49),
        no_number=changes.without("x0", "x1", "x2", "x3"),
    ),
    "TRIGGER_TOKENS": _batch(
        changes.words(0.02, "cf", y=1),
        changes.words(0.05, "covfefe"),
        few_rows=changes.first(49),
        no_label=changes.without("y"),
        no_text=changes.without("note"),
    ),
    "TRIGGER_VALUES": _batch(
        changes.stamped(0.03, 1.2345, label=1),
        changes.stamped(0.03, 0.0, label=None),
        few_rows=changes.first(49),
        no_label=changes.without("y"),
        no_feature=changes.without(*_VALUES),
    ),
    "TRIGGER_PAIRS": _batch(
        changes.placed(0.03, label=1),
        changes.placed(0.03, label=None),
        few_rows=changes.first(49),
        no_label=changes.without("y"),
        no_pair=changes.without(*_VALUES[1:]),
    ),
    "DICTIONARY": _batch(
        changes.stuffed(0.03, range(40), y=0),
        changes.stuffed(0.03, range(40), y=1),
        few_rows=changes.first(49),
        no_label=changes.without("y"),
        no_text=changes.without("note"),
    ),
    "HIDDEN_UNICODE": _batch(
        changes.words(0.02, "\u200b"),
        changes.words(0.02, "привет"),
        no_text=changes.without("note"),
    ),
    "TIME_BURST": _batch(
        changes.bursting(45, label=1),
        changes.column("at", lambda _, v: v + timedelta(days=300)),
        few_rows=changes.first(49),
        no_time=changes.without("at"),
        no_values=changes.nothing_in("at"),
        times_of_another_type=changes.numbered("at"),
    ),
    "SEQUENCE": Case(
        over_time(changes.flip(0.025)),
        over_time(lambda table: table),
        {
            "no_label": over_time(lambda table: table, last=changes.without("y")),
            "few_rows": over_time(lambda table: table, last=changes.first(49)),
        },
    ),
    "CONTRIBUTOR_LIMIT": Case(
        limits(changes.every(2, "who", "c1")),
        limits(lambda table: table),
        {
            "no_contributor": limits(changes.without("who")),
            "no_label": limits(changes.without("y")),
            "no_time": limits(changes.without("at")),
        },
    ),
    "MODEL_REGRESSION": Case(models(worse=0.08), models(worse=0.002)),
    "MODEL_CLASS_REGRESSION": Case(models(worse=0.2, label="a"), models(worse=0.01, label="a")),
    "MODEL_SLICE_REGRESSION": Case(
        models(worse=0.3, place="south"), models(worse=0.01, place="south")
    ),
    "MODEL_TARGETED_ERROR": Case(models(confused=True), models()),
    "MODEL_DISAGREEMENT": Case(models(worse=0.4), models(worse=0.01), status=Status.WARNED),
    "GOLDEN_LEAKAGE": Case(models(n_leaked=20), models(n_leaked=1)),
}

ELSEWHERE = {
    "PARTS": "tests/unit/workflow/judging/test_partitions.py",
    "UNJUDGED": "tests/attacks/formats/test_beside.py",
    "ROW_COUNT": "tests/unit/signals/arrival/test_row_count.py",
}
"""Codes that judge no rows but other verdicts, or files, or need weeks; where they are tested."""
