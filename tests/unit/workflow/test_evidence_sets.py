"""Over sets of evidence and policies: taking away what speaks for a batch never admits it.

What speaks against it (a failed verdict, a quarantine, a revocation, a newer batch) is kept: it
can leave the log only by an edit of its store, which admits nothing either and is a test here.
"""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.waiver_site import name_approvers
from tests.unit.gate.test_verdict import verdict as any_verdict
from tests.unit.workflow.conftest import AT, RUN, Site, write

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.predicates import BASELINE
from sluicegate.attest.statement import Statement, Subject
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import SluicegateError
from sluicegate.gate.custody import Custody, CustodyChange
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.policy import RESULTS, result_of
from sluicegate.gate.verdict import Reason
from sluicegate.gate.verdict import test_result_statement as findings_of
from sluicegate.gate.waiver import Waiver, revocation_statement
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence.opening import create_ledger
from sluicegate.workflow.sealing.seal import seal_into_ledger

# Each history is an installation of its own.
pytestmark = pytest.mark.slow

CODE = "LABEL_FLIPS"
KINDS = ("seal", "PASSED", "WARNED", "FAILED", "waiver", "revocation", "quarantine", "release")


@dataclass(frozen=True)
class Item:
    """One step of a history: ledger entries about one batch."""

    batch: Digest
    entries: tuple[tuple[str, bytes], ...]
    speaks_for: bool


@dataclass(frozen=True)
class Batch:
    """A sealed batch, and the entries that seal it."""

    digest: Digest
    subjects: tuple[Subject, ...]
    entries: tuple[tuple[str, bytes], ...]


