"""The reference model: what label the trusted baseline would expect for a row.

One boosted forest per class over the cells of the features, one against the rest; cells of
categories are first ordered by how often the class occurs in them. Only numbers are stored,
never code: a baseline is read by people who do not trust its author's pickles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.model.trees import Forest, fit_forest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sluicegate.profiling.columns import Column

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Leaves = tuple[Floats, ...]
"""Leaves of each forest of a model."""
MAX_CLASSES = 10
TREES = 120
DEPTH = 4
_MIN_CLASS_ROWS = 20


@dataclass(frozen=True, slots=True)
class ReferenceModel:
    """Log-odds of each modelled class.

    Attributes:
        features: Names of the columns read, in order.
        classes: Label slots that are modelled, increasing.
        orders: For each class the rank of every cell, uint8, shape (n_features, 256).
        forests: For each class its forest; two classes share one, the second's.
        intercepts: Log-odds before any tree.
    """

    features: tuple[str, ...]
    classes: tuple[int, ...]
    orders: tuple[Codes, ...]
    forests: tuple[Forest, ...]
    intercepts: tuple[float, ...]

    def scores(self, cells: Mapping[str, Codes]) -> Floats:
        """Return log-odds, float64, shape (n_classes, n_rows).

        Args:
            cells: Cells of every feature in ``features``, each uint8, shape (n_rows,).

        Raises:
            KeyError: One is missing.

        Cost: about 1 us per row and forest.
        """
        own: Floats = self.scores_without(cells, ())[0]
        return own

    def scores_without(self, cells: Mapping[str, Codes], spared: Sequence[Leaves]) -> Floats:
        """Return log-odds with all features, then without some.

        Args:
            cells: Cells of every feature in ``features``, each uint8, shape (n_rows,).
            spared: For each answer that is asked for, what `leaves_without` returns: of each forest
                float64, shape (trees, 2 ** depth).

        Returns:
            float64, shape (1 + len(spared), n_classes, n_rows).

        Raises:
            KeyError: A feature is missing.

        Cost: that of `scores`, and at most about four times as much for all features one by one.
        """
        stacked = [cells[name] for name in self.features]
        found = np.stack(
            [
                intercept
                + forest.scores(ranked(stacked, order, forest.asked), [own[k] for own in spared])
                for k, (order, forest, intercept) in enumerate(
                    zip(self.orders, self.forests, self.intercepts, strict=True)
                )
            ],
            axis=1,
        )
        return np.concatenate([-found, found], axis=1) / 2.0 if len(self.classes) == 2 else found

    def leaves_without(self, features: Collection[str], shares: Mapping[str, Floats]) -> Leaves:
        """Return the leaves of each forest without some features.

        Args:
            features: Names of the features that are left out.
            shares: Share of the baseline's rows in each cell, float64, shape (256,), of each.
        """
        out, at = [], {name: i for i, name in enumerate(self.features)}
        for order, forest in zip(self.orders, self.forests, strict=True):
            by_rank = np.zeros((len(self.features), 256))
            for name in features:
                np.add.at(by_rank[at[name]], order[at[name]], shares[name])
            out.append(forest.averaged([at[name] for name in features], by_rank))
        return tuple(out)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; arrays are base64 of little-endian bytes."""
        return {
            "features": list(self.features),
            "classes": list(self.classes),
            "intercepts": list(self.intercepts),
            "forests": [
                {"order": pack(order, "|u1"), **forest.to_json()}
                for order, forest in zip(self.orders, self.forests, strict=True)
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        features = tuple(str(name) for name in value["features"])
        orders, forests = [], []
        for item in value["forests"]:
            orders.append(unpack(item["order"], "|u1", (len(features), 256)))
            forests.append(Forest.from_json(item, n_features=len(features), depth=DEPTH))
        classes = tuple(int(c) for c in value["classes"])
        expected = 1 if len(classes) == 2 else len(classes)
        if len(forests) != expected or len(value["intercepts"]) != expected:
            raise ValueError("number of forests does not match the classes")
        intercepts = tuple(float(v) for v in value["intercepts"])
        return cls(features, classes, tuple(orders), tuple(forests), intercepts)


def modelled_classes(slots: Codes, n_known: int) -> tuple[int, ...]:
    """Return the label slots with enough rows for a model, at most ten, increasing.

    Args:
        slots: Label slot of each row, uint8, shape (n_rows,).
        n_known: Slots of known classes; the later ones are never modelled.
    """
    return frequent_classes(np.bincount(slots, minlength=n_known)[:n_known])


def frequent_classes(counts: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the label slots with at least 20 rows, the ten largest of them, increasing.

    Args:
        counts: Rows by slot of a known class, int64, shape (n_known,).
    """
    order = sorted(range(counts.size), key=lambda k: (-int(counts[k]), k))[:MAX_CLASSES]
    return tuple(sorted(k for k in order if counts[k] >= _MIN_CLASS_ROWS))


def fit_model(
    features: Sequence[Column],
    cells: Mapping[str, Codes],
    slots: Codes,
    classes: Sequence[int],
    *,
    seed: int,
) -> ReferenceModel:
    """Fit on rows whose label is one of ``classes``.

    Args:
        features: Columns to read.
        cells: Cells of the features, each uint8, shape (n_rows,).
        slots: Label slots, uint8, shape (n_rows,), all in ``classes``.
        classes: At least two label slots.
        seed: Decides everything that is random.
    """
    names = tuple(c.name for c in features)
    stacked = np.stack([cells[name] for name in names])
    targets = [classes[1]] if len(classes) == 2 else list(classes)
    orders, forests, intercepts = [], [], []
    for target in targets:
        positive = slots == target
        order = np.stack(
            [cell_ranks(c, row, positive) for c, row in zip(features, stacked, strict=True)]
        )
        share = min(max(float(positive.mean()), 1e-6), 1.0 - 1e-6)
        intercept = float(np.log(share / (1.0 - share)))
        forests.append(
            fit_forest(
                np.stack(ranked(stacked, order)),
                positive,
                np.full(slots.size, intercept),
                n_cells=max(c.n_cells for c in features),
                n_trees=TREES,
                depth=DEPTH,
                rng=np.random.default_rng([seed, int(target)]),
            )
        )
        orders.append(order)
        intercepts.append(intercept)
    return ReferenceModel(names, tuple(classes), tuple(orders), tuple(forests), tuple(intercepts))


_AS_THEY_ARE = np.arange(256, dtype=np.uint8)


def ranked(
    cells: Sequence[Codes] | Codes, order: Codes, features: Collection[int] | None = None
) -> list[Codes]:
    """Return cells by rank, uint8, shape (n_rows,), of each feature.

    Args:
        cells: Cells of each feature, uint8, same shape.
        order: Rank of every cell, uint8, shape (n_features, 256).
        features: Those that are asked for, None for all; the others stay as they are.
    """
    moved = (order != _AS_THEY_ARE).any(axis=1)
    return [
        order[f].take(own) if moved[f] and (features is None or f in features) else own
        for f, own in enumerate(cells)
    ]


def cell_ranks(column: Column, codes: Codes, target: NDArray[np.bool_] | Floats) -> Codes:
    """Rank categories by the mean of a target, shrunk to that of all rows; bins keep their order.

    Args:
        column: A feature.
        codes: Its cells, uint8, shape (n_rows,).
        target: Whether a row is of a class, or its value, bool or float64, shape (n_rows,).

    Returns:
        Rank of every cell, uint8, shape (256,).
    """
    order = np.arange(256, dtype=np.uint8)
    if not column.listed:
        return order
    k = column.n_cells
    n = np.bincount(codes, minlength=k)
    total = np.bincount(codes, weights=target, minlength=k)
    share = (total + 10.0 * target.mean()) / (n + 10.0)
    order[np.argsort(share, kind="stable")] = np.arange(k, dtype=np.uint8)
    return order
