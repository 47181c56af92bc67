"""Each signal finds a seeded attack, leaves its benign twin alone, and says what it cannot do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.signals.conftest import make_rows, put

from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

N = 1500
FAILED, WARNED, PASSED = Status.FAILED, Status.WARNED, Status.PASSED


def status(check, table: pa.Table, code: str, column: str = "") -> Status:
    return check(table)[code, column].status


def blocked(check, table: pa.Table) -> set[str]:
    return {code for (code, _), r in check(table).items() if r.status is FAILED}


def flip(table: pa.Table, rows: np.ndarray) -> pa.Table:
    labels = table["y"].to_pylist()
    for i in rows:
        labels[i] = 1 - labels[i]
    return put(table, "y", labels)


def pick(table: pa.Table, share: float, *, seed: int = 0, **where) -> np.ndarray:
    """Choose rows of a batch, optionally of one value of a column."""
    at = np.arange(table.num_rows)
    for name, value in where.items():
        at = at[np.array([v == value for v in table[name].to_pylist()])[at]]
    return np.random.default_rng(seed).choice(at, round(share * table.num_rows), replace=False)


# COMPLETENESS


def test_lost_values_fail_and_few_lost_values_pass(check, batch):
    values = batch["x0"].to_pylist()
    for i in range(0, N, 10):
        values[i] = None
    assert status(check, put(batch, "x0", values), "COMPLETENESS", "x0") is FAILED
    few = [None if i % 300 == 0 else v for i, v in enumerate(batch["x0"].to_pylist())]
    assert status(check, put(batch, "x0", few), "COMPLETENESS", "x0") is PASSED


def test_few_more_lost_values_of_a_feature_warn(check, batch):
    """Flips cannot hide in them; without contributors, times or labels other signals are blind."""
    some = [None if i % 25 == 0 else v for i, v in enumerate(batch["x0"].to_pylist())]
    assert status(check, put(batch, "x0", some), "COMPLETENESS", "x0") is WARNED
    labels = [None if i % 25 == 0 else v for i, v in enumerate(batch["y"].to_pylist())]
    assert status(check, put(batch, "y", labels), "COMPLETENESS", "y") is FAILED


def test_infinite_values_count_as_lost(check, batch):
    values = [float("inf") if i % 10 == 0 else v for i, v in enumerate(batch["x0"].to_pylist())]
    assert status(check, put(batch, "x0", values), "COMPLETENESS", "x0") is FAILED


def test_all_null_column_fails_completeness(check, batch):
    assert status(check, put(batch, "x0", [None] * N), "COMPLETENESS", "x0") is FAILED


def test_lost_labels_fail(check, batch):
    labels = [None if i % 10 == 0 else v for i, v in enumerate(batch["y"].to_pylist())]
    assert status(check, put(batch, "y", labels), "COMPLETENESS", "y") is FAILED


# DRIFT


def test_shifted_numbers_warn_and_slightly_shifted_pass(check, batch):
    values = batch["x2"].to_pylist()
    shifted = put(batch, "x2", [v + 0.8 for v in values])
    assert status(check, shifted, "DRIFT_NUMERIC", "x2") is WARNED
    assert (
        status(check, put(batch, "x2", [v + 0.05 for v in values]), "DRIFT_NUMERIC", "x2") is PASSED
    )


def test_new_category_warns_and_one_typo_passes(check, batch):
    kinds = batch["kind"].to_pylist()
    many = ["violet" if i % 20 == 0 else k for i, k in enumerate(kinds)]
    record = check(put(batch, "kind", many))["DRIFT_CATEGORICAL", "kind"]
    assert record.status is WARNED
    assert "never had" in record.message
    assert (
        status(check, put(batch, "kind", ["rde", *kinds[1:]]), "DRIFT_CATEGORICAL", "kind")
        is PASSED
    )


def test_changed_mix_of_categories_warns(check, batch):
    kinds = ["blue" if i % 3 == 0 else k for i, k in enumerate(batch["kind"].to_pylist())]
    assert status(check, put(batch, "kind", kinds), "DRIFT_CATEGORICAL", "kind") is WARNED


def test_longer_texts_warn(check, batch):
    notes = [f"{n} {n}" for n in batch["note"].to_pylist()]
    assert status(check, put(batch, "note", notes), "DRIFT_TEXT", "note") is WARNED


def test_drift_alone_never_blocks(check, batch):
    values = [v + 0.8 for v in batch["x2"].to_pylist()]
    assert blocked(check, put(batch, "x2", values)) == set()


# LABELS


def test_prior_shift_warns_and_does_not_block(check):
    rows = make_rows(4000, 9)
    labels = np.array(rows["y"].to_pylist())
    keep = np.r_[np.flatnonzero(labels == 1)[:1000], np.flatnonzero(labels == 0)[:500]]
    shifted = rows.take(np.sort(keep).tolist())
    records = check(shifted)
    assert records["LABEL_PRIOR", "y"].status is WARNED
    assert records["LABEL_FLIPS", "y"].status is PASSED
    assert blocked(check, shifted) == set()


def test_new_class_fails_and_is_named(check, batch):
    labels = batch["y"].to_pylist()
    record = check(put(batch, "y", [2] * 4 + labels[4:]))["LABEL_NEW_CLASS", "y"]
    assert record.status is FAILED
    assert record.evidence["classes"] == ["2"]
    record = check(put(batch, "y", [2] * 3 + labels[3:]))["LABEL_NEW_CLASS", "y"]
    assert record.status is WARNED, "one row in five hundred teaches a model nothing"
    assert record.evidence["classes"] == ["2"]


def test_new_class_that_the_schema_declares_warns_and_any_other_still_blocks(baseline, batch):
    schema = replace(baseline.schema, classes=("0", "1", "2"))
    told = replace(baseline, layout=replace(baseline.layout, schema=schema))
    labels = batch["y"].to_pylist()

    def found(*new: int):
        table = put(batch, "y", [*new, *labels[len(new) :]])
        records = evaluate(told, table.to_batches(), tolerances={}).records
        return next(record for record in records if record.code == "LABEL_NEW_CLASS")

    assert found(*[2] * 200).status is WARNED
    assert (
        "200 of 1500 rows (13.3 %) have a class that the schema declares"
        in found(*[2] * 200).message
    )
    both = found(*[2] * 200, *[3] * 4)
    assert both.status is FAILED
    assert both.evidence["classes"] == ["3"]


def test_flips_by_one_contributor_fail_and_name_it(check, batch):
    flipped = flip(batch, pick(batch, 0.04, who="c2"))
    record = check(flipped)["LABEL_FLIPS", "y"]
    assert record.status is FAILED
    assert "contributor c2" in record.message
    assert record.effect == pytest.approx(0.04, abs=0.015)
    assert record.effect_bound > record.tolerance
    assert "contributor c2" in record.evidence["fired"]
    assert not any(f"contributor c{i}" in record.evidence["fired"] for i in (0, 1, 3, 4, 5))


def test_flips_at_random_fail(check, batch):
    assert status(check, flip(batch, pick(batch, 0.06)), "LABEL_FLIPS", "y") is FAILED


def test_targeted_flips_fail_and_name_the_label(check, batch):
    record = check(flip(batch, pick(batch, 0.05, y=0)))["LABEL_FLIPS", "y"]
    assert record.status is FAILED
    assert "label 1" in record.message


def test_natural_label_noise_passes(check, batch):
    assert status(check, flip(batch, pick(batch, 0.002)), "LABEL_FLIPS", "y") is PASSED


def test_information_limit_is_reported(check, batch):
    evidence = check(batch)["LABEL_FLIPS", "y"].evidence
    e, n, m = evidence["model_error"], 1500, 3000
    expected = 3.6 * (e * (1 - e) * (1 / n + 1 / m)) ** 0.5 / (1 - 2 * e)
    assert evidence["information_limit"] == pytest.approx(expected, rel=0.01)


def test_flipped_rows_rank_first(baseline, batch):
    rows = pick(batch, 0.04, who="c2")
    found = evaluate(baseline, flip(batch, rows).to_batches(), tolerances={})
    bad = np.zeros(N, dtype=bool)
    bad[rows] = True
    order = np.argsort(np.argsort(found.row_scores))
    area = (order[bad].mean() - (bad.sum() - 1) / 2) / (~bad).sum()
    assert area > 0.92
    named = np.array([bool(r) for r in found.row_reasons])
    assert bad[named].mean() > 0.7
    assert named[bad].mean() > 0.5


# CONTRIBUTORS


def test_honest_newcomer_warns_and_does_not_block(check, batch):
    who = ["newcomer" if i % 12 == 0 else w for i, w in enumerate(batch["who"].to_pylist())]
    renamed = put(batch, "who", who)
    assert status(check, renamed, "CONTRIBUTOR_NEW", "who") is WARNED
    assert blocked(check, renamed) == set()


def test_newcomer_of_one_row_passes(check, batch):
    renamed = put(batch, "who", ["newcomer", *batch["who"].to_pylist()[1:]])
    assert status(check, renamed, "CONTRIBUTOR_NEW", "who") is PASSED


def test_newcomer_with_one_label_blocks(check, batch):
    who, labels = batch["who"].to_pylist(), batch["y"].to_pylist()
    for i in range(0, N, 20):
        who[i], labels[i] = "newcomer", 1
    poisoned = put(put(batch, "who", who), "y", labels)
    assert status(check, poisoned, "CONTRIBUTOR_LABEL_SKEW", "who") is FAILED


def test_flood_by_a_known_contributor_warns(check, batch):
    who = ["c5" if i % 4 == 0 else w for i, w in enumerate(batch["who"].to_pylist())]
    record = check(put(batch, "who", who))["CONTRIBUTOR_FLOOD", "who"]
    assert record.status is WARNED
    assert "contributor c5" in record.message


def test_rows_without_contributor_are_missing_values(check, batch):
    who = [None if i % 4 == 0 else w for i, w in enumerate(batch["who"].to_pylist())]
    assert status(check, put(batch, "who", who), "COMPLETENESS", "who") is FAILED


# CONTAMINATION


def repeat(batch: pa.Table, copies: int) -> pa.Table:
    at = list(range(N))
    at[-copies:] = [i % 3 for i in range(copies)]
    return batch.take(at)


def test_copies_inside_the_batch_fail_and_are_named(baseline, batch):
    found = evaluate(baseline, repeat(batch, 45).to_batches(), tolerances={})
    assert next(r for r in found.records if r.code == "DUPLICATES").status is FAILED
    named = {i for i, r in enumerate(found.row_reasons) if "DUPLICATES" in r}
    assert named == {0, 1, 2, *range(N - 45, N)}


def test_near_copies_fail(check, batch):
    copied = repeat(batch, 45)
    jitter = np.random.default_rng(0).normal(size=(4, N)) * 0.003
    for j in range(4):
        copied = put(copied, f"x{j}", (np.array(copied[f"x{j}"].to_pylist()) + jitter[j]).tolist())
    assert status(check, copied, "DUPLICATES") is FAILED


def test_redelivery_of_baseline_rows_passes(check, batch):
    mixed = pa.concat_tables([batch, make_rows(3000, 1).slice(0, 500)])
    assert status(check, mixed, "DUPLICATES") is PASSED
    assert blocked(check, mixed) == set()


def test_golden_rows_in_training_fail_and_are_named(baseline, golden, batch):
    leaked = pa.concat_tables([batch.slice(20), golden.slice(0, 20)])
    found = evaluate(baseline, leaked.to_batches(), tolerances={})
    record = next(r for r in found.records if r.code == "LEAKAGE")
    assert record.status is FAILED
    named = [i for i, r in enumerate(found.row_reasons) if "LEAKAGE" in r]
    assert named == list(range(N - 20, N))


def test_golden_rows_with_changed_label_still_fail(check, golden, batch):
    leaked = pa.concat_tables([batch.slice(20), flip(golden.slice(0, 20), np.arange(20))])
    assert status(check, leaked, "LEAKAGE") is FAILED


def test_far_rows_fail_and_are_named(baseline, batch):
    x0, x1 = batch["x0"].to_pylist(), batch["x1"].to_pylist()
    for i in range(20):
        x0[i], x1[i] = 8.0 + i / 10, -8.0
    found = evaluate(baseline, put(put(batch, "x0", x0), "x1", x1).to_batches(), tolerances={})
    assert next(r for r in found.records if r.code == "OUTLIERS").status is FAILED
    named = {i for i, r in enumerate(found.row_reasons) if "OUTLIERS" in r}
    assert set(range(20)) <= named
    assert len(named) <= 25


def test_outliers_of_one_column_name_it_and_a_rule_of_it_rules_no_other(check, batch):
    values = [9.0 + i / 10 if i < 20 else v for i, v in enumerate(batch["x0"].to_pylist())]
    one = put(batch, "x0", values)
    assert status(check, one, "OUTLIERS", "x0") is FAILED
    assert status(check, one, "OUTLIERS") is PASSED, "the other columns are judged apart"
    wide = {"tolerances": {"OUTLIERS:x0": 1.0}}
    assert not {r.code for r in check(one, **wide).values() if r.status is FAILED}
    both = put(one, "x1", [-9.0 if i >= N - 20 else v for i, v in enumerate(one["x1"].to_pylist())])
    assert "OUTLIERS" in {r.code for r in check(both, **wide).values() if r.status is FAILED}


def test_season_of_one_column_is_drift_and_no_outlier(check, batch):
    warm = put(batch, "x2", [v + 3.0 for v in batch["x2"].to_pylist()])
    assert status(check, warm, "OUTLIERS") is PASSED
    assert status(check, warm, "DRIFT_NUMERIC", "x2") is WARNED


def with_words(batch: pa.Table, rows: np.ndarray, words: str) -> pa.Table:
    notes = batch["note"].to_pylist()
    for i in rows:
        notes[i] = f"{notes[i]} {words}"
    return put(batch, "note", notes)


def test_trigger_word_fails_and_its_rows_are_named(baseline, batch):
    rows = pick(batch, 0.02, y=1)
    poisoned = with_words(batch, rows, "cf")
    found = evaluate(baseline, poisoned.to_batches(), tolerances={})
    record = next(r for r in found.records if r.code == "TRIGGER_TOKENS")
    assert record.status is FAILED
    assert record.evidence["associations"][0]["token"] == "cf"
    named = {i for i, r in enumerate(found.row_reasons) if "TRIGGER_TOKENS" in r}
    assert named == set(rows.tolist())


def test_phrase_of_known_words_is_a_trigger(check, batch):
    poisoned = with_words(batch, pick(batch, 0.02, y=1), "word100 word200 word300")
    assert status(check, poisoned, "TRIGGER_TOKENS", "note") is FAILED


def test_innocent_new_word_passes(check, batch):
    novel = with_words(batch, pick(batch, 0.05), "covfefe")
    assert status(check, novel, "TRIGGER_TOKENS", "note") is PASSED
    assert blocked(check, novel) == set()


def test_trigger_value_fails(check, batch):
    x3, labels = batch["x3"].to_pylist(), batch["y"].to_pylist()
    for i in pick(batch, 0.03):
        x3[i], labels[i] = 1.2345, 1
    record = check(put(put(batch, "x3", x3), "y", labels))["TRIGGER_VALUES", ""]
    assert record.status is FAILED
    assert "share one value of column x3" in record.message
    assert 'of them have the label "1"' in record.message
    assert "`check --rows`" in record.message


def test_new_default_value_without_a_label_passes(check, batch):
    x3 = batch["x3"].to_pylist()
    for i in pick(batch, 0.03):
        x3[i] = 0.0
    assert status(check, put(batch, "x3", x3), "TRIGGER_VALUES") is PASSED


@pytest.mark.parametrize(
    "hidden",
    ["\u200b", "\u202e", "\U000e0061", "\u2060", "\u200d\u200d", "w\u043erd", "\u0440aypal"],
)
def test_hidden_characters_fail(check, batch, hidden):
    poisoned = with_words(batch, pick(batch, 0.02), hidden)
    assert status(check, poisoned, "HIDDEN_UNICODE", "note") is FAILED


@pytest.mark.parametrize(
    "honest",
    ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "привет", "\u05e9\u05dc\u05d5\u05dd", "ﬁne", "é",
     "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627"],
)  # fmt: skip
def test_honest_scripts_and_emoji_pass(check, batch, honest):
    written = with_words(batch, pick(batch, 0.02), honest)
    assert status(check, written, "HIDDEN_UNICODE", "note") is PASSED
