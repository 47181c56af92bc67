"""Partitions are judged one by one and together; runs again, and as of another day."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import timedelta

import pyarrow as pa
import pytest
from tests.support.built_once import write_baseline
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, flipped, rows, write

from sluicegate.adapters.policy_file import read_policy
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import GateBlocked, LedgerCorrupt, SluicegateError
from sluicegate.gate.promotion import Lane
from sluicegate.gate.verdict import AS_OF
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.auditing.audit import audit
from sluicegate.workflow.baselines.promotion import propose
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.partitions import part_records
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.response.quarantine import quarantine_batch
from sluicegate.workflow.sealing.seal import seal_into_ledger

TASK = {"orchestrator": "airflow", "dag_id": "d", "run_id": "r", "task_id": "t", "map_index": "0"}
ROLES = BatchSchema.from_mapping(SCHEMA, locator="schema")


def later(minutes):
    return AT + timedelta(minutes=minutes)


def seal(site, path, source="src", at=AT, algorithm="auto"):
    options = {"evidence": site.evidence(), "signer": site.signer("source"), "at": at, "run": RUN}
    return seal_into_ledger(path, source, algorithm=algorithm, **options)


def gate(site, source="src", at=AT, run=RUN, **options):
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    options = {"runner": evaluate_directly, "at": at, "run": run, **options}
    return gate_source(site.home, source, signers=signers, **options)[0]


@pytest.fixture
def month(site):
    """A source of partitions with its own baseline, and how to build a month of them."""
    write_baseline(
        [site.root / "trusted"],
        ROLES,
        out=site.home.baseline_dir("parts"),
        at=AT,
        source="parts",
        signer=site.signer("baseline"),
    )

    def make(name, tables):
        whole = site.root / name
        found = []
        for number, table in enumerate(tables):
            part = write(table, whole / f"part{number}")
            found.append(("parts", seal(site, part, "parts").digest))
        seal(site, whole)
        return found

    return make


def test_batch_of_partitions_that_all_passed_passes(site, month):
    parts = month("month", [rows(11), rows(12)])
    for _, digest in parts:
        assert gate(site, "parts", digest=digest).verdict.result is Status.PASSED
    assert gate(site, parts=parts).verdict.result is Status.PASSED
    assert admit_training(site.home, ["src"], at=AT)
    assert audit(site.evidence(), at=AT).findings == ()


def test_one_blocked_partition_blocks_a_whole_that_would_pass(site, month):
    tables = [rows(seed, 6000) for seed in (11, 12, 13, 14)]
    small = flipped(rows(15, 1000), "c1")
    parts = month("month", [*tables, small])
    for _, digest in parts:
        gate(site, "parts", digest=digest)
    alone = {reason.code for reason in gate(site).verdict.reasons if reason.result == "FAILED"}
    verdict = gate(site, parts=parts).verdict
    found = {reason.code for reason in verdict.reasons if reason.result == "FAILED"}
    assert found - alone == {"PARTS"}
    assert parts[-1][1].short in next(r.message for r in verdict.reasons if r.code == "PARTS")


def test_partitions_that_were_hashed_differently_than_the_batch_make_it_up(site, month):
    parts = month("month", [rows(11), rows(12)])
    for _, digest in parts:
        gate(site, "parts", digest=digest)
    whole = seal(site, site.root / "month", algorithm="sha256-shards-1000")
    assert whole.digest.algorithm == "dirHash1-shards-1000"
    assert gate(site, parts=parts).verdict.result is Status.PASSED
    (path,) = (site.root / "month" / "part0").iterdir()
    path.write_bytes(b"")  # what was sealed is gone, so nobody knows
    evidence = site.evidence()
    record = part_records(evidence, read_policy(site.home.policy), whole, parts, at=AT)[0]
    assert "DIGEST_MISMATCH" in record.message


@pytest.mark.parametrize("fault", ["unjudged", "absent", "foreign", "none", "unsealed"])
def test_partitions_that_do_not_make_up_the_batch_block_it(site, month, fault):
    parts = month("month", [rows(11), rows(12)])
    judged = parts[1:] if fault == "unjudged" else parts
    for _, digest in judged:
        gate(site, "parts", digest=digest)
    if fault == "absent":
        parts = parts[:1]
    if fault == "foreign":
        parts = [*parts, *month("other", [rows(13)])]
        gate(site, "parts", digest=parts[-1][1])
        shutil.rmtree(site.root / "other")
        seal(site, site.root / "month")
    if fault == "none":
        parts = []
    if fault == "unsealed":
        parts = [*parts, ("parts", Digest.parse("dirHash1:" + "ab" * 32))]
    verdict = gate(site, parts=parts).verdict
    assert "PARTS" in {reason.code for reason in verdict.reasons}
    assert verdict.result is Status.FAILED


def test_policy_that_requires_partitions_blocks_a_gate_that_names_none(site):
    text = site.home.policy.read_text(encoding="utf-8")
    rule = "signals:\n  PARTS: {severity: block}\n"
    site.home.policy.write_text(text.replace("signals:\n", rule, 1), encoding="utf-8")
    seal(site, site.clean)
    verdict = gate(site).verdict
    assert [(r.code, r.result) for r in verdict.reasons] == [("PARTS", Status.FAILED)]


def test_late_file_makes_a_new_batch_that_nobody_may_train_on_before_it_is_judged(site, month):
    parts = month("month", [rows(11), rows(12)])
    for _, digest in parts:
        gate(site, "parts", digest=digest)
    gate(site, parts=parts)
    late = write(rows(13), site.root / "month" / "late")
    parts.append(("parts", seal(site, late, "parts").digest))
    # The bytes that were judged are still there: what came after the seal is not read.
    assert admit_training(site.home, ["src"], at=AT)
    seal(site, site.root / "month")
    with pytest.raises(SluicegateError):
        admit_training(site.home, ["src"], at=AT)
    assert gate(site, parts=parts).verdict.result is Status.FAILED
    gate(site, "parts", digest=parts[-1][1])
    assert gate(site, parts=parts, at=later(1)).verdict.result is Status.PASSED


def size(site):
    return site.evidence().ledger.size()


@pytest.mark.parametrize("batch", ["clean", "poisoned"])
def test_same_task_run_again_on_the_same_batch_adds_no_leaf(site, batch):
    seal(site, site.root / batch)
    first = gate(site, run=TASK | {"try_number": "1"})
    before = size(site)
    again = gate(site, run=TASK | {"try_number": "2"}, at=later(1))
    assert (again, size(site)) == (first, before)


@pytest.mark.parametrize("change", ["run", "policy", "expired", "partition"])
def test_what_is_not_the_same_judgement_is_a_new_verdict(site, change):
    seal(site, site.clean)
    first = gate(site, run=TASK)
    at, run = later(1), TASK
    if change == "run":
        run = TASK | {"run_id": "another"}
    if change == "policy":
        with site.home.policy.open("a", encoding="utf-8") as file:
            file.write("# looked at\n")
    if change == "expired":
        at = first.verdict.expires
    if change == "partition":
        run = TASK | {"map_index": "1"}
    second = gate(site, run=run, at=at)
    assert second.index > first.index


def promote(site, digest, at):
    return propose(
        site.home,
        site.evidence(),
        "src",
        lane=Lane.ANCHORED,
        digests=[digest],
        schema=ROLES,
        signer=site.signer("baseline"),
        run=RUN,
        at=at,
        ttl=timedelta(days=30),
    ).promotion.baseline


def test_backfill_is_judged_by_the_baseline_of_its_day(site):
    batch = seal(site, site.clean)
    first = gate(site).verdict.baseline
    second = promote(site, batch.digest, later(1))
    third = promote(site, batch.digest, later(3))
    seal(site, write(rows(9), site.root / "old"), at=later(4))
    days = {AT - timedelta(days=500): first, later(0): first, later(2): second, later(4): third}
    for day, expected in days.items():
        verdict = gate(site, at=later(5), as_of=day).verdict
        assert (verdict.baseline, verdict.result) == (expected, Status.PASSED)
        assert AS_OF in verdict.run
    assert gate(site, at=later(5)).verdict.baseline == third
    # A day to come is today.
    assert gate(site, at=later(6), as_of=later(900)).verdict.baseline == third
    assert audit(site.evidence(), at=later(6)).findings == ()


def test_old_baseline_without_the_day_in_the_verdict_is_found_by_the_audit(site, monkeypatch):
    batch = seal(site, site.clean)
    gate(site)
    promote(site, batch.digest, later(1))
    monkeypatch.setattr("sluicegate.workflow.judging.gate.AS_OF", "another")
    gate(site, at=later(5), as_of=later(0))
    assert audit(site.evidence(), at=later(6)).findings != ()


def changed(site, table):
    seal(site, write(table, site.root / "changed"))
    return gate(site).verdict


def test_absent_column_blocks_and_voids_no_other_check(site):
    """The schema signal names the column, and flipped labels in the rest are still found."""
    verdict = changed(site, flipped(rows(31), "c1").drop_columns(["y"]))
    failed = {reason.code for reason in verdict.reasons if reason.result is Status.FAILED}
    assert {"SCHEMA", "LABEL_FLIPS"} <= failed
    assert verdict.result is Status.FAILED


def test_column_that_nobody_judges_is_only_named_where_the_policy_says_nothing(site):
    site.accept_extra_columns()
    verdict = changed(site, rows(32).append_column("z", rows(32)["y"]))
    assert verdict.result is Status.PASSED


@pytest.mark.parametrize("change", ["added", "dropped", "retyped"])
def test_schema_change_blocks_until_a_promoted_baseline_declares_it(site, change):
    def new(seed):
        table = rows(seed)
        if change == "added":
            return table.append_column("z", table["y"])
        if change == "dropped":
            return table.drop_columns(["y"])
        text = pa.array([f"{value:.0f}" for value in table["y"].to_pylist()])
        return table.set_column(table.schema.get_field_index("y"), "y", text)

    verdict = changed(site, new(32))
    assert "SCHEMA" in {r.code for r in verdict.reasons if r.result is Status.FAILED}
    # Declared: the owner builds and signs a baseline of the new form.
    write_baseline(
        [write(new(33), site.root / "approved")],
        ROLES,
        out=site.home.baseline_dir("src"),
        at=later(1),
        source="src",
        signer=site.signer("baseline"),
    )
    assert gate(site, at=later(2)).verdict.result is Status.PASSED


def test_joint_batch_is_not_admitted_while_one_of_its_partitions_is_in_quarantine(site, month):
    parts = month("month", [rows(11), rows(12)])
    for _, digest in parts:
        gate(site, "parts", digest=digest)
    gate(site, parts=parts)
    evidence = site.evidence()
    bad = evidence.seal_of(*parts[1], at=AT)
    # No proof of ours may pass by the leaf that is taken out below.
    evidence.append("other", bad.digest, [("verdict", b"%d" % number) for number in range(9)])
    signer = site.signer("gate")
    quarantine_batch(site.home, evidence, bad, reason="odd", signer=signer, run=RUN, at=later(1))
    with pytest.raises(GateBlocked, match=r"parts@.*partition.*in quarantine"):
        admit_training(site.home, ["src"], at=later(2))
    # Neither does it help to take the quarantine out of the store.
    evidence.append("other", bad.digest, [("verdict", b"%d" % number) for number in range(9, 18)])
    held = next(evidence.ledger.find("quarantine", "parts")).index
    connection = sqlite3.connect(site.home.ledger)
    with connection:
        connection.execute("DELETE FROM leaf WHERE idx = ?", (held,))
    connection.close()
    with pytest.raises(LedgerCorrupt, match="a quarantine is in the log"):
        admit_training(site.home, ["src"], at=later(2))