class World:
    """An installation without a ledger, and two sealed batches to tell histories about."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.people = [site.signer(f"waiver_{name}") for name in ("alice", "bob")]
        self.batches = [self._sealed(number) for number in range(2)]

    def _sealed(self, number: int) -> Batch:
        place = write(pa.table({"x": [number]}), self.site.root / f"batch{number}")
        evidence, key = self.site.evidence(), self.site.signer("source")
        sealed = seal_into_ledger(place, "src", evidence=evidence, signer=key, at=AT, run=RUN)
        kinds = ("seal", "provenance")
        records = [next(evidence.ledger.find(kind, "src", sealed.digest)) for kind in kinds]
        entries = tuple((kind, r.envelope) for kind, r in zip(kinds, records, strict=True))
        return Batch(sealed.digest, sealed.subjects, entries)

    def history(self, steps, policy) -> list[Item]:
        """Return the entries of steps; one that answers nothing is left out."""
        newest, verdicts, held, items = 0, {}, {}, []
        items.append(Item(self.batches[0].digest, self.batches[0].entries, speaks_for=True))
        for second, kind in enumerate(steps):
            at, batch = AT + timedelta(seconds=second), self.batches[newest]
            made, speaks_for = None, kind in {"waiver", "release"}
            if kind == "seal":
                if newest == 0:
                    newest = 1
                    made = self.batches[1].entries
            elif kind in set(RESULTS):
                made = self._verdict(batch, result_of(kind), policy, at)
                verdicts[newest] = sha256_bytes(made[-1][1])
                speaks_for = result_of(kind) in policy.accept
            elif kind == "revocation":
                said = revocation_statement(batch.subjects, reason="x", by="bob", at=at)
                made = (("waiver", self._signed(said, self.people[1])),)
            elif kind == "waiver" and newest in verdicts:
                made = (("waiver", self._waiver(batch, verdicts[newest], at)),)
            elif kind == "quarantine":
                envelope = self._custody(batch, Custody.QUARANTINED, "", at)
                held[newest] = str(sha256_bytes(envelope))
                made = (("quarantine", envelope),)
            elif kind == "release" and newest in held:
                made = (("release", self._custody(batch, Custody.RELEASED, held[newest], at)),)
            if made is not None:
                items.append(Item(self.batches[newest].digest, made, speaks_for))
        return items

    def _verdict(self, batch, result, policy, at) -> tuple[tuple[str, bytes], ...]:
        reasons = () if result is Status.PASSED else (Reason(CODE, "", result, "odd"),)
        said = any_verdict(
            source="src",
            digest=batch.digest,
            result=result,
            reasons=reasons,
            policy=policy.digest,
            mode=policy.mode,
            issued=at,
            expires=at + timedelta(hours=1),
        )
        baseline = Statement(
            (Subject("baseline:src", {"sha256": said.baseline.hex}),),
            BASELINE,
            {"source": "src", "inputs": []},
        )
        gate = self.site.signer("gate")
        found = findings_of(said, (), batch.subjects, policy=policy.raw, kept={})
        details = self._signed(found, gate)
        return (
            ("baseline", self._signed(baseline, self.site.signer("baseline"))),
            ("test-result", details),
            (
                "verdict",
                self._signed(said.to_statement(batch.subjects, sha256_bytes(details)), gate),
            ),
        )

    def _waiver(self, batch, verdict, at) -> bytes:
        said = Waiver(
            subjects=batch.subjects,
            verdict=verdict,
            signals=frozenset({CODE}),
            reason="x",
            requested_by="alice",
            confirmed_by="bob",
            issued=at,
            expires=at + timedelta(hours=1),
        )
        return self._signed(said.to_statement(), *self.people)

    def _custody(self, batch, state, answers, at) -> bytes:
        said = CustodyChange(
            state=state, subjects=batch.subjects, reasons=("x",), answers=answers, run=RUN, at=at
        )
        return self._signed(said.to_statement(), self.site.signer("gate"))

    def _signed(self, statement, *signers) -> bytes:
        return dsse.sign(statement.to_bytes(), *signers).to_bytes()

    def logged(self, items) -> Site:
        """Return the installation with a ledger of exactly these items."""
        for path in self.site.home.root.glob("ledger.db*"):
            path.unlink()
        create_ledger(self.site.home, at=AT, forget="each set is a ledger of its own")
        evidence = self.site.evidence()
        for item in items:
            evidence.append("src", item.batch, item.entries)
        return self.site

    def admits(self, items, at) -> bool:
        self.logged(items)
        return self.admits_now(at)

    def admits_now(self, at) -> bool:
        try:
            return bool(admit_training(self.site.home, ["src"], at=at))
        except SluicegateError:
            return False


@pytest.fixture(scope="module")
def world(built_site, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("sets") / "site")
    shutil.copytree(built_site, site.root)
    name_approvers(site, "alice", "bob")
    return World(site)


steps = st.lists(st.sampled_from(KINDS), max_size=7)
policies = st.fixed_dictionaries(
    {
        "accept": st.sampled_from([["PASSED"], ["PASSED", "WARNED"]]),
        "mode": st.sampled_from(["enforce", "enforce", "shadow"]),
        "allow": st.sampled_from([None, [CODE], ["SCHEMA"]]),
    }
)


def put(world, drawn):
    value = yaml.safe_load(DEFAULT_POLICY) | {"accept": drawn["accept"], "mode": drawn["mode"]}
    if drawn["allow"] is not None:
        value["waiver"] = {"allow": drawn["allow"], "max_hours": 48}
    world.site.home.policy.write_text(yaml.safe_dump(value), encoding="utf-8")
    return read_policy(world.site.home.policy)


@pytest.mark.slow
@settings(max_examples=60)
@given(steps=steps, drawn=policies, keep=st.data())
def test_batch_is_never_admitted_by_taking_away_what_speaks_for_it(world, steps, drawn, keep):
    policy = put(world, drawn)
    whole = world.history(steps, policy)
    left = [item for item in whole if not item.speaks_for or keep.draw(st.booleans())]
    at = AT + timedelta(seconds=len(steps))
    assert world.admits(whole, at) or not world.admits(left, at)


def test_the_histories_are_admitted_and_refused_for_the_reasons_they_tell(world):
    """Without this the law above could hold because nothing is ever admitted."""
    policy = put(world, {"accept": ["PASSED"], "mode": "enforce", "allow": [CODE]})
    told = {
        ("PASSED",): True,
        ("FAILED",): False,
        ("WARNED",): False,
        ("PASSED", "FAILED"): False,
        ("FAILED", "PASSED"): True,
        ("FAILED", "waiver"): True,
        ("FAILED", "waiver", "revocation"): False,
        ("FAILED", "waiver", "revocation", "waiver"): True,
        ("FAILED", "waiver", "FAILED"): False,
        ("PASSED", "quarantine"): False,
        ("PASSED", "quarantine", "release"): True,
        ("PASSED", "quarantine", "release", "quarantine"): False,
        ("PASSED", "seal"): False,
        ("PASSED", "seal", "PASSED"): True,
        (): False,
    }
    for steps, admitted in told.items():
        at = AT + timedelta(seconds=len(steps))
        assert world.admits(world.history(steps, policy), at) is admitted, steps


@pytest.mark.slow
@settings(max_examples=30)
@given(steps=st.lists(st.sampled_from(KINDS), min_size=1, max_size=7), cut=st.data())
def test_what_is_taken_out_of_the_log_admits_nothing_and_is_found(world, steps, cut):
    """Against or for: whoever edits the store gains nothing, and cannot do it unseen."""
    policy = put(world, {"accept": ["PASSED"], "mode": "enforce", "allow": [CODE]})
    whole = world.history(steps, policy)
    at = AT + timedelta(seconds=len(steps))
    before = world.admits(whole, at)
    site = world.logged(whole)
    size = site.evidence().ledger.size()
    gone = cut.draw(st.sets(st.integers(0, size - 1), min_size=1))
    connection = sqlite3.connect(site.home.ledger)
    with connection:
        for table in ("leaf", "envelope"):
            marks = ",".join("?" * len(gone))
            connection.execute(f"DELETE FROM {table} WHERE idx IN ({marks})", sorted(gone))
    connection.close()
    assert before or not world.admits_now(at)
    assert site.evidence().ledger.examine().findings


def test_shadow_mode_is_the_only_way_past_a_failed_verdict_without_people(world):
    policy = put(world, {"accept": ["PASSED"], "mode": "shadow", "allow": None})
    whole = world.history(["FAILED"], policy)
    assert world.admits(whole, AT + timedelta(seconds=1))
    enforced = put(world, {"accept": ["PASSED"], "mode": "enforce", "allow": None})
    assert not world.admits(world.history(["FAILED"], enforced), AT + timedelta(seconds=1))
