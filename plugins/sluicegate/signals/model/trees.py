"""Boosted oblivious trees over cell codes: a small reference model in numpy.

An oblivious tree asks the same question at every node of a level, so a row's leaf is an
integer of `depth` bits and scoring is a few vectorised comparisons. Codes are bytes, so the
best split of a level comes from histograms. Source: Friedman 2001 (gradient boosting), Chen
and Guestrin 2016, equation 7 (second-order gain), Kohavi and Li 1995 (oblivious trees).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

Floats = NDArray[np.float64]
_L2 = 3.0
_RATE = 0.15
_MAX_FEATURES_PER_TREE = 16
_GROUP_ROWS = 20_000
_BLOCK = 1 << 14  # rows whose leaves and scores stay in a processor's cache


@dataclass(frozen=True, slots=True)
class Forest:
    """A sum of oblivious trees.

    Attributes:
        feature: Index of the feature asked at each level, int32, shape (trees, depth).
        threshold: The bit is code > threshold, uint8, shape (trees, depth).
        leaves: What is added to a row's score, log-odds for classes, float64, shape (trees,
            2 ** depth).
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.uint8]
    leaves: Floats

    def score(self, codes: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Floats:
        """Return what the trees add to each row's score.

        Args:
            codes: For each feature uint8, shape (n_rows,).

        Returns:
            float64, shape (n_rows,).

        Cost: trees x depth byte comparisons a row; about 0.15 us per row at 80 trees of depth 4.
        """
        own: Floats = self.scores(codes, ())[0]
        return own

    def scores(
        self, codes: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], others: Sequence[Floats]
    ) -> Floats:
        """Return what the trees add, and what they would add with other leaves.

        Args:
            codes: For each feature uint8, shape (n_rows,).
            others: Leaves as `averaged` returns them, each float64, shape (trees, 2 ** depth).

        Returns:
            float64, shape (1 + len(others), n_rows); the first row is that of the own leaves.

        Cost: that of `score`, and about 1 ns a row for each tree of which other leaves differ.
        """
        n_rows = codes[0].size
        out = np.zeros((1 + len(others), n_rows))
        trees = self._trees(others)
        for start in range(0, n_rows, _BLOCK):
            part = slice(start, min(start + _BLOCK, n_rows))
            _score({f: codes[f][part] for f in self.asked}, trees, out[:, part])
        return out

    @property
    def asked(self) -> list[int]:
        """The features that some tree asks for, increasing."""
        return sorted(set(self.feature.ravel().tolist()))

    def _trees(self, others: Sequence[Floats]) -> list[_Tree]:
        """Return the questions of each tree, and its leaves by the row of scores they go to."""
        out = []
        for tree, (feature, threshold, leaves) in enumerate(
            zip(self.feature.tolist(), self.threshold, self.leaves, strict=True)
        ):
            changed = [
                (1 + i, other[tree] - leaves)
                for i, other in enumerate(others)
                if (other[tree] != leaves).any()
            ]
            asked = list(zip(feature, threshold, strict=True))
            out.append(_Tree(asked, [(0, leaves), *changed]))
        return out

    def averaged(self, features: Collection[int], shares: Floats) -> Floats:
        """Return leaves that do not ask some features: each is the mean over their answers.

        The answers of one feature depend on each other, as its shares say; those of different
        features, and of the others in the tree, are taken as independent of them.

        Args:
            features: Indices of the features that are not asked.
            shares: Share of rows of each code, float64, shape (n_features, 256); rows sum to 1.

        Returns:
            float64, shape (trees, 2 ** depth).

        Source: interventional expectation, Janzing et al. 2020, equation 8.
        """
        out, codes = self.leaves.copy(), np.arange(256)
        depth = self.feature.shape[1]
        places = np.arange(2**depth)
        for tree, (asked, threshold) in enumerate(zip(self.feature, self.threshold, strict=True)):
            for f in sorted(set(asked.tolist()) & set(features)):
                bits = [depth - 1 - level for level in np.flatnonzero(asked == f).tolist()]
                limits = threshold[asked == f]
                answer = sum(
                    (codes > t).astype(int) << b for t, b in zip(limits, bits, strict=True)
                )
                chance = np.bincount(answer, weights=shares[f], minlength=2**depth)
                kept = places & ~sum(1 << b for b in bits)
                out[tree] = sum(
                    chance[a] * out[tree][kept | a] for a in np.flatnonzero(chance).tolist()
                )
        return out

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; arrays are base64 of little-endian bytes."""
        return {
            "feature": pack(self.feature, "<i4"),
            "threshold": pack(self.threshold, "|u1"),
            "leaves": pack(self.leaves, "<f8"),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], *, n_features: int, depth: int) -> Self:
        """Read what `to_json` wrote.

        Args:
            value: The object; other keys are left alone.
            n_features: Features that the trees may ask for.
            depth: Levels of each tree.

        Raises:
            ValueError: Not what `to_json` wrote; for some faults KeyError or TypeError instead.
        """
        feature = unpack(value["feature"], "<i4", (-1, depth))
        leaves = unpack(value["leaves"], "<f8", (len(feature), 2**depth))
        if not np.isfinite(leaves).all():
            raise ValueError("a leaf is not finite")
        if feature.size and (feature.min() < 0 or feature.max() >= n_features):
            raise ValueError("a tree asks for a feature that is not there")
        return cls(feature, unpack(value["threshold"], "|u1", feature.shape), leaves)


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree as rows are scored by it.

    Attributes:
        asked: Feature and threshold of each level.
        leaves: Row of scores, and what its leaves add to it.
    """

    asked: list[tuple[int, np.uint8]]
    leaves: list[tuple[int, Floats]]


