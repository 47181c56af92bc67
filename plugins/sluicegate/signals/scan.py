"""One streaming pass over a batch: counts, and a few dozen bytes a row if rows are wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.counts import Profile
from sluicegate.profiling.distinct import Distinct
from sluicegate.profiling.fingerprints import N_TABLES
from sluicegate.profiling.layout import Encoded, encode_batch, unique_column, without_index
from sluicegate.signals.arrival.time_burst import ArrivalCount
from sluicegate.signals.columns.outliers import (
    Extremes,
    extremeness,
    extremes,
    moved_columns,
    outermost,
    tail_scores,
)
from sluicegate.signals.contributors.names import SHOWN, ContributorNames
from sluicegate.signals.copies.conflicts import ConflictCount
from sluicegate.signals.copies.leakage import matches
from sluicegate.signals.copies.pair_counts import PairCounts
from sluicegate.signals.labels.margins import N_BINS
from sluicegate.signals.labels.second_opinion import flip_odds
from sluicegate.signals.labels.trusted import TrustedCount
from sluicegate.signals.row_facts import RowFacts, row_facts
from sluicegate.signals.text.class_scores import DocScores, WordWeights, add_text_cells, doc_scores
from sluicegate.signals.triggers.pair_table import group_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.triggers.pair_table import PairTable
    from sluicegate.signals.triggers.token_table import TokenTable

Counts = NDArray[np.int64]
MAX_NAMED_ROWS = 200_000
"""Above this many rows triggers are found but their rows are not named: tokens of every row
would have to be kept (about 400 bytes a document)."""


@dataclass(slots=True)
class Part:
    """What is kept of one record batch for the row scores.

    Attributes:
        n_rows: Rows.
        class_index: Modelled class, -1 if none, int8.
        margin: Margin of the given label, float32.
        second: The second opinion's log-odds that the given label is wrong, float32; None
            without one.
        contributor: Index into `Scan.names`, -1 if none, int32.
        prints: Fingerprints, uint64, shape (4, n_rows).
        extremes: Rows that are extreme in each column, and how much.
        hidden: Rows with hidden characters, bool.
        oddness: How odd the words of each text column are, float32.
        tokens: Row and table cell of each token, by text column, "" for values.
        groups: Group of each row in the columns whose pairs are counted, uint8.
    """

    n_rows: int
    class_index: NDArray[np.int8]
    margin: NDArray[np.float32]
    second: NDArray[np.float32] | None
    contributor: NDArray[np.int32]
    prints: NDArray[np.uint64]
    extremes: Extremes
    hidden: NDArray[np.bool_]
    oddness: dict[str, NDArray[np.float32]]
    tokens: dict[str, tuple[NDArray[np.int64], NDArray[np.uint32]]]
    groups: dict[str, NDArray[np.uint8]]


@dataclass(slots=True)
class Scan:
    """State of the pass.

    Attributes:
        baseline: What to count against.
        profile: Counts.
        tails: Extremeness of the cells of numeric columns.
        words: Weights of words, by text column.
        fields: Arrow fields of the first batch.
        flip_counts: Rows by contributor, modelled class and margin bin.
        predicted: Expected rows by contributor and class, in 1/65536 row.
        flip_reason: Why margins could not be computed; "" while they can.
        hidden: Texts with hidden characters by column.
        odd_texts: Texts with a known label whose words are beyond each limit, by text column.
        token_tables: Rows by token and class, by text column.
        value_table: Rows by exact value and class, if the baseline has one.
        pair_table: Rows by cells of pairs of columns, if the baseline has one.
        token_names: Words by table cell.
        distinct: Different fingerprints in each table.
        golden_rows: Rows with a fingerprint of the golden set, by table.
        outermost: Rows of each record batch that may be outliers: how many, and their extremes.
        keep_rows: Whether rows are to be scored; without, nothing grows with clean rows.
        parts: What is kept of each record batch for the row scores.
        names: Contributors in the order they appeared.
        ids: The id column, if the schema names one.
        trusted: Rows of known ids.
        conflicts: Rows by fingerprint and label.
        arrival: Rows by time.
        naming: What contributors are called in findings.
    """

    baseline: Baseline
    profile: Profile
    tails: Mapping[str, NDArray[np.float64]]
    words: Mapping[str, WordWeights]
    fields: tuple[pa.Field, ...] = ()
    flip_counts: dict[str | None, Counts] = field(default_factory=dict)
    predicted: dict[str | None, Counts] = field(default_factory=dict)
    flip_reason: str = ""
    hidden: dict[str, int] = field(default_factory=dict)
    odd_texts: dict[str, Counts] = field(default_factory=dict)
    token_tables: dict[str, TokenTable] = field(default_factory=dict)
    value_table: TokenTable | None = None
    pair_table: PairTable | None = None
    token_names: dict[int, str] = field(default_factory=dict)
    distinct: tuple[Distinct, ...] = field(
        default_factory=lambda: tuple(Distinct() for _ in range(N_TABLES))
    )
    golden_rows: list[int] = field(default_factory=lambda: [0] * N_TABLES)
    outermost: list[tuple[int, Extremes]] = field(default_factory=list)
    keep_rows: bool = True
    parts: list[Part] = field(default_factory=list)
    names: dict[str | None, int] = field(default_factory=dict)
    ids: list[pa.Array] = field(default_factory=list)
    trusted: TrustedCount = field(default_factory=lambda: TrustedCount(None))
    conflicts: ConflictCount = field(default_factory=ConflictCount)
    arrival: ArrivalCount = field(default_factory=ArrivalCount)
    naming: ContributorNames = SHOWN

    @classmethod
    def start(
        cls, baseline: Baseline, *, keep_rows: bool = True, naming: ContributorNames = SHOWN
    ) -> Scan:
        """Return the state before any row."""
        tails = {
            c.name: tail_scores(c, baseline.profile.marginal(c.name))
            for c in baseline.layout.features
            if c.binned
        }
        reference = baseline.contamination
        words = {
            n: WordWeights.of(t.table, kept=t.evidence.kept) for n, t in reference.texts.items()
        }
        scan = cls(baseline, Profile.empty(baseline.layout), tails, words, keep_rows=keep_rows)
        scan.naming = naming
        scan.trusted = TrustedCount(reference.trusted)
        scan.arrival = ArrivalCount(reference.arrival)
        scan.conflicts = ConflictCount(tuple(PairCounts() for _ in reference.conflicts))
        if reference.values is not None:
            scan.value_table = reference.values.alike()
        if reference.pairs is not None:
            scan.pair_table = reference.pairs.alike()
        for name, text in reference.texts.items():
            scan.token_tables[name] = text.table.alike()
            scan.odd_texts[name] = np.zeros(len(text.evidence.limits), dtype=np.int64)
        return scan

    def update(self, batch: pa.RecordBatch) -> None:
        """Count one record batch."""
        batch = self.baseline.layout.projected(batch)
        if not self.fields:
            self.fields = without_index(batch.schema)
        encoded = encode_batch(self.baseline.layout, batch)
        facts = row_facts(self.baseline.layout, encoded, batch, values=self.value_table is not None)
        self.profile.add(encoded)
        scores = {
            n: doc_scores(w, facts.tokens[n]) for n, w in self.words.items() if n in facts.tokens
        }
        class_index, margin = self._label_scores(encoded, scores)
        oddness = self._oddness(scores, class_index)
        far = extremes(self.baseline.layout, encoded, batch, self.tails)
        self._fingerprints(facts)
        layout = self.baseline.layout
        self.conflicts.update(layout, encoded, facts.prints, keep=self.keep_rows)
        self.arrival.update(self.baseline, batch, encoded, keep=self.keep_rows)
        self.trusted.update(self.baseline, batch, encoded, keep=self.keep_rows)
        limits = self.baseline.contamination.extreme_limits
        if limits:
            self.outermost.append(outermost(far, encoded.n_rows, min(limits)))
        tokens = self._contamination(facts, class_index)
        groups = self._pairs(encoded, class_index)
        if not self.keep_rows:
            return
        self.parts.append(
            Part(
                n_rows=encoded.n_rows,
                class_index=class_index.astype(np.int8),
                margin=margin,
                second=self._second_opinion(encoded, batch, class_index),
                contributor=self._contributor_index(encoded),
                prints=facts.prints,
                extremes=far,
                hidden=np.any(
                    [np.zeros(encoded.n_rows, dtype=bool), *facts.hidden.values()], axis=0
                ),
                oddness=oddness,
                tokens=tokens,
                groups=groups,
            )
        )
        name = self.baseline.schema.id
        array = unique_column(batch, name) if name else None
        if array is not None:
            self.ids.append(array)

    def moved(self) -> tuple[str, ...]:
        """Return the columns that moved as a whole and are left out of the extremeness."""
        return moved_columns(self.baseline.layout, self.baseline.profile, self.profile)

    def outlying_rows(self) -> tuple[int, ...]:
        """Return how many rows lie beyond each limit of the baseline."""
        moved = self.moved()
        scores = [extremeness(found, n, moved) for n, found in self.outermost]
        limits = self.baseline.contamination.extreme_limits
        return tuple(sum(int((s > limit).sum()) for s in scores) for limit in limits)

    def extremeness(self) -> NDArray[np.float64]:
        """Return all kept rows' extremeness."""
        moved = self.moved()
        found = [extremeness(p.extremes, p.n_rows, moved) for p in self.parts]
        return np.concatenate([np.zeros(0), *found])

    def _fingerprints(self, facts: RowFacts) -> None:
        for table, distinct in enumerate(self.distinct):
            distinct.add(facts.prints[table])
        for table, golden in enumerate(self.baseline.contamination.golden):
            self.golden_rows[table] += int(matches(facts.prints[table], golden).sum())

    def _oddness(
        self, scores: Mapping[str, DocScores], class_index: NDArray[np.intp]
    ) -> dict[str, NDArray[np.float32]]:
        found = {}
        for name, of_docs in scores.items():
            evidence = self.baseline.contamination.texts[name].evidence
            odd = evidence.oddness(of_docs, class_index)
            known = odd[class_index >= 0]
            self.odd_texts[name] += [int((known > limit).sum()) for limit in evidence.limits]
            found[name] = odd.astype(np.float32)
        return found

    def _contamination(
        self, facts: RowFacts, class_index: NDArray[np.intp]
    ) -> dict[str, tuple[NDArray[np.int64], NDArray[np.uint32]]]:
        """Count tokens and values; return those of each row where its triggers can be named."""
        kept: dict[str, tuple[NDArray[np.int64], NDArray[np.uint32]]] = {}
        for name, flags in facts.hidden.items():
            self.hidden[name] = self.hidden.get(name, 0) + int(flags.sum())
        keep = self.keep_rows and self.profile.n_rows <= MAX_NAMED_ROWS
        for name, table in self.token_tables.items():
            if name not in facts.tokens:
                continue
            tokens = facts.tokens[name]
            cells = table.cells(tokens.hash)
            table.add(tokens.doc, cells, class_index)
            hashes = np.fromiter(tokens.words, dtype=np.uint64, count=len(tokens.words))
            for cell, word in zip(table.cells(hashes), tokens.words.values(), strict=True):
                self.token_names.setdefault(int(cell), word)
            if keep:
                kept[name] = (tokens.doc, cells)
        if self.value_table is not None:
            cells = self.value_table.cells(facts.value_hash)
            self.value_table.add(facts.value_row, cells, class_index)
            if keep:
                kept[""] = (facts.value_row, cells)
        return kept

    def _pairs(
        self, encoded: Encoded, class_index: NDArray[np.intp]
    ) -> dict[str, NDArray[np.uint8]]:
        if self.pair_table is None:
            return {}
        groups = group_codes(self.baseline.layout, encoded.cells)
        self.pair_table.add(groups, class_index)
        return groups

    def _label_scores(
        self, encoded: Encoded, scores: Mapping[str, DocScores]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        reference, none = self.baseline.labels, np.zeros(encoded.n_rows, np.float32)
        if reference is None or encoded.label is None or encoded.n_rows == 0:
            return np.full(encoded.n_rows, -1, dtype=np.intp), none
        cells = add_text_cells(encoded.cells, scores, self.baseline.contamination.texts)
        lacking = [n for n in reference.model.features if n not in cells]
        if lacking:
            # Triggers need the classes only, and are looked for all the same.
            self.flip_reason = f"the model needs column {lacking[0]}"
            return reference.class_index(encoded.slot), none
        class_index, bins, units, margin = reference.margin_bins(cells, encoded.slot)
        self._count_margins(encoded, class_index, bins, units)
        return class_index, margin

    def _second_opinion(
        self, encoded: Encoded, batch: pa.RecordBatch, class_index: NDArray[np.intp]
    ) -> NDArray[np.float32] | None:
        reference = self.baseline.labels
        if reference is None or reference.second is None:
            return None
        known = class_index >= 0
        scores = reference.second.scores(self.baseline.layout, encoded, batch)
        out = np.zeros(encoded.n_rows, dtype=np.float32)
        out[known] = flip_odds(scores[:, known], class_index[known])
        return out

    def _count_margins(
        self,
        encoded: Encoded,
        class_index: NDArray[np.intp],
        bins: NDArray[np.uint8],
        units: Counts,
    ) -> None:
        known, k = class_index >= 0, units.shape[0]
        who = np.zeros(encoded.n_rows, dtype=np.int64)
        names: tuple[str | None, ...] = (None,)
        if encoded.contributor is not None:
            who, names = encoded.contributor.astype(np.int64), encoded.contributors
        flat = (who[known] * k + class_index[known]) * N_BINS + bins[known]
        table = np.bincount(flat, minlength=len(names) * k * N_BINS).reshape(-1, k, N_BINS)
        # Integers below 2**53 add exactly as floats.
        sums = np.stack(
            [np.bincount(who[known], weights=u[known], minlength=len(names)) for u in units]
        ).astype(np.int64)
        for i, name in enumerate(names):
            self.flip_counts[name] = self.flip_counts.get(name, 0) + table[i].astype(np.int64)
            self.predicted[name] = self.predicted.get(name, 0) + sums[:, i]

    def _contributor_index(self, encoded: Encoded) -> NDArray[np.int32]:
        if encoded.contributor is None:
            return np.full(encoded.n_rows, -1, dtype=np.int32)
        for name in encoded.contributors:
            self.names.setdefault(name, len(self.names))
        lookup = np.array([self.names[n] for n in encoded.contributors] or [0], dtype=np.int32)
        return lookup[encoded.contributor]
