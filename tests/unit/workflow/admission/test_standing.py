"""What a verdict rests on is asked again before training: a revocation reaches the past."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.auditing.test_runs import FIT, records, tried
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, judge_clean, rows, write
from tests.unit.workflow.response.test_quarantine import aside, back, release

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, TrustedKey
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import EvidenceMissing, GateBlocked, UntrustedKey
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.promotion import Lane
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.admission.read import load_verified
from sluicegate.workflow.auditing.audit import audit, open_for_audit
from sluicegate.workflow.auditing.history import last_trusted
from sluicegate.workflow.auditing.run_records import AdmissionTrace
from sluicegate.workflow.baselines.promotion import propose
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.opening import read_trust

ROLES = BatchSchema.from_mapping(SCHEMA, locator="schema")
SOON = AT + timedelta(minutes=5)
LATER = AT + timedelta(minutes=30)


def admit(site, at=SOON):
    return admit_training(site.home, ["src"], at=at)["src"]


def set_keys(site, change) -> None:
    """Put another trust policy in place; ``change`` takes and returns its keys by id."""
    trust = read_trust(site.home.trust)
    changed = replace(trust, version=trust.version + 1, keys=change(trust))
    site.home.trust.write_bytes(changed.to_bytes())


def with_validity(site, role: Role, **validity) -> None:
    def change(trust):
        own = {key_id: TrustedKey(trust.keys[key_id].public_key, **validity) for key_id in ids}
        return {**trust.keys, **own}

    ids = read_trust(site.home.trust).roles[role].key_ids
    set_keys(site, change)


def revoke(site, role: Role = Role.BASELINE, at=AT + timedelta(minutes=1)) -> None:
    with_validity(site, role, revoked_at=at)


def new_baseline(site, signer, at=AT) -> None:
    write_baseline(
        [site.root / "trusted"],
        ROLES,
        out=site.home.baseline_dir("src"),
        at=at,
        source="src",
        signer=signer,
    )


def add_key(site, role: Role, threshold: int = 1):
    signer = generate(Algorithm.ED25519)
    trust = read_trust(site.home.trust)
    key_id = signer.public_key.key_id
    rule = replace(
        trust.roles[role], key_ids=(*trust.roles[role].key_ids, key_id), threshold=threshold
    )
    changed = replace(
        trust,
        version=trust.version + 1,
        keys={**trust.keys, key_id: TrustedKey(signer.public_key)},
        roles={**trust.roles, role: rule},
    )
    site.home.trust.write_bytes(changed.to_bytes())
    return signer


def promote(site, batch, at, signer=None) -> None:
    propose(
        site.home,
        site.evidence(),
        "src",
        lane=Lane.ROLLING,
        digests=[batch.digest],
        schema=ROLES,
        signer=signer or site.signer("baseline"),
        run=RUN,
        at=at,
        ttl=timedelta(days=30),
    )


@pytest.fixture
def judged(site):
    site.once(judge_clean)
    return site


@pytest.fixture
def rolling(site):
    """The newest batch was judged beside a rolling baseline of the batch before."""
    return site, site.once(_rolling)


def _rolling(judged):
    judge_clean(judged)
    behind = judged.evidence().latest_seal("src", at=AT)
    promote(judged, behind, at=AT + timedelta(minutes=1))
    judged.seal(write(rows(8), judged.root / "new"), at=AT + timedelta(minutes=2))
    issued, _ = judged.gate(at=AT + timedelta(minutes=2))
    assert issued.verdict.rolling is not None
    return behind


def test_batch_judged_by_a_baseline_whose_key_is_revoked_is_not_admitted(judged):
    assert admit(judged).issued.verdict.result is Status.PASSED
    revoke(judged)
    with pytest.raises(UntrustedKey, match=r"anchored baseline.*revoked at.*run the gate again"):
        admit(judged)
    with pytest.raises(UntrustedKey, match="anchored baseline"):
        load_verified("src", home=judged.home, at=SOON)


def test_revocation_that_is_still_to_come_stops_nothing(judged):
    revoke(judged, at=SOON + timedelta(days=1))
    assert admit(judged)


def test_baseline_key_that_was_only_rotated_or_expired_since_stops_nothing(judged):
    with_validity(judged, Role.BASELINE, not_after=AT + timedelta(minutes=1))
    add_key(judged, Role.BASELINE)
    assert admit(judged)


def test_baseline_that_expired_after_the_verdict_stops_nothing(site):
    write_baseline(
        [site.root / "trusted"],
        ROLES,
        out=site.home.baseline_dir("src"),
        at=AT,
        source="src",
        signer=site.signer("baseline"),
        ttl=timedelta(minutes=1),
    )
    site.seal(site.clean)
    site.gate()
    assert admit(site)


def test_new_baseline_and_gate_let_the_batch_in_again(judged):
    revoke(judged)
    signer = add_key(judged, Role.BASELINE)
    new_baseline(judged, signer, at=SOON)
    judged.gate(at=SOON)
    assert admit(judged)


def test_expiry_of_one_signer_does_not_hide_the_revocation_of_the_other(judged):
    second = add_key(judged, Role.BASELINE, threshold=2)
    path = judged.home.baseline_dir("src") / "baseline.intoto.json"
    first = dsse.Envelope.from_bytes(path.read_bytes())
    own = dsse.sign(first.payload, second)
    both = replace(first, signatures=(*first.signatures, *own.signatures))
    path.write_bytes(both.to_bytes())
    judged.gate(at=AT + timedelta(minutes=1))
    assert admit(judged)
    ended = AT + timedelta(minutes=2)
    one, two = read_trust(judged.home.trust).roles[Role.BASELINE].key_ids
    for key_id, validity in ((one, {"not_after": ended}), (two, {"revoked_at": ended})):
        set_keys(
            judged,
            lambda trust, key_id=key_id, validity=validity: {
                **trust.keys,
                key_id: TrustedKey(trust.keys[key_id].public_key, **validity),
            },
        )
    with pytest.raises(UntrustedKey, match="anchored baseline"):
        admit(judged)
    found = audit(open_for_audit(judged.home, at=SOON), at=SOON).findings
    assert "SIGNER_REVOKED" in {finding.code for finding in found}


def test_batch_judged_beside_a_rolling_baseline_whose_batch_is_in_quarantine_is_not_admitted(
    rolling,
):
    site, behind = rolling
    assert admit(site)
    aside(site, behind, at=AT + timedelta(minutes=3))
    with pytest.raises(GateBlocked, match=r"behind the rolling baseline.*in quarantine"):
        admit(site)
    with pytest.raises(GateBlocked, match="behind the rolling baseline"):
        load_verified("src", home=site.home, at=SOON)
    newest = site.evidence().latest_seal("src", at=SOON)
    promote(site, newest, at=AT + timedelta(minutes=4))
    with pytest.raises(GateBlocked, match="behind the rolling baseline"):
        admit(site)
    release(site, behind.digest, at=AT + timedelta(minutes=4, seconds=1))
    assert admit(site)


def test_promotion_whose_signer_is_revoked_is_not_admitted(rolling):
    site, _ = rolling
    signer = add_key(site, Role.BASELINE)
    new_baseline(site, signer, at=AT + timedelta(minutes=3))
    site.gate(at=AT + timedelta(minutes=3))
    assert admit(site)
    (old, _) = read_trust(site.home.trust).roles[Role.BASELINE].key_ids
    key = TrustedKey(site.signer("baseline").public_key, revoked_at=AT)
    set_keys(site, lambda trust: {**trust.keys, old: key})
    with pytest.raises(UntrustedKey, match="rolling baseline"):
        admit(site)


def judge_again(site, digest, result: Status, at) -> None:
    """Append a verdict of the gate that says something else of a batch."""
    evidence = site.evidence()
    batch = evidence.seal_of("src", digest, at=at)
    before = evidence.verdict_of("src", digest, at=at)
    verdict = replace(before.verdict, result=result, issued=at)
    statement = verdict.to_statement(batch.subjects, before.test_result)
    envelope = dsse.sign(statement.to_bytes(), site.signer("gate")).to_bytes()
    evidence.append("src", digest, [("verdict", envelope)])


def test_batch_behind_the_baseline_that_failed_since_stops_training(rolling):
    site, behind = rolling
    judge_again(site, behind.digest, Status.FAILED, AT + timedelta(minutes=3))
    with pytest.raises(GateBlocked, match="behind the rolling baseline"):
        admit(site)


def test_batch_behind_the_first_baseline_in_quarantine_stops_gate_and_training(site):
    trusted = site.seal(site.root / "trusted")
    site.seal(site.clean)
    site.gate()
    assert admit(site)
    aside(site, trusted, at=AT + timedelta(minutes=1))
    with pytest.raises(GateBlocked, match="behind the anchored baseline"):
        admit(site)
    with pytest.raises(GateBlocked, match="behind the anchored baseline"):
        site.gate(at=SOON)


def test_verdict_that_names_no_logged_test_result_is_not_admitted(judged):
    evidence = judged.evidence()
    batch = evidence.latest_seal("src", at=AT)
    verdict = evidence.verdict_of("src", batch.digest, at=AT).verdict
    statement = verdict.to_statement(batch.subjects, sha256_bytes(b"invented"))
    envelope = dsse.sign(statement.to_bytes(), judged.signer("gate")).to_bytes()
    evidence.append("src", batch.digest, [("verdict", envelope)])
    with pytest.raises(EvidenceMissing, match=r"test result.*Run the gate again"):
        admit(judged)


def test_verdict_that_says_otherwise_than_its_test_result_is_not_admitted(site):
    batch = site.seal(site.poisoned)
    site.gate()
    judge_again(site, batch.digest, Status.WARNED, AT)
    with pytest.raises(GateBlocked, match="test result"):
        admit(site)


def test_verdict_that_names_a_baseline_nobody_signed_is_not_admitted(judged):
    evidence = judged.evidence()
    batch = evidence.latest_seal("src", at=AT)
    before = evidence.verdict_of("src", batch.digest, at=AT)
    verdict = replace(before.verdict, baseline=sha256_bytes(b"invented"))
    statement = verdict.to_statement(batch.subjects, before.test_result)
    envelope = dsse.sign(statement.to_bytes(), judged.signer("gate")).to_bytes()
    evidence.append("src", batch.digest, [("verdict", envelope)])
    with pytest.raises(EvidenceMissing, match="anchored baseline"):
        admit(judged)


def test_rollback_goes_only_to_a_batch_whose_evidence_holds_now(judged):
    first = judged.evidence().latest_seal("src", at=AT)
    signer = add_key(judged, Role.BASELINE)
    new_baseline(judged, signer, at=AT + timedelta(minutes=1))
    second = judged.seal(write(rows(8), judged.root / "new"), at=AT + timedelta(minutes=1))
    judged.gate(at=AT + timedelta(minutes=1))
    judged.seal(judged.poisoned, at=AT + timedelta(minutes=2))
    policy = read_policy(judged.home.policy)
    assert last_trusted(judged.evidence(), policy, "src", at=SOON).digest == second.digest
    new = TrustedKey(signer.public_key, revoked_at=AT + timedelta(minutes=3))
    set_keys(judged, lambda trust: {**trust.keys, signer.public_key.key_id: new})
    assert last_trusted(judged.evidence(), policy, "src", at=SOON).digest == first.digest
    with pytest.raises(UntrustedKey, match="anchored baseline"):
        back(judged, to=second.digest, at=SOON)
    assert back(judged, at=SOON).digest == first.digest


def test_admission_asks_a_fixed_number_of_times(rolling, monkeypatch):
    """The cost of the guard: look-ups, proofs and signatures, not time."""
    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.ledger.log import Ledger

    site, _ = rolling
    calls = {"find": 0, "get_verified": 0, "by_envelope": 0, "verify": 0}
    for owner, name in (
        (Ledger, "find"),
        (Ledger, "get_verified"),
        (Ledger, "by_envelope"),
        (TrustPolicy, "verify"),
    ):
        original = getattr(owner, name)

        def counted(self, *arguments, _name=name, _original=original, **options):
            calls[_name] += 1
            return _original(self, *arguments, **options)

        monkeypatch.setattr(owner, name, counted)
    admit(site)
    assert calls["verify"] <= 12
    assert calls["get_verified"] + calls["by_envelope"] <= 8
    assert calls["find"] <= 20


def audited(site, envelope, start, *, at=LATER) -> list[str]:
    """What the audit says of one training run on the batch."""
    run = tried(start=start, end=start + timedelta(minutes=1))
    traces = (AdmissionTrace(**FIT, map_index=-1, verdicts={"src": str(envelope)}),)
    value = records(tries=(run,), traces=traces, collected=at)
    found = audit(open_for_audit(site.home, at=at), at=at, records=value).findings
    return [finding.code for finding in found if not finding.code.startswith("SIGNER_")]


@pytest.mark.parametrize("role", [Role.BASELINE, Role.GATE, Role.SOURCE])
def test_run_on_evidence_of_a_key_that_was_revoked_since_is_found(judged, role):
    envelope = admit(judged).verdict
    assert audited(judged, envelope, SOON) == []
    revoke(judged, role, at=SOON + timedelta(minutes=5))
    assert audited(judged, envelope, SOON) == ["TRAINED_ON_REVOKED_EVIDENCE"]
    assert audited(judged, envelope, SOON, at=SOON + timedelta(minutes=4)) == []


@pytest.mark.parametrize("role", [Role.BASELINE, Role.GATE, Role.SOURCE])
def test_run_on_evidence_of_a_key_that_only_expired_since_is_no_finding(judged, role):
    envelope = admit(judged).verdict
    with_validity(judged, role, not_after=SOON + timedelta(minutes=5))
    assert audited(judged, envelope, SOON) == []


def test_run_on_a_waiver_of_a_key_that_was_revoked_since_is_found(site):
    from tests.unit.workflow.response.test_waiver import SECTION, _trust, ask, confirm

    people = [generate(Algorithm.ED25519) for _ in range(2)]
    _trust(site, [person.public_key for person in people])
    site.home.policy.write_text(DEFAULT_POLICY + SECTION, encoding="utf-8")
    site.seal(site.poisoned)
    site.gate()
    confirm(site, ask(site, people[0]), people[1], at=AT)
    envelope = admit(site).verdict
    assert audited(site, envelope, SOON) == []
    revoke(site, Role.WAIVER, at=SOON + timedelta(minutes=5))
    assert audited(site, envelope, SOON) == ["TRAINED_ON_REVOKED_EVIDENCE"]
    with pytest.raises(GateBlocked):
        admit(site, at=LATER)


def test_run_while_a_batch_behind_its_baseline_was_set_aside_is_found(rolling):
    site, behind = rolling
    envelope = admit(site).verdict
    aside(site, behind, at=AT + timedelta(minutes=10))
    assert audited(site, envelope, AT + timedelta(minutes=20)) == [
        "TRAINED_ON_QUARANTINED_BASELINE"
    ]
    assert audited(site, envelope, SOON) == ["BASELINE_QUARANTINED_SINCE"]


def test_source_recovers_after_its_only_baseline_key_was_revoked(rolling):
    site, behind = rolling
    revoke(site, at=AT + timedelta(minutes=3))
    signer = add_key(site, Role.BASELINE)
    new_baseline(site, signer, at=AT + timedelta(minutes=4))
    with pytest.raises(UntrustedKey, match="revoked"):
        site.gate(at=SOON)  # the promotion is still the newest of its lane
    promote(site, behind, at=AT + timedelta(minutes=4), signer=signer)
    site.gate(at=SOON)
    assert admit(site)


def test_guard_itself_refuses_what_rests_on_a_revoked_key_or_on_a_batch_set_aside(site):
    from sluicegate.orchestration.guard import admit as guard_admits

    context = {"triggering_asset_events": {}}
    trusted = site.seal(site.root / "trusted")
    site.seal(site.clean)
    site.gate()
    assert set(guard_admits(context, ("src",), site.home)) == {"src"}
    aside(site, trusted)
    with pytest.raises(GateBlocked, match="behind the anchored baseline"):
        guard_admits(context, ("src",), site.home)
    revoke(site, at=AT)
    with pytest.raises(UntrustedKey, match="anchored baseline"):
        guard_admits(context, ("src",), site.home)
