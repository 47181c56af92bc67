"""What the baseline keeps to recognise contamination: counts, fingerprints, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sluicegate.profiling.packed import pack, unpack
from sluicegate.signals.arrival.reference import ArrivalReference
from sluicegate.signals.copies.conflict_reference import ConflictTable
from sluicegate.signals.copies.known_rows import KnownRows
from sluicegate.signals.text.reference import TextReference
from sluicegate.signals.triggers.pair_table import PairTable
from sluicegate.signals.triggers.token_table import TokenTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.signals.copies.repeats import Spectrum

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ContaminationReference:
    """Everything but labels and cells.

    Attributes:
        texts: By text column, when labels have classes.
        values: Exact values of the other features by class, or None.
        pairs: Cells of pairs of columns by class, or None.
        hidden: Baseline texts with hidden characters, by text column.
        spectra: Spectrum of fingerprint groups for each table; empty without features.
        density: How many times more rows a clean batch may seem to have, for each table.
        golden: Sorted fingerprints of the golden set for each table; empty without one.
        golden_in_baseline: Baseline rows that match them, for each table.
        extreme_limits: Quantiles of extremeness; empty without numeric features.
        extreme_rows: Baseline rows beyond each limit.
    """

    texts: Mapping[str, TextReference]
    values: TokenTable | None
    pairs: PairTable | None
    hidden: Mapping[str, int]
    spectra: tuple[Spectrum, ...]
    density: tuple[float, ...]
    golden: tuple[NDArray[np.uint64], ...]
    golden_in_baseline: tuple[int, ...]
    extreme_limits: tuple[float, ...]
    extreme_rows: tuple[int, ...]
    trusted: KnownRows | None = None
    conflicts: tuple[ConflictTable, ...] = ()
    arrival: ArrivalReference | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "texts": {name: text.to_json() for name, text in self.texts.items()},
            "values": None if self.values is None else self.values.to_json(),
            "pairs": None if self.pairs is None else self.pairs.to_json(),
            "hidden": dict(self.hidden),
            "spectra": [[list(pair) for pair in s] for s in self.spectra],
            "density": list(self.density),
            "golden": [pack(g, "<u8") for g in self.golden],
            "golden_in_baseline": list(self.golden_in_baseline),
            "extreme_limits": list(self.extreme_limits),
            "extreme_rows": list(self.extreme_rows),
            "arrival": None if self.arrival is None else self.arrival.to_json(),
            "conflicts": [table.to_json() for table in self.conflicts],
            "trusted": None if self.trusted is None else self.trusted.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when malformed."""
        golden = tuple(unpack(g, "<u8", (-1,)) for g in value["golden"])
        if any((np.sort(g) != g).any() for g in golden):
            raise ValueError("golden fingerprints are not sorted")
        return cls(
            texts={str(k): TextReference.from_json(v) for k, v in value["texts"].items()},
            values=None if value["values"] is None else TokenTable.from_json(value["values"]),
            pairs=None if value["pairs"] is None else PairTable.from_json(value["pairs"]),
            hidden={str(k): int(v) for k, v in value["hidden"].items()},
            spectra=tuple([(int(a), int(b)) for a, b in s] for s in value["spectra"]),
            density=tuple(float(v) for v in value["density"]),
            golden=golden,
            golden_in_baseline=tuple(int(v) for v in value["golden_in_baseline"]),
            extreme_limits=tuple(float(v) for v in value["extreme_limits"]),
            extreme_rows=tuple(int(v) for v in value["extreme_rows"]),
            arrival=(
                None if value["arrival"] is None else ArrivalReference.from_json(value["arrival"])
            ),
            conflicts=tuple(ConflictTable.from_json(v) for v in value["conflicts"]),
            trusted=None if value["trusted"] is None else KnownRows.from_json(value["trusted"]),
        )
