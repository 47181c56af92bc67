"""A model is judged like a batch: sealed golden set, signed verdict, bound to its exact files."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.unit.workflow.admission.test_standing import with_validity
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, rows, write

from sluicegate.attest import dsse
from sluicegate.attest.trust import Role
from sluicegate.cli.main import main
from sluicegate.errors import (
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    Expired,
    GateBlocked,
    SchemaMismatch,
    UnreadableData,
    UntrustedKey,
)
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.ledger.entry import Kind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.contributors.names import pseudonym
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.auditing.audit import audit
from sluicegate.workflow.judging.gate import GateSigners
from sluicegate.workflow.judging.model_gate import Contest, judge_model, require_model
from sluicegate.workflow.response.quarantine import quarantine_batch
from sluicegate.workflow.sealing.seal import seal_into_ledger

RULES = {
    "max_regression": 0.01,
    "max_class_regression": 0.03,
    "max_slice_regression": 0.05,
    "max_disagreement": 0.5,
    "max_leakage": 0.001,
    "slices": ["who"],
}


@pytest.fixture
def shop(site):
    """A sealed golden set, sealed training data, two sets of answers and model files."""
    demand(site, RULES)
    golden = rows(77, 2000)
    seal(site, write(golden, site.root / "golden"), "golden")
    site.seal(site.clean)
    model = site.root / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    labels = np.array(golden["label"].to_pylist(), dtype="int8")
    answer(site, golden, labels, "champion")
    answer(site, golden, labels, "challenger")
    return site


def demand(site, model):
    value = yaml.safe_load(DEFAULT_POLICY) | ({"model": model} if model else {})
    site.home.policy.write_text(yaml.safe_dump(value), encoding="utf-8")


def seal(site, path, name):
    return seal_into_ledger(
        path, name, evidence=site.evidence(), signer=site.signer("source"), at=AT, run=RUN
    )


def answer(site, golden, labels, name, ids=None):
    ids = golden["id"] if ids is None else pa.array(ids)
    pq.write_table(pa.table({"id": ids, "prediction": labels}), site.root / f"{name}.parquet")


def contest(site, **changes):
    given = {
        "name": "late",
        "model": site.root / "model",
        "golden": "golden",
        "schema": BatchSchema.from_mapping(SCHEMA, locator="schema"),
        "champion": site.root / "champion.parquet",
        "challenger": site.root / "challenger.parquet",
        "trained_on": ["src"],
    }
    return Contest(**{**given, **changes})


def judge(site, at=AT, **changes):
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    return judge_model(site.home, contest(site, **changes), signers=signers, run=RUN, at=at)


def require(site, at=AT):
    return require_model(site.home, site.evidence(), "late", site.root / "model", at=at)


def regress(site, name="challenger", who="c1"):
    """Turn around every answer for one contributor's rows: a targeted regression."""
    golden = rows(77, 2000)
    labels = np.array(golden["label"].to_pylist(), dtype="int8")
    own = np.array(golden["who"].to_pylist()) == who
    answer(site, golden, np.where(own, 1 - labels, labels), name)


def test_equal_model_passes_and_exactly_its_files_may_be_promoted(shop):
    issued = judge(shop)
    assert issued.verdict.result is Status.PASSED
    assert require(shop).envelope == issued.envelope
    (shop.root / "model" / "weights.bin").write_bytes(b"other")
    with pytest.raises(EvidenceMissing):
        require(shop)


def test_targeted_regression_blocks_promotion_and_names_the_slice(shop):
    regress(shop)
    verdict = judge(shop).verdict
    assert verdict.result is Status.FAILED
    assert any("who=c1" in reason.message for reason in verdict.reasons)
    with pytest.raises(GateBlocked):
        require(shop)


def test_hidden_contributor_is_a_slice_without_its_name(shop):
    value = yaml.safe_load(shop.home.policy.read_text(encoding="utf-8"))
    shop.home.policy.write_text(yaml.safe_dump({**value, "contributor_names": "hidden"}))
    regress(shop)
    issued = judge(shop)
    assert issued.verdict.result is Status.FAILED
    assert any(f"who={pseudonym('c1')}" in r.message for r in issued.verdict.reasons)
    ledger = shop.evidence().ledger
    for record in ledger.find(Kind.TEST_RESULT, "model:late"):
        payload = dsse.Envelope.from_bytes(ledger.get_verified(record.index).envelope).payload
        assert b"who=#" in payload
        assert b"who=c" not in payload


def set_aside(site, source):
    evidence = site.evidence()
    quarantine_batch(
        site.home,
        evidence,
        evidence.latest_seal(source, at=AT),
        reason="hacked",
        signer=site.signer("gate"),
        run=RUN,
        at=AT,
    )


@pytest.mark.parametrize("source", ["src", "golden"])
def test_model_is_not_judged_by_or_promoted_from_data_in_quarantine(shop, source):
    judge(shop)
    assert require(shop)
    set_aside(shop, source)
    with pytest.raises(GateBlocked, match="in quarantine"):
        require(shop)
    with pytest.raises(GateBlocked, match="in quarantine"):
        judge(shop)


def test_better_challenger_than_champion_passes(shop):
    regress(shop, "champion")
    assert judge(shop).verdict.result is Status.PASSED


def test_golden_rows_in_the_training_data_fail_the_model(shop):
    golden, clean = rows(77, 2000), rows(2)
    leaked = pa.concat_tables([clean, golden.slice(0, 20)])
    seal(shop, write(leaked, shop.root / "leaked"), "src")
    assert {r.code for r in judge(shop).verdict.reasons} == {"GOLDEN_LEAKAGE"}


