"""Learn from baseline rows what contamination is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sluicegate.profiling.columns import Kind, equi_mass_edges
from sluicegate.profiling.fingerprints import N_TABLES
from sluicegate.profiling.layout import encode_batch
from sluicegate.signals.baseline.contamination import ContaminationReference
from sluicegate.signals.columns.outliers import CODE as OUTLIERS
from sluicegate.signals.columns.outliers import QUANTILES, extremeness, extremes, tail_scores
from sluicegate.signals.copies.conflict_reference import learn_conflicts
from sluicegate.signals.copies.conflicts import CODE as CONFLICTS
from sluicegate.signals.copies.duplicates import learn_density, spectrum
from sluicegate.signals.copies.leakage import matches
from sluicegate.signals.decision.budget import excess_bound, prediction_bound
from sluicegate.signals.row_facts import RowFacts, row_facts
from sluicegate.signals.text.class_scores import cross_fitted, modelled, score_cells
from sluicegate.signals.text.dictionary import CODE as DICTIONARY
from sluicegate.signals.text.reference import TextReference
from sluicegate.signals.text.word_evidence import learn_evidence
from sluicegate.signals.triggers.associations import TOKENS, VALUES, associations
from sluicegate.signals.triggers.pair_table import PairTable, chosen_pairs, group_codes
from sluicegate.signals.triggers.pairs import CODE as PAIRS
from sluicegate.signals.triggers.pairs import crowded
from sluicegate.signals.triggers.token_table import BITS, TokenTable, text_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.profiling.columns import Column
    from sluicegate.profiling.layout import Encoded, Layout
    from sluicegate.profiling.tokens import Tokens

_SURE = 0.01  # an association of clean blocks this unlikely by chance is the source's habit


@dataclass(frozen=True, slots=True)
class LearnedRows:
    """The reference, what the label model needs of texts, and budgets.

    Attributes:
        reference: What the baseline keeps.
        score_columns: Columns of the texts' class scores.
        score_cells: Their cross-fitted cells.
        tolerances: Budgets by "CODE:column".
    """

    reference: ContaminationReference
    score_columns: tuple[Column, ...]
    score_cells: Mapping[str, NDArray[np.uint8]]
    tolerances: Mapping[str, float]


def learn_contamination(
    layout: Layout,
    batch: pa.RecordBatch,
    encoded: Encoded,
    *,
    classes: tuple[int, ...],
    blocks: NDArray[np.int64],
    golden: Iterable[pa.RecordBatch] | None,
    seed: int,
) -> LearnedRows:
    """Learn from all baseline rows.

    Args:
        layout: Columns.
        batch: All baseline rows.
        encoded: Their cells.
        classes: Modelled label slots; texts and values are counted by class if at least two.
        blocks: Block of each row.
        golden: Rows that must not appear in training.
        seed: Chooses the pairs of columns where there are too many.
    """
    facts = row_facts(layout, encoded, batch)
    class_index = _class_index(encoded, classes)
    texts, cells, text_budgets = {}, {}, {}
    columns: tuple[Column, ...] = ()
    if len(classes) >= 2:
        for name, tokens in facts.tokens.items():
            texts[name], scores, budget = _learn_text(tokens, class_index, blocks, len(classes))
            text_budgets[f"{DICTIONARY}:{name}"] = budget
            cells.update(score_cells(name, texts[name].edges, scores))
            columns += texts[name].columns(name)
    values = _values(facts, class_index, len(classes))
    pairs, pair_budget = _pairs(
        layout, encoded, class_index, blocks, n_classes=len(classes), seed=seed
    )
    limits = _learn_limits(layout, encoded, batch, blocks)
    has_prints = any(c.binned or c.listed for c in layout.features)
    golden_prints = _golden(layout, golden)
    conflicts, conflict_budgets = learn_conflicts(layout, encoded, facts.prints, blocks)
    reference = ContaminationReference(
        texts=texts,
        values=values,
        pairs=pairs,
        hidden={name: int(flags.sum()) for name, flags in facts.hidden.items()},
        spectra=tuple(spectrum(t) for t in facts.prints) if has_prints else (),
        density=tuple(learn_density(t, blocks) for t in facts.prints) if has_prints else (),
        golden=golden_prints,
        golden_in_baseline=tuple(
            int(matches(own, g).sum()) for own, g in zip(facts.prints, golden_prints, strict=False)
        ),
        extreme_limits=limits.limits,
        extreme_rows=limits.rows,
        conflicts=conflicts,
    )
    budgets = dict(text_budgets)
    budgets.update({f"{CONFLICTS}:{kind}": v for kind, v in conflict_budgets.items()})
    if limits.limits:
        budgets[f"{OUTLIERS}:"] = limits.budget
    if pairs is not None:
        budgets[f"{PAIRS}:"] = pair_budget
    if len(classes) >= 2:
        budgets.update(_trigger_budgets(facts, class_index, blocks, len(classes)))
    return LearnedRows(reference, columns, cells, budgets)


def _learn_text(
    tokens: Tokens, class_index: NDArray[np.intp], blocks: NDArray[np.int64], n_classes: int
) -> tuple[TextReference, NDArray[np.float64], float]:
    """Return the reference of a text column, its cross-fitted scores, and a budget of odd ones."""
    table = TokenTable.empty(n_classes, text_bits(n_classes))
    table.add(tokens.doc, table.cells(tokens.hash), class_index)
    scores = cross_fitted(table, tokens, class_index, blocks)
    evidence, budget = learn_evidence(scores, class_index, blocks)
    read = modelled(scores)
    return TextReference(table, tuple(equi_mass_edges(s) for s in read), evidence), read, budget


def _class_index(encoded: Encoded, classes: tuple[int, ...]) -> NDArray[np.intp]:
    lookup = np.full(256, -1, dtype=np.intp)
    lookup[list(classes)] = np.arange(len(classes))
    return lookup[encoded.slot]


def _values(facts: RowFacts, class_index: NDArray[np.intp], n_classes: int) -> TokenTable | None:
    if n_classes < 2 or facts.value_row.size == 0:
        return None
    table = TokenTable.empty(n_classes)
    table.add(facts.value_row, table.cells(facts.value_hash), class_index)
    # A value seen once says nothing, and measured columns have hardly any others.
    table.counts[table.counts.sum(axis=1) < 2] = 0
    return table


def _pairs(
    layout: Layout,
    encoded: Encoded,
    class_index: NDArray[np.intp],
    blocks: NDArray[np.int64],
    *,
    n_classes: int,
    seed: int,
) -> tuple[PairTable | None, float]:
    """Count the cells of pairs, and how far they crowd by themselves in one block."""
    chosen = (
        chosen_pairs(layout, n_classes, np.random.default_rng([seed, 2])) if n_classes >= 2 else ()
    )
    if not chosen:
        return None, 0.0
    groups = group_codes(layout, encoded.cells)
    whole = PairTable.empty(chosen, n_classes)
    whole.add(groups, class_index)
    effects = []
    for block in range(int(blocks.max()) + 1):
        own = whole.alike()
        own.add(groups, np.where(blocks == block, class_index, -1))
        found = (c.association for c in crowded(own, whole.less(own)))
        sure = [a.bound for a in found if a.p_value < _SURE]
        effects.append(max([0.0, *sure]))
    return whole.often(), excess_bound(np.array(effects))


@dataclass(frozen=True, slots=True)
class _Limits:
    """Quantiles of extremeness, the rows beyond each, and the budget of the first."""

    limits: tuple[float, ...]
    rows: tuple[int, ...]
    budget: float


def _learn_limits(
    layout: Layout, encoded: Encoded, batch: pa.RecordBatch, blocks: NDArray[np.int64]
) -> _Limits:
    """Score every block by the tails of the others: a new batch is not in its own tails."""
    if not any(c.kind is Kind.NUMERIC for c in layout.features):
        return _Limits((), (), 0.0)
    scores = np.zeros(encoded.n_rows)
    for block in range(int(blocks.max()) + 1):
        inside = blocks == block
        tails = {
            c.name: tail_scores(c, np.bincount(encoded.cells[c.name][~inside], minlength=c.n_cells))
            for c in layout.features
            if c.kind is Kind.NUMERIC
        }
        found = extremeness(extremes(layout, encoded, batch, tails), encoded.n_rows)
        scores[inside] = found[inside]
    ordered = np.sort(scores)
    limits = tuple(float(ordered[min(int(q * ordered.size), ordered.size - 1)]) for q in QUANTILES)
    rows = tuple(int((scores > limit).sum()) for limit in limits)
    usual = rows[0] / scores.size
    inside_rows = np.bincount(blocks)
    shares = np.bincount(blocks, weights=scores > limits[0]) / inside_rows
    budget = prediction_bound(shares - usual, usual * (1 - usual) / inside_rows)
    return _Limits(limits, rows, budget)


def _golden(
    layout: Layout, golden: Iterable[pa.RecordBatch] | None
) -> tuple[NDArray[np.uint64], ...]:
    if golden is None:
        return ()
    projected = (layout.projected(part) for part in golden)
    parts = [row_facts(layout, encode_batch(layout, part), part).prints for part in projected]
    joined = np.concatenate(parts, axis=1) if parts else np.zeros((N_TABLES, 0), np.uint64)
    return tuple(np.unique(row) for row in joined)


def _trigger_budgets(
    facts: RowFacts, class_index: NDArray[np.intp], blocks: NDArray[np.int64], n_classes: int
) -> dict[str, float]:
    """The largest sure association of each block against the others, and a bound above."""
    bits = text_bits(n_classes)
    sources = {f"{TOKENS}:{n}": (t.doc, t.hash, bits) for n, t in facts.tokens.items()}
    sources[f"{VALUES}:"] = (facts.value_row, facts.value_hash, BITS)
    budgets = {}
    for key, (row, hashes, size) in sources.items():
        whole = TokenTable.empty(n_classes, size)
        cell = whole.cells(hashes)
        whole.add(row, cell, class_index)
        effects = []
        for block in range(int(blocks.max()) + 1):
            own = whole.alike()
            own.add(row, cell, np.where(blocks == block, class_index, -1))
            sure = [a.bound for a in associations(own, whole.less(own)) if a.p_value < _SURE]
            effects.append(max([0.0, *sure]))
        budgets[key] = excess_bound(np.array(effects))
    return budgets
