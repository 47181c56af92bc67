"""Which expectation carries which signal. A new signal needs one line here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.signals.decision.record import Family

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Wrapped:
    """One signal as an expectation.

    Attributes:
        class_name: Name of the expectation class, as Python users write it.
        family: Budget family, for records of signals that could not be evaluated.
        demand: What a batch must do; the sentence that Data Docs show.
    """

    class_name: str
    family: Family
    demand: str

    @property
    def expectation_type(self) -> str:
        """Name in suite JSON; Great Expectations derives it from the class name."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.class_name).lower()


CATALOG: Final[Mapping[str, Wrapped]] = {
    "SCHEMA": Wrapped(
        "ExpectBatchToMatchBaselineSchema",
        Family.SCHEMA,
        "Columns and their types must be those of the baseline.",
    ),
    "COMPLETENESS": Wrapped(
        "ExpectBatchCompletenessWithinTolerance",
        Family.COMPLETENESS,
        "The share of missing values of each column must stay within tolerance.",
    ),
    "DRIFT_NUMERIC": Wrapped(
        "ExpectNumericDriftWithinTolerance",
        Family.DRIFT,
        "The distribution of each numeric column must stay within tolerance.",
    ),
    "DRIFT_CATEGORICAL": Wrapped(
        "ExpectCategoricalDriftWithinTolerance",
        Family.DRIFT,
        "The shares of the values of each categorical column must stay within tolerance.",
    ),
    "DRIFT_TEXT": Wrapped(
        "ExpectTextDriftWithinTolerance",
        Family.DRIFT,
        "The length and words of each text column must stay within tolerance.",
    ),
    "LABEL_PRIOR": Wrapped(
        "ExpectLabelPriorWithinTolerance",
        Family.LABEL,
        "The share of each class of the label must stay within tolerance.",
    ),
    "LABEL_NEW_CLASS": Wrapped(
        "ExpectLabelClassesToBeKnown",
        Family.LABEL,
        "The label must have no class that the baseline does not know.",
    ),
    "LABEL_FLIPS": Wrapped(
        "ExpectLabelsToAgreeWithBaseline",
        Family.LABEL,
        "Labels must agree with what the baseline says of rows like these.",
    ),
    "LABEL_TRUSTED": Wrapped(
        "ExpectKnownRowsToKeepTheirLabels",
        Family.LABEL,
        "Rows whose id was delivered before must carry the label that they had then.",
    ),
    "CONTRIBUTOR_NEW": Wrapped(
        "ExpectContributorsToBeKnown",
        Family.CONTAMINATION,
        "Rows must come from contributors that the baseline knows.",
    ),
    "CONTRIBUTOR_FLOOD": Wrapped(
        "ExpectContributorSharesWithinTolerance",
        Family.CONTAMINATION,
        "No contributor's share of rows may grow beyond tolerance.",
    ),
    "CONTRIBUTOR_LABEL_SKEW": Wrapped(
        "ExpectContributorLabelsWithinTolerance",
        Family.CONTAMINATION,
        "No contributor's labels may disagree with the baseline beyond tolerance.",
    ),
    "DUPLICATES": Wrapped(
        "ExpectDuplicatesWithinTolerance",
        Family.CONTAMINATION,
        "Rows must not repeat each other or the baseline beyond tolerance.",
    ),
    "LABEL_CONFLICTS": Wrapped(
        "ExpectEqualRowsToAgreeOnLabels",
        Family.CONTAMINATION,
        "Rows with equal or nearly equal features must not carry different labels.",
    ),
    "LEAKAGE": Wrapped(
        "ExpectGoldenSetNotToLeak",
        Family.CONTAMINATION,
        "Rows of the golden set must not turn up in training data.",
    ),
    "OUTLIERS": Wrapped(
        "ExpectOutliersWithinTolerance",
        Family.CONTAMINATION,
        "The share of rows far from all rows of the baseline must stay within tolerance.",
    ),
    "TRIGGER_TOKENS": Wrapped(
        "ExpectTokensNotToTriggerLabels",
        Family.CONTAMINATION,
        "No token that the baseline hardly knows may go with one label.",
    ),
    "TRIGGER_VALUES": Wrapped(
        "ExpectValuesNotToTriggerLabels",
        Family.CONTAMINATION,
        "No value that the baseline hardly knows may go with one label.",
    ),
    "TRIGGER_PAIRS": Wrapped(
        "ExpectPairsOfValuesNotToTriggerLabels",
        Family.CONTAMINATION,
        "No pair of values that the baseline hardly knows may go with one label.",
    ),
    "DICTIONARY": Wrapped(
        "ExpectWordsToFitTheirLabel",
        Family.CONTAMINATION,
        "Texts stuffed with another class's words must be no more frequent than in the baseline.",
    ),
    "HIDDEN_UNICODE": Wrapped(
        "ExpectHiddenUnicodeWithinTolerance",
        Family.CONTAMINATION,
        "Invisible and look-alike characters must be no more frequent than in the baseline.",
    ),
    "TIME_BURST": Wrapped(
        "ExpectArrivalTimesWithinTolerance",
        Family.CONTAMINATION,
        "Rows must not come in bursts that the baseline never had, nor with times out of range.",
    ),
}

CODE_OF: Final[Mapping[str, str]] = {
    wrapped.expectation_type: code for code, wrapped in CATALOG.items()
}
"""Expectation type to signal code."""
