"""Batches whose labels come late: their labels are judged with those of the batches before them."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.workflow.conftest import AT, SCHEMA, flipped, rows, write
from tests.unit.workflow.response.test_quarantine import aside

from sluicegate.adapters.policy_file import read_policy
from sluicegate.cli.main import main
from sluicegate.errors import GateBlocked
from sluicegate.gate.pool import WANTED_ROWS, Left, Of
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import SEQUENCE, Status
from sluicegate.signals.registry import OF_LABELS
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.kept_findings import kept_records
from sluicegate.workflow.judging import counted_rows, pooling

N = 80
LABELLED = 30
STREAM = rows(7, 24 * N)
ENOUGH = 1  # batches that wait: 30 labels


def late(table: pa.Table, n_known: int = LABELLED) -> pa.Table:
    """Return the rows; only the first of them have a label already."""
    labels = table["label"].to_pylist()
    labels = [*labels[:n_known], *[None] * (len(labels) - n_known)]
    return with_label(table, labels)


def with_label(table: pa.Table, labels) -> pa.Table:
    position = table.schema.get_field_index("label")
    return table.set_column(position, "label", pa.array(labels, pa.int8()))


def week(number: int, stream: pa.Table = STREAM, n_known: int = LABELLED) -> pa.Table:
    return late(stream.slice(number * N, N), n_known)


def when(number: int):
    return AT + timedelta(minutes=number)


def with_late_baseline(site) -> None:
    """A baseline whose labels came late in part, too, and a policy that takes it so."""
    base = rows(5, 4000)
    known = np.random.default_rng(1).random(4000) < 0.4
    labels = [y if k else None for y, k in zip(base["label"].to_pylist(), known, strict=True)]
    write_baseline(
        [write(with_label(base, labels), site.root / "late baseline")],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=site.home.baseline_dir("src"),
        at=AT,
        source="src",
        signer=site.signer("baseline"),
    )
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write("  COMPLETENESS:label: {severity: warn, tolerance: 1.0}\n")


@pytest.fixture
def site(site):
    """The site of all tests, where labels come late."""
    site.once(with_late_baseline)
    return site


def begin(site) -> list:
    """Four clean weeks; the first one waits."""
    return [deliver(site, number, week(number)) for number in range(4)]


def deliver(site, number: int, table: pa.Table, name: str = ""):
    """Seal a batch and judge it, one a minute."""
    site.seal(write(table, site.root / (name or f"week{number}")), when(number))
    return site.gate(when(number))[0].verdict


def codes(verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons if reason.result is Status.FAILED}


def digests(verdicts) -> tuple:
    return tuple(verdict.digest for verdict in verdicts)


def test_first_week_waits_and_says_how_many_labels_are_needed(site):
    first = deliver(site, 0, week(0))
    assert first.result is Status.FAILED
    assert codes(first) <= OF_LABELS
    assert (first.pool.of, first.pool.left, first.pool.n_rows) == (Of.LABELS, Left.WAITING, 30)
    assert "no batch with few labels before it. It waits: 20 more labels" in first.summary()
    with pytest.raises(GateBlocked, match="Wait for its labels and seal it again, or seal"):
        first.require_passed(read_policy(site.home.policy), at=when(0))


def test_clean_weeks_pass_with_the_labels_of_those_before(site):
    verdicts = site.once(begin) + [deliver(site, number, week(number)) for number in range(4, 9)]
    first, second, *_ = verdicts
    assert [codes(verdict) for verdict in verdicts[ENOUGH:]] == [set()] * 8
    assert second.pool.batches == (first.digest,)
    assert "its labels are judged together with those of the batch before it, 60 labels" in (
        second.summary()
    )
    pool = verdicts[-1].pool
    assert WANTED_ROWS <= pool.n_rows < WANTED_ROWS + LABELLED
    assert pool.batches == digests(verdicts[-1 - len(pool.batches) : -1])


def test_flips_in_weeks_of_49_labels_are_found_once_the_pool_holds_fifty(site):
    """Nobody judges 49 labels alone, so whoever sends as many for ever would never be found."""
    labels = STREAM["label"].to_pylist()
    bad = with_label(STREAM, [1 - y if i % 3 == 0 else y for i, y in enumerate(labels)])
    verdicts = [deliver(site, number, week(number, bad, 49)) for number in range(4)]
    assert {verdict.result for verdict in verdicts} == {Status.FAILED}
    found = [verdict.summary() for verdict in verdicts if "look mislabelled" in verdict.summary()]
    assert "98 labels" in found[0]


def test_flips_of_one_contributor_after_clean_weeks_are_found(site):
    site.once(begin)
    bad = flipped(STREAM, "c1")
    found = [deliver(site, number, week(number, bad, 49)) for number in range(4, 12)]
    blocked = [verdict for verdict in found if "LABEL_FLIPS" in codes(verdict)]
    assert "contributor c1" in blocked[0].summary()


def test_week_that_failed_stays_out_and_those_before_it_stay_in(site):
    clean = site.once(begin)
    turned = [None if y is None else 1 - y for y in week(4)["label"].to_pylist()]
    bad = deliver(site, 4, with_label(week(4), turned))
    assert "contradict the baseline's model" in bad.summary()
    assert bad.pool.left is Left.JUDGED
    after = deliver(site, 5, week(5))
    assert codes(after) == set()
    assert after.pool.batches == digests(clean)


def test_all_but_labels_is_judged_of_the_batch_alone(site):
    """Rows that nobody labelled yet are copies of one, and no other week has any."""
    deliver(site, 0, week(0))
    table = week(1)
    again = table.take([*range(50), *[79] * 30])
    position = again.schema.get_field_index("id")
    again = again.set_column(position, "id", pa.array([f"again{i}" for i in range(N)]))
    verdict = deliver(site, 1, again)
    assert codes(verdict) >= {"DUPLICATES"}
    assert verdict.pool.left is Left.JUDGED
    assert verdict.digest not in deliver(site, 2, week(2)).pool.batches


def test_new_class_is_looked_for_in_the_batch_although_it_is_no_known_label(site):
    deliver(site, 0, week(0))
    labels = [*week(1)["label"].to_pylist()[:-1], 7]
    verdict = deliver(site, 1, with_label(week(1), labels))
    assert codes(verdict) == {"LABEL_NEW_CLASS"}
    assert verdict.pool.n_rows == 2 * LABELLED


def test_labels_of_classes_that_nobody_knows_hide_none(site):
    """Fifty labels that no model can judge do not make a batch one that is judged alone."""
    labels = [*week(0)["label"].to_pylist()[:LABELLED], *[7] * (N - LABELLED)]
    verdict = deliver(site, 0, with_label(week(0), labels))
    assert verdict.pool.n_rows == LABELLED
    assert verdict.result is Status.FAILED


def test_week_without_any_label_is_blocked_until_labels_are_there(site):
    verdict = deliver(site, 0, week(0, n_known=0))
    assert verdict.result is Status.FAILED
    assert (verdict.pool.n_rows, verdict.pool.of) == (0, Of.LABELS)


def test_labels_that_came_since_are_judged_alone_under_the_same_ids(site):
    deliver(site, 0, week(0))
    verdict = deliver(site, 1, week(0, n_known=N), "complete")
    assert verdict.pool is None
    assert codes(verdict) == set()


def test_the_same_labels_sealed_again_count_once(site):
    deliver(site, 0, week(0))
    verdict = deliver(site, 1, week(0, n_known=LABELLED + 5), "more")
    assert verdict.pool.n_rows == LABELLED + 5
    assert verdict.pool.left is Left.WAITING


def test_week_with_labels_enough_is_no_part_of_a_pool(site):
    first = deliver(site, 0, week(0))
    assert deliver(site, 1, week(1, n_known=N)).pool is None
    assert deliver(site, 2, week(2)).pool.batches == (first.digest,)


def test_week_of_few_labels_is_no_part_of_a_pool_of_rows_and_the_other_way_round(site):
    deliver(site, 0, week(0))
    few = deliver(site, 1, STREAM.slice(N, 12))
    assert (few.pool.of, few.pool.batches) == (Of.ROWS, ())
    assert few.digest in deliver(site, 2, week(2)).pool.batches


def test_week_in_quarantine_is_not_pooled_and_verdicts_that_rest_on_it_fall(site):
    verdicts = site.once(begin)
    assert admit_training(site.home, ["src"], at=when(3))
    held = site.evidence(when(3)).seal_of("src", verdicts[1].digest, at=when(3))
    aside(site, held, when(4))
    with pytest.raises(GateBlocked, match="judged together with no longer counts"):
        admit_training(site.home, ["src"], at=when(5))
    again = site.gate(when(5))[0].verdict
    assert again.pool.batches == digests([verdicts[0], verdicts[2]])


@pytest.mark.parametrize("gone", ["deleted", "changed"])
def test_bytes_that_are_not_there_end_the_pool_of_labels(site, gone):
    verdicts = site.once(begin)
    directory = site.root / "week1"
    if gone == "deleted":
        shutil.rmtree(directory)
    else:
        write(week(20), directory)
    pool = deliver(site, 4, week(4)).pool
    assert pool.batches == digests(verdicts[2:])
    assert verdicts[1].digest.short in pool.ended


def test_no_more_bytes_are_read_for_a_few_labels_than_memory_and_time_allow(site, monkeypatch):
    verdicts = site.once(begin)
    size = (site.root / "week1" / "part.parquet").stat().st_size
    monkeypatch.setattr(pooling, "MOST_BYTES", size + size // 2)
    pool = deliver(site, 4, week(4)).pool
    assert pool.batches == digests(verdicts[-1:])
    assert "would have to be read" in pool.ended


def test_labels_behind_what_the_gate_looks_ahead_are_counted(site, monkeypatch):
    """The first rows have no label, the others have: the batch is judged alone."""
    monkeypatch.setattr(counted_rows, "AHEAD", 60)
    table = STREAM.slice(0, 3 * N)
    labels = [*[None] * 70, *table["label"].to_pylist()[70:]]
    verdict = deliver(site, 0, with_label(table, labels))
    assert verdict.pool is None
    assert codes(verdict) == set()


def test_batch_too_long_to_look_ahead_is_judged_like_a_short_one(site, monkeypatch):
    site.once(begin)
    short = deliver(site, 4, week(4))
    site.once(begin)
    monkeypatch.setattr(counted_rows, "AHEAD", 60)
    assert deliver(site, 4, week(4)) == short
    assert short.pool.of is Of.LABELS


def test_sequence_counts_labels_of_overlapping_pools_once(site):
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write(f"  {SEQUENCE}: {{severity: block}}\n")
    verdicts = [deliver(site, number, week(number)) for number in range(4)]
    assert [codes(verdict) for verdict in verdicts[ENOUGH:]] == [set()] * 3
    evidence = site.evidence(when(4))
    issued = evidence.verdict_of("src", verdicts[-1].digest, at=when(4))
    records = kept_records(evidence, str(issued.test_result), at=when(4))
    [found] = [record for record in records if record.code == SEQUENCE]
    assert found.evidence["batches"] == 1  # all four are in one pool


def test_auditor_and_command_name_the_batches_whose_labels_a_verdict_rests_on(site, capsys):
    verdicts = site.once(begin)
    home = ["--home", str(site.home.root)]
    main(["gate", "src", *home])
    assert "labels are judged together with those of the 3 batches" in capsys.readouterr().out
    out, trust = site.root / "out", str(site.home.trust)
    assert main(["ledger", "export", "--source", "src", "--out", str(out), *home]) == 0
    capsys.readouterr()
    assert main(["verify", str(out), "--trust", trust, "--json"]) == 0
    checks = {found["check"]: found for found in json.loads(capsys.readouterr().out)["findings"]}
    assert checks["pool"]["batches"] == [str(d) for d in verdicts[-1].pool.batches]
    assert "120 labels" in checks["pool"]["detail"]


def test_check_without_a_ledger_blocks_and_says_who_judges_few_labels(site, capsys):
    place = write(week(0), site.root / "late")
    baseline = str(site.home.baseline_dir("src"))
    assert main(["check", str(place), "--baseline", baseline]) == 1
    shown = capsys.readouterr().out
    assert "30 of 80 rows have a label that the baseline knows, 50 needed" in shown
    assert "`sluicegate gate` judges" in shown
