"""Batches of twelve rows: judged together with those before them, and with no others."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, SCHEMA, flipped, rows, write
from tests.unit.workflow.response.test_quarantine import aside

from sluicegate.adapters.policy_file import read_policy
from sluicegate.cli.main import main
from sluicegate.errors import GateBlocked, UntrustedKey
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.pool import WANTED_ROWS, Left
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import SEQUENCE, Status
from sluicegate.signals.registry import OF_POOLS
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.auditing.audit import audit
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.kept_findings import kept_records
from sluicegate.workflow.evidence.verified import Evidence
from sluicegate.workflow.judging import pooling

N = 12
STREAM = rows(7, 60 * N)
FLIPPED = flipped(STREAM, "c1")
ENOUGH = 4  # batches that wait: 48 rows


def tiny(number: int, stream: pa.Table = STREAM) -> pa.Table:
    return stream.slice(number * N, N)


def when(number: int):
    return AT + timedelta(minutes=number)


def deliver(site, number: int, table: pa.Table, name: str = ""):
    """Seal a batch and judge it, one a minute."""
    site.seal(write(table, site.root / (name or f"tiny{number}")), when(number))
    return site.gate(when(number))[0].verdict


def begin(site) -> list:
    """Six clean batches; the last two are judged, the others wait."""
    return [deliver(site, number, tiny(number)) for number in range(6)]


def codes(verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons if reason.result is Status.FAILED}


def with_label(table: pa.Table, labels) -> pa.Table:
    position = table.schema.get_field_index("label")
    return table.set_column(position, "label", pa.array(labels, pa.int8()))


def digests(verdicts) -> tuple:
    return tuple(verdict.digest for verdict in verdicts)


def test_first_batches_wait_and_say_how_many_rows_are_needed(site):
    first, second = (deliver(site, number, tiny(number)) for number in range(2))
    assert {first.result, second.result} == {Status.FAILED}
    assert codes(first) <= OF_POOLS
    assert first.told[0].message.startswith("28 findings: not evaluated: 12 rows, at least 50")
    assert "no small batch before it" in first.summary()
    assert "38 more rows are needed" in first.summary()
    assert second.pool.batches == (first.digest,)
    assert "26 more rows are needed" in second.summary()
    with pytest.raises(GateBlocked, match="Seal and judge the next batches"):
        second.require_passed(read_policy(site.home.policy), at=when(1))


def test_batch_that_reaches_the_minimum_is_judged_with_those_that_waited(site):
    verdicts = site.once(begin)
    *waited, fifth, sixth = verdicts
    assert {verdict.pool.left for verdict in waited} == {Left.WAITING}
    assert codes(fifth) == codes(sixth) == set()
    assert fifth.pool.batches == digests(waited)
    assert sixth.pool.batches == digests(verdicts[:5])
    assert "judged together with the 5 batches before it, 72 rows" in sixth.summary()


def test_flips_of_one_contributor_over_twenty_batches_are_found(site):
    site.once(begin)
    poisoned = [deliver(site, 6 + i, tiny(6 + i, FLIPPED)) for i in range(20)]
    blocked = [verdict for verdict in poisoned if "LABEL_FLIPS" in codes(verdict)]
    assert "contributor c1" in blocked[0].summary()
    assert "judged together with the" in blocked[0].summary()


def test_the_same_batches_without_flips_pass_in_pools_of_the_rows_that_are_wanted(site):
    verdicts = site.once(begin) + [deliver(site, 6 + i, tiny(6 + i)) for i in range(20)]
    assert [codes(verdict) for verdict in verdicts[ENOUGH:]] == [set()] * 22
    pool = verdicts[-1].pool
    assert WANTED_ROWS <= pool.n_rows < WANTED_ROWS + N
    assert pool.batches == digests(verdicts[-len(pool.batches) - 1 : -1])


def test_what_one_row_can_show_is_judged_of_the_batch_alone(site):
    """A class that nobody knows is one row in twelve, not one in two hundred."""
    site.once(begin)
    labels = [*tiny(6)["label"].to_pylist()[1:], 7]
    verdict = deliver(site, 6, with_label(tiny(6), labels))
    assert codes(verdict) == {"LABEL_NEW_CLASS"}
    assert verdict.pool.left is Left.JUDGED


def test_batch_that_failed_is_not_pooled(site):
    site.once(begin)
    bad = deliver(site, 6, with_label(tiny(6), [7] * N))
    assert bad.result is Status.FAILED
    assert bad.digest not in deliver(site, 7, tiny(7)).pool.batches


def test_batch_in_quarantine_is_not_pooled_and_verdicts_that_rest_on_it_fall(site):
    verdicts = site.once(begin)
    judged = deliver(site, 6, tiny(6))
    assert admit_training(site.home, ["src"], at=when(6))
    held = site.evidence(when(6)).seal_of("src", verdicts[2].digest, at=when(6))
    aside(site, held, when(7))
    with pytest.raises(GateBlocked, match="judged together with no longer counts"):
        admit_training(site.home, ["src"], at=when(8))
    again = site.gate(when(8))[0].verdict
    assert again.pool.batches == tuple(d for d in judged.pool.batches if d != held.digest)
    assert admit_training(site.home, ["src"], at=when(9))


def test_old_batch_that_is_sealed_again_stays_where_it_was(site):
    verdicts = site.once(begin)
    moved = site.root / "elsewhere"
    shutil.copytree(site.root / "tiny0", moved)
    site.seal(moved, when(6))
    assert site.gate(when(6))[0].verdict.pool.batches == ()  # nothing lies before the first one
    assert deliver(site, 7, tiny(7)).pool.batches == digests(verdicts)


def test_rows_that_come_again_in_another_file_count_once(site):
    """The same twelve rows in new files must not outweigh what came between."""
    site.once(begin)
    for i in range(4):
        directory = site.root / f"again{i}"
        directory.mkdir()
        pq.write_table(tiny(0), directory / f"copy{i}.parquet")
        site.seal(directory, when(6 + i))
        site.gate(when(6 + i))
    assert deliver(site, 10, tiny(10)).pool.n_rows == 7 * N


def test_rows_that_come_again_with_another_label_count_twice(site):
    site.once(begin)
    labels = 1 - np.array(tiny(5)["label"].to_pylist(), dtype="int8")
    changed = deliver(site, 6, with_label(tiny(5), labels))
    assert changed.pool.n_rows == 7 * N


@pytest.mark.parametrize("gone", ["deleted", "changed"])
def test_bytes_that_are_not_there_end_the_pool(site, gone):
    verdicts = site.once(begin)
    directory = site.root / "tiny1"
    if gone == "deleted":
        shutil.rmtree(directory)
    else:
        write(tiny(40), directory)
    pool = deliver(site, 6, tiny(6)).pool
    assert pool.batches == digests(verdicts[2:])
    assert verdicts[1].digest.short in pool.ended
    assert "cannot be used" in pool.text


def test_too_few_bytes_that_are_there_block(site):
    site.once(begin)
    for number in range(3, 6):
        shutil.rmtree(site.root / f"tiny{number}")
    verdict = deliver(site, 6, tiny(6))
    assert verdict.result is Status.FAILED
    assert verdict.pool.batches == ()
    assert "cannot be used" in verdict.summary()


def test_batches_judged_by_another_baseline_are_not_pooled(site):
    site.once(begin)
    write_baseline(
        [write(rows(11, 4000), site.root / "newer")],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=site.home.baseline_dir("src"),
        at=AT,
        source="src",
        signer=site.signer("baseline"),
    )
    assert deliver(site, 6, tiny(6)).pool.batches == ()


def test_batch_that_can_be_judged_alone_is_no_part_of_a_pool(site):
    verdicts = site.once(begin)
    assert deliver(site, 6, STREAM.slice(120, 300)).pool is None
    assert deliver(site, 7, tiny(7)).pool.batches == digests(verdicts)


def test_forged_verdict_makes_no_batch_part_of_a_pool(site, monkeypatch):
    """A verdict that a revoked key signed, or nobody, lets nothing in."""
    verdicts = site.once(begin)
    read = Evidence.past_verdict_of

    def refuse(self, source, digest, *, at):
        if digest == verdicts[3].digest:
            raise UntrustedKey("the key is revoked")
        return read(self, source, digest, at=at)

    monkeypatch.setattr(Evidence, "past_verdict_of", refuse)
    pooled = deliver(site, 6, tiny(6)).pool.batches
    assert pooled == digests(v for v in verdicts if v is not verdicts[3])


def test_pool_whose_earlier_batches_fail_too_holds_nobody_up_for_ever(site):
    """Poison among those that waited: who comes next waits anew and passes."""
    for number in range(ENOUGH):
        deliver(site, number, tiny(number, FLIPPED))
    found = deliver(site, ENOUGH, tiny(ENOUGH))
    assert found.pool.left is Left.SPENT
    assert "review all of them" in found.summary()
    after = [deliver(site, number, tiny(number)) for number in range(5, 10)]
    assert after[0].pool.batches == ()
    assert [verdict.pool.left for verdict in after] == [Left.WAITING] * 4 + [Left.JUDGED]
    assert codes(after[-1]) == set()


def test_columns_that_do_not_go_with_the_batch_end_the_pool(site):
    """A column that the baseline does not judge may be a text today and a number yesterday."""
    site.accept_extra_columns()
    for number in range(3):
        deliver(site, number, tiny(number).append_column("more", pa.array(["a"] * N)))
    verdict = deliver(site, 3, tiny(3).append_column("more", pa.array(range(N))))
    assert verdict.pool.batches == ()
    assert "column has another type" in verdict.pool.ended


def test_policy_may_excuse_what_lacks_rows(site):
    rules = "".join(
        f"  {code}: {{severity: block, required: false, not_evaluated: few rows}}\n"
        for code in sorted(OF_POOLS)
        if f"  {code}: " not in DEFAULT_POLICY
    )
    text = DEFAULT_POLICY
    for line in DEFAULT_POLICY.splitlines():
        if line.strip().partition(":")[0] in OF_POOLS:
            text = text.replace(line, line.replace("}", ", not_evaluated: few rows}"))
    site.home.policy.write_text(text + rules, encoding="utf-8")
    first, second = (deliver(site, number, tiny(number)) for number in range(2))
    assert first.result is Status.WARNED
    assert second.pool.batches == (first.digest,)


def test_sequence_counts_rows_of_overlapping_pools_once(site, monkeypatch):
    monkeypatch.setattr(pooling, "WANTED_ROWS", 5 * N)
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write(f"  {SEQUENCE}: {{severity: block}}\n")
    verdicts = [deliver(site, number, tiny(number)) for number in range(12)]
    assert [verdict.pool.left for verdict in verdicts[:ENOUGH]] == [Left.WAITING] * ENOUGH
    assert [codes(verdict) for verdict in verdicts[ENOUGH:]] == [set()] * 8
    evidence = site.evidence(when(12))
    issued = evidence.verdict_of("src", verdicts[-1].digest, at=when(12))
    records = kept_records(evidence, str(issued.test_result), at=when(12))
    [found] = [record for record in records if record.code == SEQUENCE]
    assert found.evidence["batches"] == 2  # of ten batches in two pools


def test_auditor_sees_which_batches_a_verdict_rests_on(site, capsys):
    verdicts = site.once(begin)
    out, trust = site.root / "out", str(site.home.trust)
    home = ["--home", str(site.home.root)]
    assert main(["ledger", "export", "--source", "src", "--out", str(out), *home]) == 0
    capsys.readouterr()
    assert main(["verify", str(out), "--trust", trust]) == 0
    shown = capsys.readouterr().out
    assert all(str(digest) in shown for digest in verdicts[-1].pool.batches)
    assert main(["verify", str(out), "--trust", trust, "--json"]) == 0
    checks = {found["check"]: found for found in json.loads(capsys.readouterr().out)["findings"]}
    assert checks["pool"]["batches"] == [str(digest) for digest in verdicts[-1].pool.batches]
    late = when(30)
    assert audit(site.evidence(late), at=late).findings == ()


def test_gate_command_says_with_what_a_batch_was_judged(site, capsys):
    site.once(begin)
    main(["gate", "src", "--home", str(site.home.root)])
    assert "judged together with the 5 batches before it, 72 rows" in capsys.readouterr().out


def test_check_without_a_ledger_says_who_judges_few_rows(site, capsys):
    write(tiny(0), site.root / "few")
    baseline = str(site.home.baseline_dir("src"))
    assert main(["check", str(site.root / "few"), "--baseline", baseline]) == 1
    assert "`sluicegate gate` judges them together" in capsys.readouterr().out
