"""Only batches that passed stand behind a promoted baseline, and the ledger says which judges."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, rows, write

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.cli.main import main
from sluicegate.errors import (
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    Expired,
    GateBlocked,
    Rollback,
    UntrustedKey,
)
from sluicegate.gate.promotion import Lane
from sluicegate.ledger.entry import Kind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.auditing.audit import audit
from sluicegate.workflow.baselines.in_force import baselines_in_force
from sluicegate.workflow.baselines.inputs import passed_batches
from sluicegate.workflow.baselines.promotion import confirm, propose
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.response.quarantine import quarantine_batch

ROLES = BatchSchema.from_mapping(SCHEMA, locator="schema")


def later(minutes: int):
    return AT + timedelta(minutes=minutes)


@pytest.fixture
def judged(site):
    """One batch that passed, and a newer one that nobody judged."""
    return site.once(_judge)


def _judge(site):
    site.seal(site.clean)
    issued, batch = site.gate()
    assert issued.verdict.result is Status.PASSED
    return batch.digest


def promote(site, *digests, lane=Lane.ROLLING, at=None, signer=None, ttl=timedelta(days=30)):
    return propose(
        site.home,
        site.evidence(),
        "src",
        lane=lane,
        digests=digests,
        schema=ROLES,
        signer=signer or site.signer("baseline"),
        run=RUN,
        at=at or later(1),
        ttl=ttl,
    )


def gate_new(site, minutes: int, seed: int = 8):
    site.seal(write(rows(seed), site.root / f"new{seed}"), at=later(minutes))
    return site.gate(at=later(minutes))[0].verdict


def codes(site, minutes: int = 60) -> set[str]:
    return set(audit(site.evidence(), at=later(minutes)).counts)


def test_promoted_baseline_judges_beside_the_anchored_one(site, judged):
    done = promote(site, judged)
    verdict = gate_new(site, 2)
    assert done.index is not None
    assert verdict.rolling == done.promotion.baseline != verdict.baseline
    assert verdict.result is Status.PASSED
    assert codes(site) == set()


def test_rolling_baseline_alone_can_block(site, judged):
    promote(site, judged)
    site.seal(site.poisoned, at=later(2))
    verdict = site.gate(at=later(2))[0].verdict
    assert verdict.result is Status.FAILED
    assert any(reason.message.startswith("rolling baseline: ") for reason in verdict.reasons)


def test_batch_is_never_judged_by_the_rolling_baseline_it_belongs_to(site, judged):
    promote(site, judged)
    with pytest.raises(ConfigError, match="part of the rolling baseline"):
        site.gate(at=later(2))


def test_batch_that_failed_never_enters_a_baseline(site, judged):
    site.seal(site.poisoned)
    _, bad = site.gate()
    with pytest.raises(GateBlocked, match="only a batch that passed"):
        promote(site, judged, bad.digest)
    assert not list(site.evidence().ledger.find(Kind.PROMOTION))


def test_batch_that_nobody_judged_never_enters_a_baseline(site, judged):
    fresh = site.seal(write(rows(9), site.root / "fresh"))
    with pytest.raises(EvidenceMissing, match="never judged"):
        promote(site, fresh.digest)


@pytest.mark.parametrize("digests", ["none", "twice"])
def test_baseline_of_no_batch_or_of_one_twice_is_refused(site, judged, digests):
    with pytest.raises(ConfigError, match="each once"):
        promote(site, *([] if digests == "none" else [judged, judged]))


def test_batch_quarantined_later_takes_its_baseline_out_of_force(site, judged):
    promote(site, judged)
    evidence = site.evidence()
    batch = evidence.seal_of("src", judged, at=later(2))
    quarantine_batch(
        site.home, evidence, batch, reason="bad", signer=site.signer("gate"), run=RUN, at=later(2)
    )
    site.seal(write(rows(8), site.root / "new"), at=later(3))
    with pytest.raises(GateBlocked, match="quarantine"):
        site.gate(at=later(3))


def test_gate_key_promotes_nothing(site, judged):
    with pytest.raises(UntrustedKey):
        promote(site, judged, signer=site.signer("gate"))


def test_expired_promotion_judges_nothing(site, judged):
    promote(site, judged, ttl=timedelta(hours=1))
    site.seal(write(rows(8), site.root / "new"), at=later(62))
    with pytest.raises(Expired, match="rolling"):
        site.gate(at=later(62))


def test_newest_promotion_counts_and_no_file_can_change_that(site, judged):
    first = promote(site, judged)
    second = promote(site, judged, at=later(2))
    folder = site.home.baseline_dir("src") / "promoted"
    in_force = baselines_in_force(site.home, site.evidence(), "src", at=later(3))
    assert in_force[Lane.ROLLING].baseline.digest == second.promotion.baseline
    old, new = (folder / f"{done.promotion.baseline.hex}.json" for done in (first, second))
    shutil.copy(old, new)
    with pytest.raises(DigestMismatch, match="promoted"):
        baselines_in_force(site.home, site.evidence(), "src", at=later(3))
    new.unlink()
    with pytest.raises(EvidenceMissing):
        baselines_in_force(site.home, site.evidence(), "src", at=later(3))


def test_promoted_anchored_baseline_replaces_the_one_in_the_directory(site, judged):
    done = promote(site, judged, lane=Lane.ANCHORED)
    assert gate_new(site, 2).baseline == done.promotion.baseline
    assert codes(site) == set()


def test_older_baseline_put_back_without_promotion_is_a_rollback(site):
    directory = site.home.baseline_dir("src")
    kept = site.root / "kept"
    shutil.copytree(directory, kept)
    write_baseline(
        [site.root / "trusted"],
        ROLES,
        out=directory,
        at=later(1),
        source="src",
        signer=site.signer("baseline"),
    )
    site.seal(site.clean, at=later(2))
    site.gate(at=later(2))
    shutil.copytree(kept, directory, dirs_exist_ok=True)
    with pytest.raises(Rollback, match="later baseline"):
        gate_new(site, 3)


def two_people(site):
    second = generate(Algorithm.ED25519)
    keys = {
        role: [site.signer(role.value).public_key] for role in (Role.SOURCE, Role.GATE, Role.LEDGER)
    }
    keys[Role.BASELINE] = [site.signer("baseline").public_key, second.public_key]
    trust = trust_policy(
        keys, version=2, expires=AT + timedelta(days=365), thresholds={Role.BASELINE: 2}
    )
    site.home.trust.write_bytes(trust.to_bytes())
    return second


@pytest.fixture
def proposed(site, judged):
    """A proposal that still lacks the second person's signature."""
    second = two_people(site)
    # The first baseline was signed by one person; under the new rule it needs a promotion too.
    done = promote(site, judged, lane=Lane.ANCHORED)
    assert (done.index, done.n_signatures) == (None, 1)
    return second