def test_golden_rows_under_new_ids_leak_all_the_same(shop):
    golden = rows(77, 2000).slice(0, 20)
    fresh = pa.array([f"new{number}" for number in range(20)])
    renamed = golden.set_column(golden.schema.get_field_index("id"), "id", fresh)
    leaked = pa.concat_tables([rows(2), renamed])
    seal(shop, write(leaked, shop.root / "leaked"), "src")
    assert {r.code for r in judge(shop).verdict.reasons} == {"GOLDEN_LEAKAGE"}


def test_golden_set_changed_after_sealing_judges_nothing(shop):
    write(rows(78, 2000), shop.root / "golden")
    with pytest.raises(DigestMismatch):
        judge(shop)


@pytest.mark.parametrize("change", [{"golden": "unsealed"}, {"trained_on": ["unsealed"]}])
def test_golden_set_or_training_data_that_nobody_sealed_could_not_be_checked(shop, change):
    with pytest.raises(EvidenceMissing):
        judge(shop, **change)


def test_policy_without_the_section_judges_no_model(shop):
    demand(shop, None)
    with pytest.raises(ConfigError, match="says nothing about models"):
        judge(shop)


@pytest.mark.parametrize(
    "rule", [{"max_regression": 0}, {"max_leakage": 2}, {"slices": []}, {"extra": 1}]
)
def test_unusable_model_rules_are_refused(shop, rule):
    demand(shop, RULES | rule)
    with pytest.raises(ConfigError, match="model"):
        judge(shop)


def test_model_of_numbers_is_refused(shop):
    label = {"column": "label", "kind": "number"}
    schema = BatchSchema.from_mapping(SCHEMA | {"label": label}, locator="schema")
    with pytest.raises(ConfigError, match="model of numbers"):
        judge(shop, schema=schema)


def test_training_data_must_be_named(shop):
    with pytest.raises(ConfigError, match="trained on"):
        judge(shop, trained_on=[])


@pytest.mark.parametrize("defect", ["missing", "twice", "strange", "null", "text"])
def test_answers_that_do_not_fit_the_golden_set_are_refused(shop, defect):
    golden = rows(77, 2000)
    labels = golden["label"].to_pylist()
    ids = golden["id"].to_pylist()
    if defect == "missing":
        golden, labels, ids = golden.slice(1), labels[1:], ids[1:]
    elif defect == "twice":
        ids[0] = ids[1]
    elif defect == "strange":
        ids[0] = "nobody"
    elif defect == "null":
        labels[5] = None
    else:
        labels = ["late"] * len(labels)
    answer(shop, golden, labels, "challenger", ids)
    with pytest.raises((SchemaMismatch, UnreadableData)):
        judge(shop)


def test_model_verdict_expires_and_binds_the_policy(shop):
    judge(shop)
    with pytest.raises(Expired):
        require(shop, AT + timedelta(days=8))
    demand(shop, RULES | {"max_leakage": 0.01})
    with pytest.raises(GateBlocked, match="policy"):
        require(shop)


def test_audit_verifies_model_verdicts_and_finds_a_weakened_rule(shop):
    judge(shop)
    assert audit(shop.evidence(), at=AT).findings == ()
    demand(shop, RULES | {"max_regression": 0.5})
    judge(shop, at=AT + timedelta(minutes=1))
    found = audit(shop.evidence(), at=AT + timedelta(minutes=2))
    assert set(found.counts) == {"POLICY_WEAKENED"}


def test_no_source_of_data_can_take_the_name_of_a_model(shop):
    judge(shop)
    with pytest.raises(ConfigError):
        shop.home.baseline_dir("model:late")


def test_command_judges_and_verifies_with_exit_codes(shop, capsys):
    schema = shop.root / "schema.yaml"
    schema.write_text(yaml.safe_dump(SCHEMA), encoding="utf-8")
    home = ["--home", str(shop.home.root), "--json"]
    model = ["late", "--model", str(shop.root / "model")]
    answers = [
        item
        for which in ("champion", "challenger")
        for item in (f"--{which}", str(shop.root / f"{which}.parquet"))
    ]
    given = ["--golden", "golden", "--schema", str(schema), "--trained-on", "src", *answers]
    assert main(["model", "verify", *model, *home]) == 2
    assert main(["model", "check", *model, *given, *home]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verdict"] == "PASSED"
    assert main(["model", "verify", *model, *home]) == 0
    regress(shop)
    assert main(["model", "check", *model, *given, *home]) == 1
    assert main(["model", "verify", *model, *home]) == 1
    assert main(["policy", "test", str(shop.home.policy), *home]) == 0


@pytest.mark.parametrize("role", [Role.SOURCE, Role.GATE])
def test_model_whose_evidence_is_of_a_revoked_key_is_not_promoted(shop, role):
    judge(shop)
    later = AT + timedelta(minutes=5)
    assert require(shop, at=later)
    with_validity(shop, role, revoked_at=AT + timedelta(minutes=1))
    with pytest.raises(UntrustedKey, match="revoked"):
        require(shop, at=later)


def test_model_whose_golden_set_was_sealed_by_a_key_that_only_expired_is_promoted(shop):
    judge(shop)
    with_validity(shop, Role.SOURCE, not_after=AT + timedelta(minutes=1))
    assert require(shop, at=AT + timedelta(minutes=5))
