"""A batch in quarantine is not trained on until the gate let it back; rollback is on purpose."""

from __future__ import annotations

import json
import stat
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, RUN, rows, write

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.predicates import provenance_from_statement
from sluicegate.attest.statement import Statement
from sluicegate.cli import main as cli
from sluicegate.errors import DigestMismatch, EvidenceMissing, GateBlocked, UnreadableData
from sluicegate.gate.custody import Custody, CustodyChange
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.auditing.history import last_trusted, roll_back, versions
from sluicegate.workflow.judging.gate import GateSigners
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.response.quarantine import quarantine_batch, release_batch, seal_remainder


def aside(site, batch, at=AT):
    signer = site.signer("gate")
    return quarantine_batch(
        site.home, site.evidence(at), batch, reason="odd", signer=signer, run=RUN, at=at
    )


def release(site, digest=None, at=AT):
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    return release_batch(
        site.home,
        "src",
        digest,
        reason="",
        signers=signers,
        runner=evaluate_directly,
        run=RUN,
        at=at,
    )


def back(site, to=None, at=AT):
    return roll_back(
        site.evidence(at),
        read_policy(site.home.policy),
        "src",
        to=to,
        signer=site.signer("source"),
        run=RUN,
        at=at,
    )


def admit(site, at=AT):
    return admit_training(site.home, ["src"], at=at)["src"]


def test_quarantined_batch_is_not_admitted_although_it_passed(site):
    batch = site.seal(site.clean)
    site.gate()
    aside(site, batch)
    with pytest.raises(GateBlocked, match="in quarantine"):
        admit(site)


def test_new_verdict_alone_does_not_end_a_quarantine(site):
    aside(site, site.seal(site.clean))
    site.gate()
    with pytest.raises(GateBlocked, match="in quarantine"):
        admit(site)


def test_release_judges_the_same_bytes_and_ends_the_quarantine(site):
    batch = site.seal(site.clean)
    aside(site, batch)
    assert release(site).verdict.digest == batch.digest
    assert admit(site).batch.digest == batch.digest


def test_batch_that_fails_again_stays_in_quarantine(site):
    aside(site, site.seal(site.poisoned))
    with pytest.raises(GateBlocked, match="LABEL_FLIPS"):
        release(site)
    with pytest.raises(GateBlocked, match="in quarantine"):
        admit(site)


def test_second_quarantine_outlives_the_first_release(site):
    batch = site.seal(site.clean)
    aside(site, batch)
    release(site)
    aside(site, batch, at=AT + timedelta(minutes=1))
    with pytest.raises(GateBlocked, match="in quarantine"):
        admit(site, at=AT + timedelta(minutes=1))


@pytest.mark.parametrize("role", ["gate", "source"])
def test_release_that_is_forged_or_answers_another_quarantine_releases_nothing(site, role):
    batch = site.seal(site.clean)
    site.gate()
    aside(site, batch)
    held = next(site.evidence().ledger.find("quarantine")).entry.envelope
    change = CustodyChange(
        state=Custody.RELEASED,
        subjects=batch.subjects,
        reasons=("please",),
        answers=held if role == "source" else "sha256:" + "0" * 64,
        run=RUN,
        at=AT,
    )
    forged = dsse.sign(change.to_statement().to_bytes(), site.signer(role)).to_bytes()
    site.evidence().append("src", batch.digest, [("release", forged)])
    with pytest.raises(GateBlocked, match="in quarantine"):
        admit(site)


def test_release_of_what_is_not_in_quarantine_is_refused(site):
    site.seal(site.clean)
    with pytest.raises(EvidenceMissing, match="not in quarantine"):
        release(site)


