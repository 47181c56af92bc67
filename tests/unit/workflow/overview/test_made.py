"""What was made of a source is told by statements that verify, each read once."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.workflow.auditing.test_uses import chain, seal
from tests.unit.workflow.conftest import AT, rows, site, write

from sluicegate.attest import dsse
from sluicegate.gate.verdict import MODEL
from sluicegate.ledger.entry import Kind
from sluicegate.ledger.log import Ledger
from sluicegate.workflow.overview.made import PORTION, Made

__all__ = ["chain", "site"]  # fixtures

LATER = AT + timedelta(minutes=5)


def ask(made, place, source, *, names=None, has_time=lambda: True):
    with place.evidence(LATER).snapshot() as evidence:
        named = evidence.ledger.sources() if names is None else names
        return made.of(evidence, named, source, at=LATER, has_time=has_time)


def test_features_and_their_model_are_made_of_the_source(chain):
    place, first, features, verdict = chain
    found = ask(Made(), place, "src").found
    told = {(use.source, use.is_model): use for use in found}
    assert set(told) == {("features", False), ("notes", False), (verdict.source, True)}
    assert verdict.source.startswith(MODEL)
    assert told["features", False].of == (("src", str(first.digest)),)
    assert told[verdict.source, True].of == (("features", str(features.digest)),)
    assert [use.source for use in ask(Made(), place, "features").found] == [verdict.source]
    assert ask(Made(), place, "golden").found == ()


def test_each_statement_is_verified_once(chain, monkeypatch):
    made, place = Made(), chain[0]
    first = ask(made, place, "src")
    monkeypatch.setattr(Ledger, "get_verified", lambda *_asked: 1 / 0)
    assert ask(made, place, "src") == first


def test_what_does_not_verify_is_counted_and_leads_nowhere(chain):
    place, first, _, _ = chain
    seal(place, write(rows(51), place.root / "more"), "more", first)
    record = next(place.evidence().ledger.find(Kind.PROVENANCE, "more"))
    payload = dsse.Envelope.from_bytes(record.envelope).payload
    forged = dsse.sign(payload, place.signer("gate")).to_bytes()
    digest = place.evidence().latest_seal("more", at=LATER).digest
    place.evidence().append("forged", digest, [(Kind.PROVENANCE, forged)])
    found = ask(Made(), place, "src")
    assert "forged" not in {use.source for use in found.found}
    assert len(found.unverified) == 1


def test_what_there_was_no_time_for_is_told_as_waiting_and_comes_later(chain):
    made, place = Made(), chain[0]
    names = [*(f"none-{n:02}" for n in range(PORTION)), *place.evidence(LATER).ledger.sources()]
    hurried = ask(made, place, "src", names=names, has_time=lambda: False)
    assert (hurried.found, hurried.waiting) == ((), len(names) - PORTION)
    # What is known costs no time, so who asks again gets on, however little there is.
    for _ in range(len(names) // PORTION):
        last = ask(made, place, "src", names=names, has_time=lambda: False)
    assert (last.waiting, last) == (0, ask(Made(), place, "src", names=names))
