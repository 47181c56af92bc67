"""What speaks against a batch travels with it: an export tells, and a verifier judges it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.workflow.admission.test_standing import (
    add_key,
    judge_again,
    promote,
    set_keys,
    with_validity,
)
from tests.unit.workflow.conftest import AT, RUN, judge_clean, rows, write
from tests.unit.workflow.response.test_quarantine import aside, back, release

from sluicegate.adapters.ledgers.tile_files import export_tiles, tile_place
from sluicegate.attest import dsse
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role, TrustedKey
from sluicegate.cli.main import main
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import EvidenceMissing, Rollback
from sluicegate.gate.custody import Custody, CustodyChange
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.folder import ENVELOPES_FILE, PROOFS_DIRECTORY
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.exporting.export import Extras, export_run, find_batch
from sluicegate.workflow.verification.report import Demands
from sluicegate.workflow.verification.verify import verify_folder

OLD = Path(__file__).parents[3] / "compat" / "export-before-custody"


def minutes(n: float) -> datetime:
    return AT + timedelta(minutes=n)


def export(site, name="out", digest=""):
    evidence = site.evidence()
    batch = find_batch(evidence, at=minutes(20), source="src", digest=digest and str(digest))
    everything = Extras(controls=True, mlbom=True)
    export_run(evidence, batch, site.root / name, at=minutes(20), extras=everything)
    return site.root / name


def verify(site, folder, **demands):
    trust = read_trust(site.home.trust)
    return verify_folder(folder, trust, at=minutes(20), demands=Demands(ledger=True, **demands))


def found(report, check: str):
    (finding,) = [finding for finding in report.findings if finding.check == check]
    return finding


def details(report) -> list[str]:
    return [finding.found.detail for finding in report.findings]


@pytest.fixture
def judged(site):
    site.once(judge_clean)
    return site


@pytest.fixture
def quarantined(judged):
    batch = judged.evidence().latest_seal("src", at=AT)
    aside(judged, batch, at=minutes(1))
    return judged


def rewrite(folder, change) -> None:
    path = folder / ENVELOPES_FILE
    lines = change(path.read_bytes().splitlines())
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def judge_with(site, signer, digest) -> None:
    """Sign the newest test result and verdict on a batch again, with another key."""
    evidence = site.evidence()
    details, verdict = (
        next(evidence.ledger.find(kind, "src", digest)) for kind in ("test-result", "verdict")
    )
    own = dsse.sign(dsse.Envelope.from_bytes(details.envelope).payload, signer).to_bytes()
    payload = dsse.Envelope.from_bytes(verdict.envelope).payload
    payload = payload.replace(details.entry.envelope.encode(), str(sha256_bytes(own)).encode())
    signed = dsse.sign(payload, signer).to_bytes()
    evidence.append("src", digest, [("test-result", own), ("verdict", signed)])


def is_custody(line: bytes) -> bool:
    return b"sluicegateCustody" in dsse.Envelope.from_bytes(line).payload


def test_export_of_a_quarantined_batch_is_not_valid_and_says_so(quarantined, capsys):
    folder = export(quarantined)
    report = verify(quarantined, folder)
    assert report.exit_code == 1
    assert (report.gravest.code, report.gravest.own_exit_code) == ("QUARANTINED", 32)
    assert found(report, "custody").code == "QUARANTINED"
    arguments = ["verify", str(folder), "--trust", str(quarantined.home.trust)]
    at = ["--at", format_timestamp(minutes(20))]
    assert main([*arguments, *at]) == 1
    assert "in quarantine" in capsys.readouterr().out
    assert main([*arguments, *at, "--exit-by-code", "--json"]) == 32
    assert json.loads(capsys.readouterr().out)["code"] == "QUARANTINED"


def test_control_report_of_a_batch_set_aside_unjudged_claims_no_verdict(site):
    aside(site, site.seal(site.clean), at=minutes(1))
    folder = export(site)
    controls = (folder / "controls.json").read_text(encoding="utf-8")
    assert '"verdict"' not in json.dumps(
        [
            control["artefacts"]
            for framework in json.loads(controls)["frameworks"]
            for control in framework["controls"]
            if control["status"] == "evidence"
        ]
    )


def test_released_batch_is_valid_and_the_release_is_told(quarantined):
    release(quarantined, at=minutes(2))
    report = verify(quarantined, export(quarantined))
    assert report.exit_code == 0, details(report)
    assert "released" in found(report, "custody").found.detail
    assert any(detail.startswith("quarantine: odd") for detail in details(report))


def test_second_quarantine_outlives_the_first_release(quarantined):
    release(quarantined, at=minutes(2))
    batch = quarantined.evidence().latest_seal("src", at=minutes(3))
    aside(quarantined, batch, at=minutes(3))
    assert found(verify(quarantined, export(quarantined)), "custody").code == "QUARANTINED"


@pytest.mark.parametrize("fault", ["role", "answers", "revoked"])
def test_release_that_does_not_hold_releases_nothing(quarantined, fault):
    evidence = quarantined.evidence()
    batch = evidence.latest_seal("src", at=AT)
    held = next(evidence.ledger.find("quarantine")).entry.envelope
    change = CustodyChange(
        state=Custody.RELEASED,
        subjects=batch.subjects,
        reasons=("please",),
        answers="sha256:" + "0" * 64 if fault == "answers" else held,
        run=RUN,
        at=minutes(2),
    )
    signer = quarantined.signer("source" if fault == "role" else "gate")
    if fault == "revoked":
        signer = add_key(quarantined, Role.GATE)
        key = TrustedKey(signer.public_key, revoked_at=minutes(3))
        set_keys(quarantined, lambda t: {**t.keys, signer.public_key.key_id: key})
    forged = dsse.sign(change.to_statement().to_bytes(), signer).to_bytes()
    evidence.append("src", batch.digest, [("release", forged)])
    assert found(verify(quarantined, export(quarantined)), "custody").code == "QUARANTINED"


def test_quarantine_that_nobody_may_sign_holds_its_batch_all_the_same(judged):
    evidence = judged.evidence()
    batch = evidence.latest_seal("src", at=AT)
    change = CustodyChange(
        state=Custody.QUARANTINED,
        subjects=batch.subjects,
        reasons=("doubt",),
        answers="",
        run=RUN,
        at=AT,
    )
    envelope = dsse.sign(change.to_statement().to_bytes(), judged.signer("source")).to_bytes()
    evidence.append("src", batch.digest, [("quarantine", envelope)])
    assert found(verify(judged, export(judged)), "custody").code == "QUARANTINED"


@pytest.mark.parametrize("part", ["proofs", "order", "both"])
def test_neither_order_nor_missing_proofs_make_a_quarantined_batch_valid(quarantined, part):
    release(quarantined, at=minutes(2))
    batch = quarantined.evidence().latest_seal("src", at=minutes(3))
    aside(quarantined, batch, at=minutes(3))
    folder = export(quarantined)
    if part != "proofs":
        rewrite(folder, reversed)
    if part != "order":
        for proof in (folder / PROOFS_DIRECTORY).iterdir():
            proof.unlink()
    assert found(verify(quarantined, folder), "custody").code == "QUARANTINED"


def test_newer_failed_verdict_decides_and_the_older_one_is_shown(judged):
    batch = judged.evidence().latest_seal("src", at=AT)
    judge_again(judged, batch.digest, Status.FAILED, minutes(1))
    report = verify(judged, export(judged))
    assert (report.exit_code, report.gravest.code) == (1, "GATE_BLOCKED")
    assert any(detail.startswith("superseded: PASSED") for detail in details(report))


def test_older_failed_verdict_is_shown_and_does_not_block(judged):
    batch = judged.evidence().latest_seal("src", at=AT)
    judge_again(judged, batch.digest, Status.FAILED, minutes(1))
    judge_again(judged, batch.digest, Status.PASSED, minutes(2))
    folder = export(judged)
    report = verify(judged, folder)
    assert report.exit_code == 0, details(report)
    assert any(detail.startswith("superseded: FAILED") for detail in details(report))
    for proof in (folder / PROOFS_DIRECTORY).iterdir():
        proof.unlink()  # now nothing says which one is newer
    assert "GATE_BLOCKED" in {finding.code for finding in verify(judged, folder).findings}


def test_verdict_of_a_key_revoked_since_is_superseded_by_a_new_one(judged):
    signer = add_key(judged, Role.GATE)
    (old, _) = read_trust(judged.home.trust).roles[Role.GATE].key_ids
    batch = judged.evidence().latest_seal("src", at=AT)
    key = TrustedKey(judged.signer("gate").public_key, revoked_at=minutes(1))
    set_keys(judged, lambda trust: {**trust.keys, old: key})
    assert verify(judged, export(judged, "before")).gravest.code == "UNTRUSTED_KEY"
    judge_with(judged, signer, batch.digest)
    report = verify(judged, export(judged, "after"))
    assert report.exit_code == 0, details(report)
    assert any("superseded" in text and "revoked" in text for text in details(report))


def test_key_revoked_after_the_moment_in_question_is_named(judged):
    folder = export(judged)
    with_validity(judged, Role.BASELINE, revoked_at=minutes(30))
    report = verify(judged, folder)
    assert report.exit_code == 0
    assert any("revoked since" in detail for detail in details(report))


def test_promotions_and_rollbacks_of_a_batch_are_told(judged):
    batch = judged.evidence().latest_seal("src", at=AT)
    promote(judged, batch, at=minutes(1))
    judged.seal(judged.poisoned, at=minutes(2))
    back(judged, to=batch.digest, at=minutes(3))
    report = verify(judged, export(judged))
    assert report.exit_code == 0, details(report)
    said = details(report)
    assert any(
        detail.startswith("promotion of a rolling baseline of this batch") for detail in said
    )
    assert any("rollback from version 2 to version 1" in detail for detail in said)
    assert any(detail.startswith("superseded: provenance") for detail in said)


def test_batch_judged_beside_a_rolling_baseline_carries_both(judged):
    promote(judged, judged.evidence().latest_seal("src", at=AT), at=minutes(1))
    judged.seal(write(rows(8), judged.root / "new"), at=minutes(2))
    judged.gate(at=minutes(2))
    report = verify(judged, export(judged))
    assert report.exit_code == 0, details(report)
    assert sum(detail.startswith("baseline of src") for detail in details(report)) == 2


def test_folder_of_the_version_before_verifies_as_it_did_and_its_custody_is_unknown():
    trust = read_trust(OLD / "trust.json")
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    report = verify_folder(OLD, trust, at=at, demands=Demands(ledger=True))
    assert report.exit_code == 0
    assert found(report, "custody").found.detail.startswith("unknown")


def test_copy_of_the_log_shows_what_was_left_out(quarantined, capsys):
    folder, tiles = export(quarantined), quarantined.root / "tiles"
    export_tiles(quarantined.evidence().ledger, tile_place(tiles))
    whole = verify(quarantined, folder, log=str(tiles))
    assert found(whole, "log").code == "OK"
    rewrite(folder, lambda lines: [line for line in lines if not is_custody(line)])
    assert verify(quarantined, folder).exit_code == 0
    report = verify(quarantined, folder, log=str(tiles))
    assert found(report, "log").error.outcome.value == 1
    assert "quarantine" in found(report, "log").found.detail
    arguments = ["verify", str(folder), "--trust", str(quarantined.home.trust)]
    assert main([*arguments, "--at", format_timestamp(minutes(20)), "--log", str(tiles)]) == 1
    assert "quarantine" in capsys.readouterr().out


def test_copy_of_the_log_that_is_older_or_missing_proves_nothing(quarantined):
    tiles = quarantined.root / "tiles"
    export_tiles(quarantined.evidence().ledger, tile_place(tiles))
    release(quarantined, at=minutes(2))
    folder = export(quarantined)
    assert isinstance(found(verify(quarantined, folder, log=str(tiles)), "log").error, Rollback)
    nowhere = str(quarantined.root / "nowhere")
    assert isinstance(found(verify(quarantined, folder, log=nowhere), "log").error, EvidenceMissing)
