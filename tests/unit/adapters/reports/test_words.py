"""Words and signs are the same in the report and on the page in Airflow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sluicegate.orchestration.page as airflow_page
from sluicegate.adapters.reports.words import (
    AT_LEAST,
    BY_SUBJECT,
    CELLS,
    IN_WINDOW,
    LABELS_BY,
    NO_SIGNAL,
    PARTS,
    PASSED_HEADS,
    SIGNS,
    TIED,
    TOLERATED,
    chance,
    in_two,
    number,
    titled,
    untitled,
    would_pass,
)
from sluicegate.signals.decision.record import Family, SignalRecord, Status

PROGRAM = Path(airflow_page.__file__).with_name("static")


def test_page_in_airflow_has_the_same_signs():
    text = (PROGRAM / "parts.js").read_text(encoding="utf-8")
    looks = dict(re.findall(r'^  ([A-Z_]+): \["\w+", "(.)"\]', text, re.MULTILINE))
    assert looks == dict(SIGNS)


WORDS = [
    AT_LEAST,
    BY_SUBJECT,
    IN_WINDOW,
    LABELS_BY,
    NO_SIGNAL,
    TIED,
    TOLERATED,
    *CELLS.values(),
    *PARTS,
]


@pytest.mark.parametrize("word", [*WORDS, str(list(PASSED_HEADS)).replace("'", '"')])
def test_page_in_airflow_has_the_same_words(word):
    texts = (path.read_text(encoding="utf-8") for path in PROGRAM.glob("*.js"))
    assert any(word in text for text in texts)


def test_message_does_not_repeat_what_stands_beside_it():
    message = "DRIFT_NUMERIC: column x: the distribution moved."
    assert untitled(message, "DRIFT_NUMERIC", "x") == "The distribution moved."
    assert untitled(message, "DRIFT_NUMERIC") == "Column x: the distribution moved."
    assert untitled(message, "OTHER", "y") == message
    assert titled("DRIFT_NUMERIC", "x\n") == r"DRIFT_NUMERIC: x\n"
    assert titled("OUTLIERS", "") == "OUTLIERS"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("A 0.7 % flipped (p = 0.1). Review c021. Or not.", "A 0.7 % flipped (p = 0.1)."),
        ("2 findings: not evaluated: none. (A, B)", "2 findings: not evaluated: none. (A, B)"),
        ("", ""),
    ],
)
def test_first_sentence_and_what_to_do(text, first):
    said, then = in_two(text)
    assert said == first
    assert " ".join(filter(None, (said, then))) == text


def test_numbers_are_short():
    assert [number(v) for v in (None, 0.0, 0.00123456, 12345.6)] == ["", "0", "0.00123", "1.23e+04"]
    assert [chance(v) for v in (None, 1e-13, 0.04321)] == ["", "< 1e-12", "0.0432"]


def test_exact_fact_has_no_tolerance_that_would_pass():
    fact = SignalRecord(
        code="SCHEMA",
        family=Family.SCHEMA,
        status=Status.FAILED,
        effect=1.0,
        effect_bound=1.0,
        tolerance=0.0,
    )
    assert would_pass(fact) == ""
