"""Offline, a FAILED batch is valid only with what two people signed for exactly its verdict."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT
from tests.unit.workflow.response.test_waiver import (  # noqa: F401 - people is a fixture
    SECTION,
    _trust,
    append,
    ask,
    confirm,
    people,
)

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.predicates import TEST_RESULT
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import CLOCK_SKEW
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.evidence.folder import WAIVERS_FILE, export_folder
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.exporting.export import Extras, export_run, find_batch
from sluicegate.workflow.response.waiver import revoke_waivers
from sluicegate.workflow.verification.report import Demands
from sluicegate.workflow.verification.verify import verify_folder


@pytest.fixture
def waived(site, people):  # noqa: F811 - the fixture
    confirm(site, ask(site, people[0]), people[1])
    return site


def export(site, name="out"):
    evidence = site.evidence()
    batch = find_batch(evidence, at=AT, source="src")
    export_run(evidence, batch, site.root / name, at=AT, extras=Extras())
    return site.root / name


def verify(site, out=None, *, at=AT, demands=None):
    trust = read_trust(site.home.trust)
    return verify_folder(out or export(site), trust, at=at, demands=demands or Demands(ledger=True))


def codes(site, out=None, **options) -> list[str]:
    return [f.code for f in verify(site, out, **options).findings if f.error]


def _type(line) -> str:
    return Statement.from_bytes(dsse.Envelope.from_bytes(line).payload).predicate_type


def rewrite(out, change) -> None:
    lines = (out / WAIVERS_FILE).read_bytes().splitlines()
    (out / WAIVERS_FILE).write_bytes(b"".join(line + b"\n" for line in change(lines)))


def test_waived_batch_is_valid_and_says_by_whom(waived):
    report = verify(waived)
    assert report.exit_code == 0
    (said,) = [f.found.detail for f in report.findings if "waived until" in f.found.detail]
    assert "FAILED under policy" in said
    assert "Alice" in said
    assert said.endswith("LABEL_FLIPS")


def test_ledger_export_holds_the_waivers_too(waived):
    evidence = waived.evidence()
    export_folder(evidence, find_batch(evidence, at=AT, source="src"), waived.root / "plain")
    assert codes(waived, waived.root / "plain") == []


def test_without_its_waiver_the_batch_is_failed(waived):
    out = export(waived)
    (out / WAIVERS_FILE).unlink()
    assert codes(waived, out) == ["GATE_BLOCKED"]


def test_one_person_is_no_waiver(site, people):  # noqa: F811 - the fixture
    append(site, ask(site, people[0]))
    assert codes(site) == ["GATE_BLOCKED"]


def test_one_person_is_no_waiver_although_the_trust_policy_asks_for_one(site, people):  # noqa: F811
    append(site, ask(site, people[0]))
    _trust(site, [people[0].public_key])
    assert codes(site) == ["GATE_BLOCKED"]


def test_waiver_counts_at_the_moment_of_the_decision_only(waived):
    out = export(waived)
    # The verdict holds for 24 hours too, so its own expiry is the second reason.
    assert codes(waived, out, at=AT + timedelta(hours=23)) == []
    assert codes(waived, out, at=AT + timedelta(hours=25)) == ["GATE_BLOCKED"]
    assert codes(waived, out, at=AT - CLOCK_SKEW - timedelta(seconds=1)) == ["GATE_BLOCKED"]


def test_signal_that_nobody_may_waive_blocks(site, people):  # noqa: F811 - the fixture
    request = ask(site, people[0])
    confirm(site, request, people[1])
    text = DEFAULT_POLICY + SECTION.replace("LABEL_FLIPS, ", "")
    site.home.policy.write_text(text, encoding="utf-8")
    site.gate(at=AT + timedelta(minutes=1))
    assert codes(site, at=AT + timedelta(minutes=2)) == ["GATE_BLOCKED"]


def test_waiver_of_an_earlier_verdict_covers_nothing(waived):
    waived.gate(at=AT + timedelta(minutes=1))
    assert codes(waived, at=AT + timedelta(minutes=2)) == ["GATE_BLOCKED"]


def test_revoked_waiver_covers_nothing_wherever_its_line_stands(waived, people):  # noqa: F811
    revoke_waivers(waived.evidence(), "src", reason="wrong", by="Bob", signer=people[1], at=AT)
    out = export(waived)
    assert codes(waived, out) == ["GATE_BLOCKED"]
    rewrite(out, lambda lines: lines[::-1])
    assert codes(waived, out) == ["GATE_BLOCKED"]
    assert codes(waived, out, demands=Demands()) == ["GATE_BLOCKED"]


def test_revocation_without_its_proof_still_revokes(waived, people):  # noqa: F811 - the fixture
    out = export(waived)
    revoke_waivers(waived.evidence(), "src", reason="wrong", by="Bob", signer=people[1], at=AT)
    (*_, line) = (export(waived, "later") / WAIVERS_FILE).read_bytes().splitlines()
    rewrite(out, lambda lines: [line, *lines])
    assert codes(waived, out) == ["GATE_BLOCKED", "EVIDENCE_MISSING"]


def test_new_waiver_after_a_revocation_counts(waived, people):  # noqa: F811 - the fixture
    revoke_waivers(waived.evidence(), "src", reason="wrong", by="Bob", signer=people[1], at=AT)
    confirm(waived, ask(waived, people[0], reason="looked again"), people[1])
    assert codes(waived) == []


def test_edited_waiver_covers_nothing(waived):
    out = export(waived)

    def edit(lines):
        envelope = dsse.Envelope.from_bytes(lines[0], locator="test")
        payload = envelope.payload.replace(b"relabelled", b"reconciled")
        return [replace(envelope, payload=payload).to_bytes()]

    rewrite(out, edit)
    assert codes(waived, out) == ["GATE_BLOCKED", "EVIDENCE_MISSING"]


def test_waiver_that_was_never_logged_is_not_enough_with_a_ledger(waived):
    out = export(waived)
    for line in (out / WAIVERS_FILE).read_bytes().splitlines():
        (out / "proofs" / f"{sha256_bytes(line).hex}.tlog-proof").unlink()
    assert codes(waived, out) == ["EVIDENCE_MISSING"]


def test_keys_that_are_not_the_role_s_cover_nothing(waived):
    _trust(waived, [generate(Algorithm.ED25519).public_key for _ in range(2)])
    assert codes(waived) == ["GATE_BLOCKED"]


def test_policy_that_is_not_in_the_folder_cannot_be_judged(waived):
    out = export(waived)
    lines = (out / "evidence.intoto.jsonl").read_bytes().splitlines()
    kept = [line for line in lines if _type(line) != TEST_RESULT]
    assert len(kept) == len(lines) - 1
    (out / "evidence.intoto.jsonl").write_bytes(b"".join(line + b"\n" for line in kept))
    assert codes(waived, out, demands=Demands()) == ["EVIDENCE_MISSING"]


def test_policy_that_cannot_be_read_here_is_not_judged(waived, monkeypatch):
    out = export(waived)
    monkeypatch.setitem(sys.modules, "sluicegate.adapters.policy_file", None)
    report = verify(waived, out)
    assert report.exit_code == 2
    assert any("pyyaml" in f.found.detail for f in report.findings)


def test_waivers_beside_a_passed_verdict_change_nothing(site, people):  # noqa: F811
    confirm(site, ask(site, people[0]), people[1])
    waivers = (export(site) / WAIVERS_FILE).read_bytes()
    site.seal(site.clean)
    site.gate()
    out = export(site, "clean")
    (out / WAIVERS_FILE).write_bytes(waivers)
    assert codes(site, out, demands=Demands(ledger=False)) == ["EVIDENCE_MISSING"]