def test_bytes_seal_and_reasons_are_kept_for_the_owner_only(site):
    kept = aside(site, site.seal(site.clean))
    copied = kept / "data" / "part.parquet"
    assert copied.read_bytes() == (site.clean / "part.parquet").read_bytes()
    assert stat.S_IMODE(copied.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert (kept / "evidence" / "seal.sigstore.json").exists()
    assert json.loads((kept / "reasons.json").read_text())["reasons"] == ["odd"]


def test_bytes_that_changed_are_not_kept_and_the_batch_is_blocked(site):
    batch = site.seal(site.clean)
    site.gate()
    write(rows(9), site.clean)
    with pytest.raises(DigestMismatch):
        aside(site, batch)
    with pytest.raises(GateBlocked, match="in quarantine"):
        admit(site)
    assert list((site.home.root / "quarantine").iterdir()) == []


def report(site, flags):
    path = site.root / "rows.parquet"
    pq.write_table(pa.table({"flagged": pa.array(flags, pa.bool_())}), path)
    return path


def remainder(site, batch, flags):
    return seal_remainder(
        site.evidence(),
        batch,
        report(site, flags),
        site.root / "rest",
        signer=site.signer("source"),
        run=RUN,
        at=AT,
    )


def test_clean_rows_become_a_batch_that_names_its_origin_and_passes(site):
    batch = site.seal(site.poisoned)
    site.gate()
    table = pq.read_table(site.poisoned / "part.parquet")
    flags = [who == "c1" for who in table["who"].to_pylist()]
    rest, n_out = remainder(site, batch, flags)
    assert n_out == sum(flags)
    assert pq.read_table(site.root / "rest").num_rows == len(flags) - n_out
    record = next(site.evidence().ledger.find("provenance", "src"))
    said = Statement.from_bytes(dsse.Envelope.from_bytes(record.envelope).payload)
    assert provenance_from_statement(said, locator="x").inputs == batch.subjects
    assert site.evidence().latest_seal("src", at=AT).digest == rest.digest


@pytest.mark.parametrize("flags", [[True], [False] * 3000, [True] * 3000, [None] * 3000])
def test_row_report_that_does_not_fit_is_refused(site, flags):
    batch = site.seal(site.clean)
    with pytest.raises(UnreadableData, match="row report"):
        remainder(site, batch, flags)


def test_rollback_makes_the_last_trusted_batch_the_newest_and_says_so(site):
    good = site.seal(site.clean)
    site.gate()
    site.seal(site.poisoned)
    site.gate()
    policy = read_policy(site.home.policy)
    assert last_trusted(site.evidence(), policy, "src", at=AT).digest == good.digest
    again = back(site, at=AT + timedelta(minutes=1))
    assert (again.digest, again.version) == (good.digest, 3)
    assert admit(site, at=AT + timedelta(minutes=1)).batch.digest == good.digest
    newest = next(versions(site.evidence(), "src", at=AT))
    assert newest.run["rollback"] == "from version 2 to version 1"


def test_quarantined_batch_is_never_rolled_back_to(site):
    good = site.seal(site.clean)
    site.gate()
    aside(site, good)
    site.seal(site.poisoned)
    with pytest.raises(EvidenceMissing, match="ever trusted"):
        back(site)
    with pytest.raises(GateBlocked, match="in quarantine"):
        back(site, to=good.digest)


def test_failed_batch_is_never_rolled_back_to(site):
    bad = site.seal(site.poisoned)
    site.gate()
    site.seal(site.clean)
    with pytest.raises(GateBlocked, match="did not pass"):
        back(site, to=bad.digest)


def test_rollback_to_bytes_that_changed_is_refused(site):
    site.seal(site.clean)
    site.gate()
    site.seal(site.poisoned)
    write(rows(9), site.clean)
    with pytest.raises(DigestMismatch, match="not what was sealed"):
        back(site)


def test_commands_set_aside_roll_back_and_tell(site, capsys):
    home = ["--home", str(site.home.root)]
    for path in (site.clean, site.poisoned):
        cli.main(["gate", "src", "--seal", str(path), *home])
    assert cli.main(["quarantine", "src", *home]) == 0
    assert cli.main(["release", "src", *home]) == 1
    assert cli.main(["rollback", "src", *home]) == 0
    capsys.readouterr()
    assert cli.main(["history", "src", "--file", "part.parquet", "--json", *home]) == 0
    found = json.loads(capsys.readouterr().out)["versions"]
    assert [item["quarantined"] for item in found] == [False, True, False]
    assert cli.main(["history", "src", "--contributor", "c1", "--json", *home]) == 0
    assert len(json.loads(capsys.readouterr().out)["versions"]) == 1
