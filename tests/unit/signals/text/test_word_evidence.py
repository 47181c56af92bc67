"""How odd the words of a document are, and the tables they are counted in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import WORDS, make_rows, put

from sluicegate.profiling.tokens import tokenize
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.text.class_scores import WordWeights, cross_fitted, doc_scores
from sluicegate.signals.text.token_table import BITS, TEXT_BITS, TokenTable, text_bits
from sluicegate.signals.text.word_evidence import WordEvidence, learn_evidence

pytestmark = pytest.mark.slow  # baselines of thousands of documents

N = 1200


def docs(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Sentences of one order of words, half of them about each class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    texts = []
    for y in labels:
        start = int(rng.integers(200, 300))
        said = [f"own{y}x{i}" for i in rng.integers(0, 40, 3)]
        texts.append(" ".join([*(WORDS[start + i] for i in range(15)), *said]))
    return texts, labels.astype(np.intp)


@pytest.fixture(scope="module")
def learned():
    texts, labels = docs(N, 1)
    tokens, blocks = tokenize(pa.array(texts)), np.arange(N) % 6
    table = TokenTable.empty(2, TEXT_BITS)
    table.add(tokens.doc, table.cells(tokens.hash), labels)
    evidence, budget = learn_evidence(cross_fitted(table, tokens, labels, blocks), labels, blocks)
    return table, evidence, budget


def oddness(learned, texts, labels) -> np.ndarray:
    table, evidence, _ = learned
    scores = doc_scores(WordWeights.of(table, kept=evidence.kept), tokenize(pa.array(texts)))
    return evidence.oddness(scores, np.asarray(labels, dtype=np.intp))


def test_honest_documents_are_as_odd_as_those_of_the_baseline(learned):
    _, evidence, budget = learned
    odd = oddness(learned, *docs(4000, 2))
    assert (odd > evidence.limits[0]).mean() <= 0.01
    assert budget < 0.02
    assert evidence.kept == pytest.approx(5 / 6)


@pytest.mark.parametrize("cut", [1, 2, 37, 200])
def test_oddness_of_a_document_does_not_depend_on_those_beside_it(learned, cut):
    texts, labels = docs(300, 4)
    whole = oddness(learned, texts, labels)
    parts = [oddness(learned, texts[i : i + cut], labels[i : i + cut]) for i in range(0, 300, cut)]
    assert np.concatenate(parts).tolist() == whole.tolist()


@pytest.mark.parametrize("kind", ["another class's words", "words in no order", "both classes"])
def test_stuffed_documents_are_odder(learned, kind):
    rng = np.random.default_rng(3)
    texts, labels = docs(200, 4)
    for i, y in enumerate(labels):
        if kind == "another class's words":
            texts[i] = " ".join(f"own{1 - y}x{k}" for k in rng.integers(0, 40, 12))
        elif kind == "words in no order":
            texts[i] = " ".join(rng.permutation(WORDS[200:315])[:18])
        else:
            texts[i] += " " + " ".join(f"own{k % 2}x{k}" for k in rng.integers(0, 40, 16))
    honest = oddness(learned, *docs(200, 4))
    assert np.median(oddness(learned, texts, labels)) > np.quantile(honest, 0.95)


def test_document_without_words_or_label_is_not_odd(learned):
    odd = oddness(learned, ["", "word1", None], [0, -1, -1])
    assert (odd <= learned[1].limits[0]).all()


def test_evidence_survives_json_and_refuses_what_is_malformed(learned):
    evidence = learned[1]
    written = evidence.to_json()
    read = WordEvidence.from_json(written)
    assert (read.tails == evidence.tails).all()
    assert read.to_json() == written
    for change in (
        {"order": [0.0]},
        {"order": [float("nan")] * 4},
        {"limits": [1.0]},
        {"rows": [-1, 0]},
        {"kept": 0.0},
        {"tails": "AAAA"},
    ):
        with pytest.raises((KeyError, TypeError, ValueError)):
            WordEvidence.from_json({**written, **change})


@pytest.mark.parametrize("bits", [BITS - 1, TEXT_BITS + 1, True, 18.0, None])
def test_table_of_another_size_is_refused(bits):
    written = TokenTable.empty(2).to_json()
    assert TokenTable.from_json(written).bits == BITS
    with pytest.raises((KeyError, TypeError, ValueError)):
        TokenTable.from_json({**written, "bits": bits})


def test_tables_of_many_classes_are_smaller():
    assert text_bits(2) == text_bits(4) == TEXT_BITS
    assert text_bits(8) == TEXT_BITS - 1
    assert text_bits(200) == BITS


def test_words_and_pairs_are_told_apart_by_their_hash():
    tokens = tokenize(pa.array(["one two three"]))
    assert sorted((tokens.hash & np.uint64(1)).tolist()) == [0, 0, 0, 1, 1]
    assert {h for h in tokens.words if h & 1} == set()


def test_stuffed_rows_are_named(baseline):
    batch, rng = make_rows(1500, 2), np.random.default_rng(3)
    labels, notes = batch["y"].to_pylist(), batch["note"].to_pylist()
    at = [i for i, y in enumerate(labels) if y == 0][:45]
    for i in at:
        said = rng.choice(40, 12, replace=False)
        notes[i] = " ".join([notes[i], *(WORDS[k] for k in said)])
    found = evaluate(baseline, put(batch, "note", notes).to_batches(), tolerances={})
    assert next(r for r in found.records if r.code == "DICTIONARY").status is Status.FAILED
    named = {i for i, r in enumerate(found.row_reasons) if "DICTIONARY" in r}
    assert len(named & set(at)) > 0.8 * len(at)
    assert len(named - set(at)) <= 5