def _score(codes: Mapping[int, NDArray[np.uint8]], trees: list[_Tree], out: Floats) -> None:
    """Add scores of a few rows in place: own ones, then by how much others differ."""
    n_rows = out.shape[1]
    leaf, bit = np.empty(n_rows, dtype=np.uint8), np.empty(n_rows, dtype=np.uint8)
    is_above = bit.view(bool)
    at, added = np.empty(n_rows, dtype=np.intp), np.empty(n_rows)
    for tree in trees:
        leaf[:] = 0
        for f, t in tree.asked:
            leaf += leaf
            np.greater(codes[f], t, out=is_above)
            leaf |= bit
        at[:] = leaf  # once, or every lookup converts it again
        for row, leaves in tree.leaves:
            # "clip" writes to `out` without another copy; every place is inside.
            leaves.take(at, out=added, mode="clip")
            out[row] += added
    out[1:] += out[0]


def logistic(target: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Return downhill gradient and curvature of the logistic loss, each float64, shape (n_rows,).

    Args:
        target: 0 or 1, float64, shape (n_rows,).
        score: Log-odds, float64, same shape.
    """
    p = 1.0 / (1.0 + np.exp(-np.clip(score, -30.0, 30.0)))
    return target - p, np.maximum(p * (1.0 - p), 1e-6)


def squared(target: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Return downhill gradient and curvature of half the squared error.

    Args:
        target: float64, shape (n_rows,).
        score: Predictions, float64, same shape.

    Returns:
        Two of float64, shape (n_rows,).
    """
    return target - score, np.ones_like(score)


def fit_forest(
    codes: NDArray[np.uint8],
    target: NDArray[np.bool_] | Floats,
    offset: Floats,
    *,
    n_cells: int,
    n_trees: int,
    depth: int,
    rng: np.random.Generator,
    loss: Callable[[Floats, Floats], tuple[Floats, Floats]] = logistic,
) -> Forest:
    """Fit trees by second-order boosting of a loss.

    Args:
        codes: uint8, shape (n_features, n_rows), values below n_cells.
        target: bool or float64, shape (n_rows,).
        offset: Score known before, float64, shape (n_rows,).
        n_cells: Largest number of cells of a feature, at most 256.
        n_trees: Number of trees.
        depth: Levels of a tree, at most 8.
        rng: Chooses features of a tree when there are more than 16.
        loss: `logistic` or `squared`: gradient and curvature of target and score, each float64,
            shape (n_rows,).

    Cost: trees x depth x min(features, 16) x 2 weighted histograms of n_rows.
    """
    n_features = codes.shape[0]
    feature = np.zeros((n_trees, depth), dtype=np.int32)
    threshold = np.zeros((n_trees, depth), dtype=np.uint8)
    leaves = np.zeros((n_trees, 2**depth))
    score, wanted = offset.copy(), target.astype(np.float64)
    for tree in range(n_trees):
        gradient, hessian = loss(wanted, score)
        chosen = np.arange(n_features)
        if n_features > _MAX_FEATURES_PER_TREE:
            chosen = np.sort(rng.choice(n_features, _MAX_FEATURES_PER_TREE, replace=False))
        leaf = np.zeros(codes.shape[1], dtype=np.intp)
        groups = _groups(codes, chosen, n_cells)
        # One number for both, so that a histogram takes one pass; parts add up apart.
        weights = np.tile(gradient + 1j * hessian, groups[0].features.size)
        for level in range(depth):
            f, t = _best_split(groups, leaf, weights, n_leaves=2**level, n_cells=n_cells)
            feature[tree, level], threshold[tree, level] = f, t
            leaf = leaf * 2 + (codes[f] > t)
        g = np.bincount(leaf, weights=gradient, minlength=2**depth)
        h = np.bincount(leaf, weights=hessian, minlength=2**depth)
        leaves[tree] = _RATE * g / (h + _L2)
        score += leaves[tree][leaf]
    return Forest(feature, threshold, leaves)


@dataclass(frozen=True, slots=True)
class _Group:
    """Features whose histograms are counted together.

    Attributes:
        features: Their indices, increasing.
        codes: Their codes, intp, shape (len(features), n_rows): as numpy counts them.
    """

    features: NDArray[np.intp]
    codes: NDArray[np.intp]


def _groups(codes: NDArray[np.uint8], chosen: NDArray[np.intp], n_cells: int) -> list[_Group]:
    """Take few rows at once: of many, the histogram of one feature fills the cache alone."""
    size = max(1, _GROUP_ROWS // max(codes.shape[1], n_cells))
    parts = (chosen[i : i + size] for i in range(0, chosen.size, size))
    return [_Group(part, codes[part].astype(np.intp)) for part in parts]


def _best_split(
    groups: list[_Group],
    leaf: NDArray[np.intp],
    weights: NDArray[np.complex128],
    *,
    n_leaves: int,
    n_cells: int,
) -> tuple[int, int]:
    best, best_gain = (int(groups[0].features[0]), 255), 0.0
    base = leaf * n_cells
    features = np.concatenate([group.features for group in groups])
    sums = np.zeros((features.size, n_leaves * n_cells), dtype=np.complex128)
    start = 0
    for group in groups:
        k = group.features.size
        key = base + group.codes
        if k > 1:
            key += np.arange(k)[:, None] * (n_leaves * n_cells)
        np.add.at(sums[start : start + k].reshape(-1), key.reshape(-1), weights[: key.size])
        start += k
    both = sums.reshape(-1, n_leaves, n_cells)
    left_g, left_h = np.cumsum(both.real, axis=2), np.cumsum(both.imag, axis=2)
    all_g, all_h = left_g[..., -1:], left_h[..., -1:]
    gain = (
        left_g**2 / (left_h + _L2)
        + (all_g - left_g) ** 2 / (all_h - left_h + _L2)
        - all_g**2 / (all_h + _L2)
    ).sum(axis=1)[:, :-1]
    at = gain.argmax(axis=1)
    for f, t, value in zip(features, at, gain.max(axis=1), strict=True):
        if value > best_gain + 1e-12:
            best, best_gain = (int(f), int(t)), float(value)
    return best
