"""A failed batch is admitted only with what two people signed for exactly its verdict."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, flipped, rows, write

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.cli import main as cli
from sluicegate.errors import (
    BadProof,
    BadSignature,
    ConfigError,
    Expired,
    GateBlocked,
    SluicegateError,
    UntrustedKey,
)
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.response.waiver import confirm_waiver, request_waiver, revoke_waivers

SECTION = "waiver: {allow: [LABEL_FLIPS, LABEL_PRIOR], max_hours: 72, approvers: 2}\n"


@pytest.fixture
def people(site):
    """Alice and Bob, whose keys act as waiver, and a policy that allows waivers."""
    return site.once(_people)


def _people(site):
    signers = [generate(Algorithm.ED25519) for _ in range(2)]
    _trust(site, [signer.public_key for signer in signers])
    site.home.policy.write_text(DEFAULT_POLICY + SECTION, encoding="utf-8")
    site.seal(site.poisoned)
    site.gate()
    return signers


def _trust(site, waiver_keys, **more):
    roles = (Role.SOURCE, Role.GATE, Role.BASELINE, Role.LEDGER)
    keys = {role: [site.signer(role.value).public_key] for role in roles}
    keys[Role.WAIVER] = waiver_keys
    trust = trust_policy(
        keys,
        version=2,
        expires=AT + timedelta(days=365),
        thresholds={Role.WAIVER: min(2, len(waiver_keys))},
        **more,
    )
    site.home.trust.write_bytes(trust.to_bytes())


def ask(site, signer, *, at=AT, **changes) -> bytes:
    wanted = {"signals": ["LABEL_FLIPS"], "reason": "relabelled", "by": "Alice"}
    wanted |= {"ttl": timedelta(hours=24)} | changes
    policy = read_policy(site.home.policy)
    return request_waiver(site.evidence(at), policy, "src", signer=signer, at=at, **wanted)


def confirm(site, request, signer, *, by="Bob", at=AT):
    evidence = site.evidence(at)
    return confirm_waiver(
        site.home, evidence, request, by=by, signer=signer, at=at, locator="waiver"
    )


def admit(site, at=AT):
    return admit_training(site.home, ["src"], at=at)["src"]


def append(site, envelope: bytes):
    evidence = site.evidence()
    evidence.append("src", evidence.latest_seal("src", at=AT).digest, [("waiver", envelope)])


def test_failed_batch_with_a_waiver_by_two_people_is_admitted(site, people):
    with pytest.raises(GateBlocked):
        admit(site)
    confirm(site, ask(site, people[0]), people[1])
    assert admit(site).issued.verdict.result.value == "FAILED"


def test_waiver_is_an_entry_of_the_ledger_over_the_same_bytes(site, people):
    request = ask(site, people[0])
    confirm(site, request, people[1])
    logged = dsse.Envelope.from_bytes(next(site.evidence().ledger.find("waiver")).envelope)
    assert logged.payload == dsse.Envelope.from_bytes(request).payload
    assert len(logged.signatures) == 2


def test_one_signature_is_no_waiver_even_in_the_ledger(site, people):
    append(site, ask(site, people[0]))
    with pytest.raises(GateBlocked):
        admit(site)


def test_one_signature_is_no_waiver_although_the_trust_policy_asks_for_one(site, people):
    append(site, ask(site, people[0]))
    _trust(site, [people[0].public_key])
    with pytest.raises(GateBlocked):
        admit(site)


@pytest.mark.parametrize("name", ["Alice", " alice ", "\uff21LICE"])
def test_same_person_name_cannot_confirm(site, people, name):
    with pytest.raises(ConfigError, match="their own waiver"):
        confirm(site, ask(site, people[0]), people[1], by=name)


def test_same_key_cannot_confirm(site, people):
    with pytest.raises(ConfigError, match="their own waiver"):
        confirm(site, ask(site, people[0]), people[0])


def test_person_whom_the_waiver_does_not_name_cannot_confirm(site, people):
    with pytest.raises(ConfigError, match="another person to confirm"):
        confirm(site, ask(site, people[0], second="Carol"), people[1])


@pytest.mark.parametrize("name", ["", "  ", "Anonymous", "none"])
def test_nobody_is_no_approver(site, people, name):
    with pytest.raises(ConfigError, match="person with a name"):
        ask(site, people[0], by=name)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 2001])
def test_waiver_without_a_reason_is_refused(site, people, reason):
    with pytest.raises(ConfigError, match="reason"):
        ask(site, people[0], reason=reason)


def test_gate_key_cannot_sign_a_waiver(site, people):
    with pytest.raises(UntrustedKey):
        ask(site, site.signer("gate"))
    with pytest.raises(UntrustedKey):
        confirm(site, ask(site, people[0]), site.signer("gate"))


def test_signal_that_the_policy_does_not_name_cannot_be_waived(site, people):
    with pytest.raises(ConfigError, match="nobody waive SCHEMA"):
        ask(site, people[0], signals=["SCHEMA"])


def test_signal_that_did_not_fail_cannot_be_waived(site, people):
    with pytest.raises(ConfigError, match="did not fail"):
        ask(site, people[0], signals=["LABEL_PRIOR"])


def test_policy_without_the_section_allows_no_waiver(site, people):
    request = ask(site, people[0])
    confirm(site, request, people[1])
    site.home.policy.write_text(DEFAULT_POLICY, encoding="utf-8")
    site.gate()
    with pytest.raises(GateBlocked):
        admit(site)
    with pytest.raises(ConfigError, match="no waivers"):
        ask(site, people[0])


def test_waiver_that_holds_too_long_is_refused(site, people):
    with pytest.raises(ConfigError, match="too long"):
        ask(site, people[0], ttl=timedelta(hours=73))


def test_expired_waiver_admits_nothing(site, people):
    confirm(site, ask(site, people[0]), people[1])
    assert admit(site, at=AT + timedelta(hours=23, minutes=59))
    with pytest.raises(GateBlocked):
        admit(site, at=AT + timedelta(hours=24))


def test_stale_request_cannot_be_confirmed_after_its_expiry(site, people):
    with pytest.raises(Expired):
        confirm(site, ask(site, people[0]), people[1], at=AT + timedelta(hours=25))


def test_waiver_from_a_clock_that_runs_ahead_lets_nothing_start_yet(site, people):
    ahead = AT + timedelta(minutes=10)
    request = ask(site, people[0], at=ahead)
    with pytest.raises(Expired, match="a clock is wrong"):
        confirm(site, request, people[1])
    confirm(site, request, people[1], at=ahead)
    with pytest.raises(GateBlocked, match=r"waivers that do not count: \[EXPIRED\]"):
        admit(site)
    assert admit(site, at=ahead)


def test_waiver_of_an_earlier_verdict_on_the_same_batch_is_stale(site, people):
    confirm(site, ask(site, people[0]), people[1])
    site.gate(at=AT + timedelta(hours=1))
    with pytest.raises(GateBlocked):
        admit(site, at=AT + timedelta(hours=1))


def test_waiver_of_another_batch_covers_nothing_when_replayed(site, people):
    request = ask(site, people[0])
    confirm(site, request, people[1])
    both = next(site.evidence().ledger.find("waiver")).envelope
    site.seal(write(flipped(rows(8), "c1"), site.root / "next"))
    site.gate()
    append(site, both)
    with pytest.raises(GateBlocked):
        admit(site)
    with pytest.raises(BadProof, match="no longer the newest"):
        confirm(site, request, people[1])


def test_edited_request_cannot_be_confirmed(site, people):
    envelope = dsse.Envelope.from_bytes(ask(site, people[0]))
    body = json.loads(envelope.payload)
    body["predicate"]["signals"] = ["LABEL_FLIPS", "LABEL_PRIOR"]
    edited = dsse.Envelope(
        envelope.payload_type, json.dumps(body).encode(), envelope.signatures
    ).to_bytes()
    with pytest.raises(BadSignature):
        confirm(site, edited, people[1])


def test_revoked_waiver_admits_nothing(site, people):
    confirm(site, ask(site, people[0]), people[1])
    revoke_waivers(site.evidence(), "src", reason="mistake", by="Bob", signer=people[1], at=AT)
    with pytest.raises(GateBlocked):
        admit(site)


def test_revoked_key_takes_its_waivers_along(site, people):
    confirm(site, ask(site, people[0]), people[1])
    _trust(site, [people[0].public_key, generate(Algorithm.ED25519).public_key])
    with pytest.raises(GateBlocked):
        admit(site)


def test_two_keys_of_one_registered_person_are_one_approver(site, people):
    keys = ", ".join(signer.public_key.key_id for signer in people)
    section = SECTION.rstrip("}\n") + f", persons: {{Alice: [{keys}]}}}}\n"
    site.home.policy.write_text(DEFAULT_POLICY + section, encoding="utf-8")
    site.gate(at=AT)
    with pytest.raises(UntrustedKey, match="too few people"):
        confirm(site, ask(site, people[0]), people[1])


def test_commands_waive_as_two_people(site, people, tmp_path, capsys):
    keys = [
        write_key_pair(signer, tmp_path / name)[0]
        for signer, name in zip(people, "ab", strict=True)
    ]
    home = ["--home", str(site.home.root)]
    out = tmp_path / "waiver.json"
    ask_ = ["waive", "src", "--signal", "LABEL_FLIPS", "--reason", "on purpose", "--hours", "1"]
    assert cli.main([*ask_, "--key", str(keys[0]), "--out", str(out), "--by", "A", *home]) == 0
    assert cli.main([*ask_, "--key", str(keys[0]), "--out", str(out), "--by", "A", *home]) == 64
    again = ["waive", "--confirm", str(out), *home, "--json"]
    assert cli.main([*again, "--key", str(keys[1]), "--by", "a"]) == 64
    capsys.readouterr()
    assert cli.main([*again, "--key", str(keys[1]), "--by", "B"]) == 0
    assert json.loads(capsys.readouterr().out)["signals"] == ["LABEL_FLIPS"]


@pytest.mark.parametrize("text", [b"", b"{}", b"not json"])
def test_file_that_is_no_waiver_is_refused(site, people, text):
    with pytest.raises(SluicegateError):
        confirm(site, text, people[1])
