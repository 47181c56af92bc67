"""Hashes of words and rows: stable, order-free where promised, near where promised."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.profiling.columns import infer_column
from sluicegate.profiling.fingerprints import fingerprints, number_hashes
from sluicegate.profiling.layout import Layout, encode_batch
from sluicegate.profiling.schema import BatchSchema
from sluicegate.profiling.tokens import _sorted, minimum_hash, tokenize

SCHEMA = BatchSchema(text=("t",))


def prints(table: pa.Table, base: pa.Table) -> np.ndarray:
    layout = Layout(
        tuple(infer_column(n, base[n], role=SCHEMA.role(n)) for n in base.column_names), SCHEMA
    )
    batch = table.combine_chunks().to_batches()[0]
    encoded = encode_batch(layout, batch)
    tokens = {"t": tokenize(batch.column("t"))} if "t" in batch.schema.names else {}
    numbers = number_hashes(layout, encoded, batch)
    return fingerprints(layout, encoded, batch, tokens, numbers)


def test_tokens_are_words_and_pairs_without_case():
    tokens = tokenize(pa.array(["The cat sat", "the CAT, sat!", None, ""]))
    first, second = tokens.hash[tokens.doc == 0], tokens.hash[tokens.doc == 1]
    assert first.size == 5
    assert (first == second).all()
    assert set(tokens.doc.tolist()) == {0, 1}
    assert sorted(tokens.words.values()) == ["cat", "sat", "the"]


def test_pairs_do_not_cross_documents():
    joined, apart = tokenize(pa.array(["a b"])), tokenize(pa.array(["a", "b"]))
    assert joined.hash.size == 3
    assert apart.hash.size == 2


@pytest.mark.parametrize("text", ["שלום עולם", "привет мир", "日本語 テキスト", "naïve café"])
def test_letters_of_any_script_are_words(text):
    assert len(tokenize(pa.array([text])).words) == 2


def test_text_of_megabytes_is_judged_by_its_beginning():
    long = "word " * 2_000_000
    assert tokenize(pa.array([long])).hash.size == 2


def test_similar_texts_share_minimum_hashes_about_as_often_as_words():
    words = [f"w{i}" for i in range(100)]
    tokens = tokenize(pa.array([" ".join(words), " ".join(words[:90] + ["x"] * 10)]))
    shared = np.mean([len(set(minimum_hash(tokens, s).tolist())) == 1 for s in range(300)])
    a, b = (set(tokens.hash[tokens.doc == d].tolist()) for d in (0, 1))
    assert shared == pytest.approx(len(a & b) / len(a | b), abs=0.1)


def test_equal_rows_collide_in_all_tables_and_jittered_ones_in_most():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 6))
    base = pa.table({f"x{j}": values[:, j].tolist() for j in range(6)})
    copy = values[:500]
    near = copy + rng.normal(size=copy.shape) * 0.003
    both = np.concatenate([copy, copy, near])
    found = prints(pa.table({f"x{j}": both[:, j].tolist() for j in range(6)}), base)
    assert (found[:, :500] == found[:, 500:1000]).all()
    assert not (found[0, :500] == found[0, 1000:]).any()
    assert ((found[1:, :500] == found[1:, 1000:]).any(axis=0)).mean() > 0.95


def test_fingerprint_ignores_sign_of_zero_and_case_of_text():
    base = pa.table({"x": [0.0, 1.0, 2.0], "t": ["a b c d", "e f g h", "i j k l"]})
    rows = pa.table({"x": [0.0, -0.0], "t": ["Some Words", "some words"]})
    found = prints(rows, base)
    assert (found[:, 0] == found[:, 1]).all()


def test_noisy_copies_of_rounded_rows_collide_even_at_the_ends_of_the_range():
    rng = np.random.default_rng(3)
    base = pa.table({f"x{i}": rng.integers(0, 100, 3_000).astype(float) for i in range(8)})
    row = np.array([[0.0, 99.0, 50.0, 7.0, 0.0, 99.0, 31.0, 64.0]])
    copies = np.repeat(row, 40, axis=0) + rng.normal(size=(40, 8)) * 0.03
    found = prints(pa.table({f"x{i}": copies[:, i] for i in range(8)}), base)
    assert [len(set(table.tolist())) for table in found] == [40, 1, 1, 1]


def test_values_beyond_the_range_are_told_apart_as_well_as_those_inside():
    """A month of larger numbers is no month of near copies."""
    base = pa.table({"n": np.arange(6400.0)})
    for start in (6400.0, 60_000.0, -6400.0):
        found = prints(pa.table({"n": start + np.arange(6400.0)}), base)
        for table, groups in ((1, 64), (2, 32), (3, 16)):
            assert np.unique(found[table]).size == pytest.approx(groups, abs=2)


def test_noise_at_the_border_of_the_range_makes_no_new_neighbour():
    base = pa.table({"n": np.arange(6400.0)})
    found = prints(pa.table({"n": [6399.0, 6399.5, 6420.0, 0.0, -0.5, -20.0]}), base)
    for table in (1, 2, 3):
        assert np.unique(found[table][:3]).size == 1
        assert np.unique(found[table][3:]).size == 1


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 2**16 - 1))),
    st.sampled_from([10, 2**16, 2**16 + 1]),
)
def test_tokens_are_sorted_by_document_then_by_all_bits_of_their_hash(found, n_docs):
    """Hashes that share their leading 48 bits too, which no real words ever did."""
    doc = np.array([d for d, _, _ in found], dtype=np.int64)
    token = np.array([(high << 48) | low for _, high, low in found], dtype=np.uint64)
    order = np.lexsort((token, doc))
    docs, hashes = _sorted(n_docs, doc, token)
    np.testing.assert_array_equal(docs, doc[order])
    np.testing.assert_array_equal(hashes, token[order])
