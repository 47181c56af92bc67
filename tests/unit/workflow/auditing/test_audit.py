"""A clean ledger has no findings; every way to spoil it has its own."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, RUN, judge_clean, rows

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.predicates import provenance_statement
from sluicegate.attest.trust import Role, TrustedKey, TrustPolicy, trust_policy
from sluicegate.errors import ConfigError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.ledger.cosigning.cosignature import Cosigner, CosignerKey, with_lines
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import raw_public_key
from sluicegate.workflow.auditing.audit import audit, open_for_audit
from sluicegate.workflow.auditing.witnesses import Cosigned
from sluicegate.workflow.evidence.opening import create_ledger, read_trust


@pytest.fixture
def judged(site):
    site.once(judge_clean)
    return site


def run(site, *, at=AT, **options):
    return audit(open_for_audit(site.home, at=at), at=at, **options)


def codes(site, **options) -> list[str]:
    return [finding.code for finding in run(site, **options).findings]


def append(site, kind, envelope, *, source="src", subject=None) -> None:
    evidence = site.evidence()
    digest = subject or str(evidence.latest_seal("src", at=AT).digest)
    evidence.ledger.append(Entry.of(kind, source, digest, envelope), envelope)


def set_policy(site, *changes) -> None:
    text = DEFAULT_POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    site.home.policy.write_text(text, encoding="utf-8")


def set_trust(site, change) -> TrustPolicy:
    trust = change(read_trust(site.home.trust))
    site.home.trust.write_bytes(trust.to_bytes())
    return trust


def with_key(trust: TrustPolicy, role: Role, **validity) -> TrustPolicy:
    (key_id,) = trust.roles[role].key_ids
    key = TrustedKey(trust.keys[key_id].public_key, **validity)
    return replace(trust, keys={**trust.keys, key_id: key})


def provenance(site, signer, **changes) -> bytes:
    batch = site.evidence().latest_seal("src", at=AT)
    fields = {
        "location": "x",
        "version": 2,
        "at": AT,
        "run": RUN,
        "code_version": "1",
        **changes,
    }
    source = fields.pop("source", "src")
    return dsse.sign(
        provenance_statement(source, batch.manifest, **fields).to_bytes(), signer
    ).to_bytes()


def test_clean_history_has_no_findings(judged):
    found = run(judged, data=True)
    assert found.findings == ()
    assert (found.exit_code, found.size, found.n_statements) == (0, 5, 5)
    assert found.checkpoint == judged.evidence().ledger.checkpoint()


def test_audit_of_new_leaves_reads_only_those_and_knows_the_policy_before(judged):
    remembered = judged.evidence().ledger.checkpoint()
    set_policy(judged, ("mode: enforce", "mode: shadow"))
    judged.gate(at=AT + timedelta(hours=1))
    found = run(judged, remembered=remembered, only_new=True, at=AT + timedelta(hours=2))
    assert (found.n_leaves, found.n_statements) == (2, 2)
    assert [finding.code for finding in found.findings] == ["VERDICT_SHADOW", "POLICY_WEAKENED"]


def test_only_new_without_a_checkpoint_is_refused(judged):
    with pytest.raises(ConfigError):
        run(judged, only_new=True)


def test_ledger_rolled_back_below_the_remembered_checkpoint_is_found(judged, tmp_path):
    old = judged.home.ledger.read_bytes()
    judged.gate(at=AT + timedelta(hours=1))
    remembered = judged.evidence().ledger.checkpoint()
    for path in judged.home.root.glob("ledger.db*"):
        path.unlink()
    judged.home.ledger.write_bytes(old)
    found = run(judged, remembered=remembered)
    assert "LEDGER_ROLLBACK" in [finding.code for finding in found.findings]
    assert found.checkpoint == b""


def test_deleted_envelope_is_found(judged):
    with sqlite3.connect(judged.home.ledger) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        name = next(table for table in sorted(tables) if "envelope" in table)
        database.execute(f"DELETE FROM {name} WHERE rowid = (SELECT max(rowid) FROM {name})")
    assert "LEDGER_CORRUPT" in codes(judged)


def test_statement_signed_by_a_stranger_is_found(judged):
    append(judged, "provenance", provenance(judged, generate(Algorithm.ECDSA_P256)))
    assert codes(judged) == ["SIGNER_UNTRUSTED"]


def test_statement_signed_by_another_role_is_found(judged):
    append(judged, "provenance", provenance(judged, judged.signer("gate")))
    assert codes(judged) == ["SIGNER_UNTRUSTED"]


def test_edited_statement_is_found(judged):
    envelope = dsse.Envelope.from_bytes(provenance(judged, judged.signer("source")), locator="test")
    edited = replace(envelope, payload=envelope.payload.replace(b'"x"', b'"y"'))
    append(judged, "provenance", edited.to_bytes())
    assert codes(judged) == ["STATEMENT_SIGNATURE"]


def test_envelope_that_is_none_is_found(judged):
    append(judged, "release", b"{}")
    assert codes(judged) == ["STATEMENT_MALFORMED"]


def test_statement_filed_under_another_batch_is_found(judged):
    envelope = provenance(judged, judged.signer("source"))
    append(judged, "provenance", envelope, subject="dirHash1:" + "0" * 64)
    assert codes(judged) == ["STATEMENT_MISROUTED"]


def test_statement_filed_as_another_kind_is_found(judged):
    append(judged, "baseline", provenance(judged, judged.signer("source")))
    assert codes(judged) == ["STATEMENT_MISROUTED"]


def test_statement_dated_before_its_neighbours_is_found(judged):
    early = AT - timedelta(days=2)
    append(judged, "provenance", provenance(judged, judged.signer("source"), at=early))
    assert codes(judged) == ["STATEMENT_TIME"]


def test_statement_from_the_future_is_found(judged):
    late = AT + timedelta(days=2)
    append(judged, "provenance", provenance(judged, judged.signer("source"), at=late))
    assert codes(judged) == ["STATEMENT_TIME"]


def test_key_that_expired_after_it_signed_is_no_finding(judged):
    until = AT + timedelta(hours=1)
    set_trust(judged, lambda trust: with_key(trust, Role.GATE, not_after=until))
    assert codes(judged, at=AT + timedelta(days=3)) == []


def test_key_that_had_expired_before_it_signed_is_found(judged):
    set_trust(judged, lambda trust: with_key(trust, Role.GATE, not_after=AT - timedelta(hours=1)))
    assert codes(judged) == ["SIGNER_EXPIRED", "SIGNER_EXPIRED"]


def test_everything_a_revoked_key_ever_signed_is_found(judged):
    later = AT + timedelta(days=1)
    set_trust(judged, lambda trust: with_key(trust, Role.BASELINE, revoked_at=later))
    assert codes(judged) == []
    assert codes(judged, at=later) == ["SIGNER_REVOKED"]


def test_expired_trust_policy_is_found(judged):
    assert codes(judged, at=AT + timedelta(days=366)) == ["TRUST_EXPIRED"]


def test_verdict_without_its_test_result_is_found(judged):
    ledger = judged.evidence().ledger
    verdict = next(ledger.find("verdict"))
    other = judged.root / "other"
    judged_home = judged.home
    judged_home.ledger.rename(other)
    for path in judged_home.root.glob("ledger.db-*"):
        path.unlink()
    create_ledger(judged_home, at=AT, forget="it begins anew")
    judged.seal(judged.clean)
    judged.evidence().ledger.append(verdict.entry, verdict.envelope)
    assert codes(judged) == ["VERDICT_INCOMPLETE"]


WEAKER = [
    ("  LABEL_FLIPS: {severity: block,", "  LABEL_FLIPS: {severity: warn,"),
    ("verdict_ttl_hours: 168", "verdict_ttl_hours: 4000"),
    ("  SCHEMA: {severity: block}", "  SCHEMA: {severity: block, required: false}"),
    ("  LABEL_PRIOR: {severity: block,", "  LABEL_PRIOR: {severity: block, tolerance: 0.9,"),
]


@pytest.mark.parametrize("change", WEAKER, ids=[new.strip() for _, new in WEAKER])
def test_weakened_policy_is_found_and_named(judged, change):
    set_policy(judged, change)
    judged.gate(at=AT + timedelta(hours=1))
    (finding,) = run(judged, at=AT + timedelta(hours=1)).findings
    assert finding.code == "POLICY_WEAKENED"
    assert change[1].split(":")[0].strip() in finding.message


def test_second_verdict_on_the_same_test_result_is_complete(judged):
    judged.gate(at=AT + timedelta(hours=1))
    assert codes(judged, at=AT + timedelta(hours=1)) == []


def test_policy_made_stricter_is_no_finding(judged):
    set_policy(judged, ("accept: [PASSED, WARNED]", "accept: [PASSED]"))
    judged.gate(at=AT + timedelta(hours=1))
    assert codes(judged, at=AT + timedelta(hours=1)) == []


def test_changed_data_are_found_only_if_asked(judged):
    pq.write_table(rows(9), judged.clean / "part.parquet")
    assert codes(judged) == []
    assert codes(judged, data=True) == ["DATA_CHANGED"]


def test_data_that_are_gone_could_not_be_compared(judged):
    (judged.clean / "part.parquet").unlink()
    judged.clean.rmdir()
    assert codes(judged, data=True) == ["DATA_MISSING"]


def test_data_may_lie_elsewhere_now(judged):
    moved = judged.clean.rename(judged.root / "moved")
    assert codes(judged, data=True, places={"src": moved}) == []


def with_witnesses(site, threshold=1) -> list[Cosigner]:
    """Name two witnesses in the trust policy; returns them."""
    pairs = [generate(Algorithm.ED25519) for _ in range(2)]

    def change(trust):
        keys = {
            role: [trust.keys[rule.key_ids[0]].public_key] for role, rule in trust.roles.items()
        }
        keys[Role.WITNESS] = [pair.public_key for pair in pairs]
        made = trust_policy(keys, version=2, expires=trust.expires)
        return made.with_rule(Role.WITNESS, threshold=threshold, required_algorithms=())

    set_trust(site, change)
    return [
        Cosigner(
            CosignerKey(f"w{n}.example.com", raw_public_key(p.public_key, locator="t")), p.sign
        )
        for n, p in enumerate(pairs)
    ]


def cosigned_by(site, *witnesses, at=AT) -> bytes:
    note = site.evidence().ledger.checkpoint()
    text = note.decode().rpartition("\n\n")[0] + "\n"
    lines = "".join(f"{witness.cosign(text, int(at.timestamp()))}\n" for witness in witnesses)
    return with_lines(note, lines.encode(), locator="test")


def test_witnesses_that_nobody_asked_are_found(judged):
    with_witnesses(judged)
    assert codes(judged) == ["WITNESS_QUORUM"]
    assert codes(judged, cosigned=Cosigned()) == ["WITNESS_QUORUM"]


def test_quorum_of_different_witnesses_is_needed(judged):
    first, second = with_witnesses(judged, threshold=2)
    stranger = Cosigner(CosignerKey("x.example.com", bytes(32)), lambda _: bytes(64))
    for few in ((first,), (first, first), (second, stranger)):
        assert codes(judged, cosigned=Cosigned(cosigned_by(judged, *few))) == ["WITNESS_QUORUM"]
    assert codes(judged, cosigned=Cosigned(cosigned_by(judged, first, second))) == []


def test_forged_cosignature_or_foreign_checkpoint_is_no_quorum(judged):
    (first, _) = with_witnesses(judged)
    forged = Cosigner(first.key, lambda _: bytes(64))
    good = cosigned_by(judged, first)
    renamed = good.replace(judged.evidence().ledger.origin.encode(), b"example.com/other")
    for note in (cosigned_by(judged, forged), renamed, b"no note"):
        assert codes(judged, cosigned=Cosigned(note)) == ["WITNESS_QUORUM"]


def test_leaves_may_wait_for_their_quorum_but_not_for_ever(judged):
    first, _ = with_witnesses(judged)
    cosigned = Cosigned(cosigned_by(judged, first))
    later = AT + timedelta(hours=30)
    assert codes(judged, cosigned=cosigned, at=later) == []  # nothing was added since
    judged.gate(at=AT + timedelta(hours=1))
    assert codes(judged, cosigned=cosigned, at=AT + timedelta(hours=2)) == []
    assert codes(judged, cosigned=cosigned, at=later) == ["WITNESS_QUORUM"]
    assert codes(judged, cosigned=replace(cosigned, lag=timedelta(hours=48)), at=later) == []


def test_quorum_is_as_old_as_its_last_needed_witness(judged):
    first, second = with_witnesses(judged, threshold=2)
    old = cosigned_by(judged, first)
    note = cosigned_by(judged, second, at=AT + timedelta(hours=29))
    line = old.rpartition(b"\n\n")[2].split(b"\n", 1)[1]
    both = Cosigned(with_lines(note, line, locator="test"))
    judged.gate(at=AT + timedelta(hours=1))
    assert codes(judged, cosigned=both, at=AT + timedelta(hours=30)) == ["WITNESS_QUORUM"]


def test_ledger_smaller_than_its_witnesses_saw_is_rolled_back(judged):
    first, _ = with_witnesses(judged)
    old = judged.home.ledger.read_bytes()
    judged.gate(at=AT + timedelta(hours=1))
    cosigned = Cosigned(cosigned_by(judged, first))
    for path in judged.home.root.glob("ledger.db*"):
        path.unlink()
    judged.home.ledger.write_bytes(old)
    found = run(judged, cosigned=cosigned)
    assert [finding.code for finding in found.findings] == ["LEDGER_ROLLBACK"]
    assert found.checkpoint == b""  # never remembered


def test_quarantine_release_and_rollback_are_no_findings(judged):
    from tests.unit.workflow.response.test_quarantine import aside, back, release

    aside(judged, judged.evidence().latest_seal("src", at=AT))
    release(judged, at=AT + timedelta(minutes=1))
    judged.seal(judged.poisoned, at=AT + timedelta(minutes=2))
    back(judged, at=AT + timedelta(minutes=3))
    assert codes(judged, at=AT + timedelta(minutes=4)) == []