def second_signs(site, signer, at=None):
    return confirm(
        site.home, site.evidence(), "src", lane=Lane.ANCHORED, signer=signer, at=at or later(2)
    )


def test_promotion_counts_only_with_the_threshold_of_signatures(site, proposed):
    assert not list(site.evidence().ledger.find(Kind.PROMOTION))
    done = second_signs(site, proposed)
    assert done.index is not None
    assert gate_new(site, 3).baseline == done.promotion.baseline


def test_nobody_confirms_their_own_promotion(site, proposed):
    with pytest.raises(ConfigError, match="their own"):
        second_signs(site, site.signer("baseline"))


def test_confirmation_builds_again_and_refuses_another_baseline(site, proposed, judged):
    path = site.home.baseline_dir("src") / "pending-anchored.intoto.json"
    envelope = dsse.Envelope.from_bytes(path.read_bytes())
    body = json.loads(envelope.payload)
    other = write_baseline([site.root / "poisoned"], ROLES, out=site.root / "other", at=later(1))
    folder = site.home.baseline_dir("src") / "promoted"
    (folder / f"{other.digest.hex}.json").write_bytes(other.to_bytes())
    body["subject"][0]["digest"]["sha256"] = other.digest.hex
    forged = dsse.sign(
        json.dumps(body, sort_keys=True, separators=(",", ":")).encode(), site.signer("baseline")
    )
    path.write_bytes(forged.to_bytes())
    with pytest.raises(DigestMismatch, match="another baseline"):
        second_signs(site, proposed)


