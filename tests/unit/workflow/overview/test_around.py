"""Which baselines judged a source, what was promoted, and what was made of it: as verified."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, judge_clean, rows, site, write  # noqa: F401

from sluicegate.attest import dsse
from sluicegate.gate.promotion import Lane
from sluicegate.gate.verdict import MODEL, TRAINED_ON
from sluicegate.ledger.entry import Kind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.promotion import propose
from sluicegate.workflow.overview.around import judged_by, models_of, promotions
from sluicegate.workflow.overview.past import Past

LATER = AT + timedelta(minutes=5)


def newest(site):  # noqa: F811
    return Past().newest(site.evidence(LATER), "src", limit=9, at=LATER)


@pytest.fixture
def promoted(site):  # noqa: F811
    """Three verdicts, the newest of them beside a rolling baseline too."""
    return site.once(_promote)


def _promote(site):  # noqa: F811
    judge_clean(site)
    batch = newest(site)[0].issued.verdict.digest
    site.seal(site.poisoned)
    site.gate()
    propose(
        site.home,
        site.evidence(),
        "src",
        lane=Lane.ROLLING,
        digests=[batch],
        schema=BatchSchema.from_mapping(SCHEMA, locator="schema"),
        signer=site.signer("baseline"),
        run=RUN,
        at=AT + timedelta(minutes=1),
        ttl=timedelta(days=30),
    )
    site.seal(write(rows(8), site.root / "new"), at=LATER)
    site.gate(at=LATER)


def test_each_lane_says_since_which_verdict_its_baseline_judges(site, promoted):  # noqa: F811
    past = newest(site)
    anchored, rolling = judged_by(past)
    assert (anchored.lane, anchored.n_verdicts, anchored.first) == (Lane.ANCHORED, 3, past[-1])
    assert (rolling.lane, rolling.n_verdicts, rolling.first) == (Lane.ROLLING, 1, past[0])
    assert rolling.baseline == str(past[0].issued.verdict.rolling)


def test_a_baseline_that_judges_again_after_another_is_told_twice(site):  # noqa: F811
    site.once(judge_clean)
    (one,) = newest(site)
    other = replace(one, issued=replace(one.issued, verdict=_with_baseline(one)))
    broken = replace(one, issued=None)
    found = judged_by([one, other, broken, one, one])
    assert [judged.n_verdicts for judged in found] == [1, 1, 2]
    assert judged_by([broken]) == []


def _with_baseline(one):
    return replace(one.issued.verdict, baseline=one.issued.verdict.policy)


def test_a_promotion_is_told_as_it_was_signed(site, promoted):  # noqa: F811
    (found,) = promotions(site.evidence(LATER), "src", at=LATER)
    assert (found.promotion.lane, found.promotion.rows) == (Lane.ROLLING, 3000)
    assert str(found.promotion.baseline) == str(newest(site)[0].issued.verdict.rolling)


def test_a_promotion_that_another_role_signed_is_told_as_refused(site, promoted):  # noqa: F811
    (record,) = site.evidence(LATER).ledger.find(Kind.PROMOTION, "src")
    payload = dsse.Envelope.from_bytes(record.envelope).payload
    forged = dsse.sign(payload, site.signer("gate")).to_bytes()
    found = promotions(site.evidence(LATER), "src", at=LATER)[0].promotion
    site.evidence(LATER).append("src", found.baseline, [(Kind.PROMOTION, forged)])
    bad, good = promotions(site.evidence(LATER), "src", at=LATER)
    assert (bad.promotion, bad.refusal.code) == (None, "UNTRUSTED_KEY")
    assert good.promotion == found


def test_a_model_is_told_by_the_verdict_that_names_the_batch(site):  # noqa: F811
    site.once(judge_clean)
    (one,) = newest(site)
    verdict = one.issued.verdict
    run = {**RUN, f"{TRAINED_ON}src": str(verdict.digest)}
    said = replace(verdict, source=f"{MODEL}delays", run=run)
    sealed = site.evidence().latest_seal("src", at=AT)
    subjects = tuple(replace(subject, name=said.source) for subject in sealed.subjects)
    statement = said.to_statement(subjects, one.issued.test_result)
    envelope = dsse.sign(statement.to_bytes(), site.signer("gate")).to_bytes()
    evidence = site.evidence()
    evidence.append(said.source, verdict.digest, [(Kind.VERDICT, envelope)])
    evidence = site.evidence(LATER)
    names = evidence.ledger.sources()
    (model,) = models_of(evidence, Past(), names, "src", at=LATER)
    assert (model.name, model.batch) == ("delays", str(verdict.digest))
    assert models_of(evidence, Past(), names, "another", at=LATER) == []