def test_stale_proposal_is_not_confirmed(site, proposed):
    with pytest.raises(Expired, match="too old"):
        second_signs(site, proposed, at=later(7 * 60))


def test_audit_finds_a_promotion_of_batches_that_never_passed(site, judged):
    done = promote(site, judged)
    evidence = site.evidence()
    forged = replace(done.promotion, inputs=(site.seal(site.poisoned).digest,), created=later(2))
    envelope = dsse.sign(forged.to_statement().to_bytes(), site.signer("baseline")).to_bytes()
    evidence.append("src", forged.baseline, [(Kind.PROMOTION, envelope)])
    assert codes(site) == {"BASELINE_UNPROVEN"}
    with pytest.raises(EvidenceMissing, match="never judged"):
        baselines_in_force(site.home, site.evidence(), "src", at=later(3))


def test_audit_finds_a_verdict_that_left_the_promoted_baseline_out(site, judged):
    verdict_before = site.evidence().verdict_of("src", judged, at=AT).verdict
    promote(site, judged)
    site.seal(write(rows(8), site.root / "new"), at=later(2))
    evidence = site.evidence()
    batch = evidence.latest_seal("src", at=later(2))
    found = next(evidence.ledger.find(Kind.VERDICT, "src"))
    named = json.loads(dsse.Envelope.from_bytes(found.envelope).payload)
    details = named["predicate"]["sluicegate"]["testResult"]
    from sluicegate.digest.algorithms import Digest

    alone = replace(verdict_before, digest=batch.digest, issued=later(2))
    statement = alone.to_statement(batch.subjects, Digest.parse(details))
    envelope = dsse.sign(statement.to_bytes(), site.signer("gate")).to_bytes()
    evidence.append("src", batch.digest, [(Kind.VERDICT, envelope)])
    assert codes(site) == {"BASELINE_ROLLBACK"}


def test_newest_passed_batches_are_offered_oldest_first(site, judged):
    gate_new(site, 2)
    site.seal(site.poisoned, at=later(3))
    site.gate(at=later(3))
    newest = site.evidence().seal_of("src", judged, at=later(3)).digest
    offered = passed_batches(site.evidence(), "src", last=5, at=later(4))
    assert len(offered) == 2
    assert offered[0] == newest
    assert passed_batches(site.evidence(), "src", last=1, at=later(4)) == offered[1:]


def test_command_promotes_and_shows_both_lanes(site, judged, capsys):
    home = ["--home", str(site.home.root)]
    key = ["--key", str(site.home.key("baseline"))]
    assert main(["baseline", "promote", "src", *key, *home, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["inputs"] == [str(judged)]
    assert main(["baseline", "show", "src", *home, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rolling"]["baseline"] == said["baseline"]
    assert set(shown) == {"anchored", "rolling"}


def test_superseded_promotion_by_a_key_that_was_exchanged_since_stops_nobody(site, judged):
    promote(site, judged)
    new = generate(Algorithm.ED25519)
    roles = (Role.SOURCE, Role.GATE, Role.LEDGER)
    keys = {role: [site.signer(role.value).public_key] for role in roles}
    keys[Role.BASELINE] = [new.public_key]
    trust = trust_policy(keys, version=2, expires=AT + timedelta(days=365))
    site.home.trust.write_bytes(trust.to_bytes())
    with pytest.raises(UntrustedKey):
        baselines_in_force(site.home, site.evidence(), "src", at=later(2))
    write_baseline(
        [site.root / "trusted"],
        ROLES,
        out=site.home.baseline_dir("src"),
        at=later(2),
        source="src",
        signer=new,
    )
    promote(site, judged, signer=new, at=later(3))
    in_force = baselines_in_force(site.home, site.evidence(), "src", at=later(5))
    assert set(in_force) == set(Lane)
