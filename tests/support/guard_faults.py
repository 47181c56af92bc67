"""One installation in which every source but one lacks something; keys are for tests only."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from tests.support.built_once import write_baseline
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, flipped, rows, write

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, TrustedKey
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import SluicegateError
from sluicegate.gate.waiver import Waiver
from sluicegate.ledger.entry import Entry
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import Evaluation, evaluate_directly
from sluicegate.workflow.response.quarantine import quarantine_batch
from sluicegate.workflow.sealing.seal import seal_into_ledger

N_ROWS = 1500
TRUSTED = 5
"""Seed of the rows behind every baseline: each lies in a place of its own."""


@dataclass(frozen=True)
class Fault:
    """Which evidence of a source is wrong and how, and what a person must read about it."""

    item: str
    kind: str
    code: str
    text: str


FAULTS = {
    "unsealed": Fault("seal", "missing", "EVIDENCE_MISSING", "was never sealed"),
    "seal_stale": Fault("seal", "stale", "EXPIRED", "the batch was sealed too long ago"),
    "seal_forged": Fault("seal", "forged", "UNTRUSTED_KEY", "ledger entry"),
    "seal_nan": Fault("seal", "NaN", "MALFORMED", "ledger entry"),
    "seal_garbled": Fault("seal", "erroring", "MALFORMED", "ledger entry"),
    "superseded": Fault("verdict", "missing", "EVIDENCE_MISSING", "no verdict of this batch"),
    "blocked": Fault("verdict", "bad", "GATE_BLOCKED", "LABEL_FLIPS"),
    "expired": Fault("verdict", "stale", "EXPIRED", "the verdict is not valid any more"),
    "forged": Fault("verdict", "forged", "UNTRUSTED_KEY", "ledger entry"),
    "verdict_nan": Fault("verdict", "NaN", "MALFORMED", "ledger entry"),
    "garbled": Fault("verdict", "erroring", "MALFORMED", "ledger entry"),
    "edited": Fault("verdict", "erroring", "LEDGER_CORRUPT", "ledger"),
    "nan": Fault("finding", "NaN", "EVIDENCE_MISSING", "no verdict of this batch"),
    "behind_aside": Fault("baseline", "aside", "GATE_BLOCKED", "behind the anchored baseline"),
    "baseline_revoked": Fault("baseline", "revoked", "UNTRUSTED_KEY", "anchored baseline"),
    "waiver_stale": Fault("waiver", "stale", "GATE_BLOCKED", "[EXPIRED]"),
    "waiver_forged": Fault("waiver", "forged", "GATE_BLOCKED", "[UNTRUSTED_KEY]"),
    "waiver_nan": Fault("waiver", "NaN", "GATE_BLOCKED", "[MALFORMED]"),
    "waiver_garbled": Fault("waiver", "erroring", "GATE_BLOCKED", "[MALFORMED]"),
}

UNJUDGED = {
    "baseline_missing": Fault("baseline", "missing", "EVIDENCE_MISSING", "baseline"),
    "baseline_stale": Fault("baseline", "stale", "EXPIRED", "baseline"),
    "baseline_forged": Fault("baseline", "forged", "UNTRUSTED_KEY", "baseline"),
    "baseline_nan": Fault("baseline", "NaN", "MALFORMED", "baseline"),
    "baseline_garbled": Fault("baseline", "erroring", "DIGEST_MISMATCH", "baseline"),
}
"""Sources that the gate cannot judge: it says why, and the guard then misses a verdict."""

FRESH_FOR_S = 3600
"""How long a seal of ``seal_stale`` is fresh; it is sealed two hours ago and judged at once."""


def build_faulty_site(site):
    """Give the installation one source a fault, and ``good``, which has none."""
    rule = f"{{freshness: {{sealed_hours: {FRESH_FOR_S / 3600:g}}}}}"
    with site.home.policy.open("a", encoding="utf-8") as policy:
        policy.write(f"sources: {{seal_stale: {rule}}}\n")
    for number, source in enumerate(("good", *FAULTS, *UNJUDGED)):
        if source != "unsealed":
            FaultySource(site, source, seed=10 * number + 20).make()


@dataclass(frozen=True)
class FaultySource:
    """One source on its way to its fault."""

    site: object
    name: str
    seed: int

    def make(self):
        getattr(self, f"_{self.name}", self._judged)()

    def _judged(self):
        self._baseline()
        self._seal()
        self._gate()

    def _blocked(self):
        self.blocked()

    def blocked(self):
        """Seal a poisoned batch and have it judged."""
        self._baseline()
        self._seal(flipped(rows(self.seed, N_ROWS), "c1"))
        self._gate()

    def newer_poisoned_batch(self):
        """Seal a poisoned batch beside the one that is there, and have it judged."""
        self._seal(flipped(rows(self.seed + 2, N_ROWS), "c1"), folder="newer")
        self._gate()

    def _seal_stale(self):
        then = AT - timedelta(hours=2)
        self._baseline(then)
        self._seal(at=then)
        self._gate(at=then)

    def _seal_forged(self):
        """The provenance it has, signed by a key that may only sign verdicts."""
        self._judged()
        self._append("provenance", self._signed_anew("provenance", b"", b"", "gate"))

    def _seal_nan(self):
        self._judged()
        version = b'"version":1'
        self._append("provenance", self._signed_anew("provenance", version, b'"version":NaN'))

    def _seal_garbled(self):
        self._judged()
        self._append("provenance", b'{"version": NaN')

    def _verdict_nan(self):
        """A verdict without end, signed by the very key that signs verdicts."""
        self._judged()
        expires = dsse.Envelope.from_bytes(self._newest("verdict").envelope).payload
        found = re.search(rb'"expires":"[^"]*"', expires)
        self._append("verdict", self._signed_anew("verdict", found[0], b'"expires":NaN'))

    def _behind_aside(self):
        """What the baseline was built from is a batch, and somebody set it aside since."""
        self._baseline()
        self._seal_in_place("trusted")
        trusted = self.site.evidence().latest_seal(self.name, at=AT)
        self._seal()
        self._gate()
        signer, evidence = self.site.signer("gate"), self.site.evidence()
        quarantine_batch(
            self.site.home, evidence, trusted, reason="odd", signer=signer, run=RUN, at=AT
        )

    def _baseline_revoked(self):
        """The key of the baseline that judged was found to be stolen afterwards."""
        thief = generate(Algorithm.ED25519)
        self._trust_baseline_key(thief.public_key)
        self._baseline(key=thief)
        self._seal()
        self._gate()
        self._trust_baseline_key(thief.public_key, revoked_at=AT)

    def _trust_baseline_key(self, key, **validity):
        home = self.site.home
        trust = read_trust(home.trust)
        keys = {**trust.keys, key.key_id: TrustedKey(key, **validity)}
        rule = trust.roles[Role.BASELINE]
        ids = tuple(dict.fromkeys((*rule.key_ids, key.key_id)))
        roles = {**trust.roles, Role.BASELINE: replace(rule, key_ids=ids)}
        home.trust.write_bytes(replace(trust, keys=keys, roles=roles).to_bytes())

    def _waiver_stale(self):
        then = AT - timedelta(hours=3)
        self._baseline(then)
        self._seal(flipped(rows(self.seed, N_ROWS), "c1"), at=then)
        self._gate(at=then)
        self._append("waiver", self._waiver(then, self._people()))

    def _waiver_forged(self):
        """The second signature is of a key that may only sign verdicts."""
        self.blocked()
        alice, _bob = self._people()
        self._append("waiver", self._waiver(AT, [alice, self.site.signer("gate")]))

    def _waiver_nan(self):
        self.blocked()
        payload = dsse.Envelope.from_bytes(self._waiver(AT, self._people())).payload
        changed = re.sub(rb'"expires":"[^"]*"', b'"expires":NaN', payload)
        self._append("waiver", dsse.sign(changed, *self._people()).to_bytes())

    def _waiver_garbled(self):
        self.blocked()
        self._append("waiver", b'{"hours": NaN')

    def _people(self):
        return [self.site.signer(f"waiver_{name}") for name in ("alice", "bob")]

    def _waiver(self, at, people):
        """What people sign to have the batch trained on for an hour, and it is right."""
        evidence = self.site.evidence(at)
        batch = evidence.latest_seal(self.name, at=at)
        issued = evidence.verdict_of(self.name, batch.digest, at=at)
        waiver = Waiver(
            subjects=batch.subjects,
            verdict=issued.envelope,
            signals=frozenset(reason.code for reason in issued.verdict.reasons),
            reason="a test of the guard",
            requested_by="alice",
            confirmed_by="bob",
            issued=at,
            expires=at + timedelta(hours=1),
        )
        return dsse.sign(waiver.to_statement().to_bytes(), *people).to_bytes()

    def _baseline_missing(self):
        self._seal()

    def _baseline_stale(self):
        self._baseline(AT - timedelta(days=5000))
        self._seal()

    def _baseline_forged(self):
        self._baseline(signer="source")
        self._seal()

    def _baseline_nan(self):
        self._baseline()
        self._seal()
        folder = self.site.home.baseline_dir(self.name)
        body, signed = folder / "baseline.json", folder / "baseline.intoto.json"
        before = body.read_bytes()
        after = re.sub(rb"(?<=:)[0-9]+\.[0-9]+", b"NaN", before, count=1)
        assert after != before
        body.write_bytes(after)
        # Its owner signs what it has become, so that only the number is wrong.
        payload = dsse.Envelope.from_bytes(signed.read_bytes()).payload
        digests = (sha256_bytes(data).hex.encode() for data in (before, after))
        payload = payload.replace(*digests)
        signed.write_bytes(dsse.sign(payload, self.site.signer("baseline")).to_bytes())

    def _baseline_garbled(self):
        self._baseline()
        self._seal()
        (self.site.home.baseline_dir(self.name) / "baseline.json").write_bytes(b"\0garbage")

    def _expired(self):
        then = AT - timedelta(days=60)
        self._baseline(then)
        self._seal(at=then)
        self._gate(at=then)

    def _superseded(self):
        self._judged()
        self._seal(rows(self.seed + 1, N_ROWS))

    def _nan(self):
        self._baseline()
        self._seal()
        with suppress(SluicegateError):  # a number that is none cannot be signed either
            self._gate(runner=_nan_p_value)

    def _forged(self):
        """The verdict it needs, signed by a key that may only sign seals."""
        self._judged()
        payload = dsse.Envelope.from_bytes(self._newest("verdict").envelope).payload
        self._append("verdict", dsse.sign(payload, self.site.signer("source")).to_bytes())

    def _garbled(self):
        self._seal()
        self._append("verdict", b'{"p_value": NaN')

    def _edited(self):
        """A row of the store changed behind the ledger's back."""
        self._judged()
        index = self._newest("verdict").index
        connection = sqlite3.connect(self.site.home.ledger)
        with connection:
            connection.execute("UPDATE envelope SET body = zeroblob(9) WHERE idx = ?", (index,))
        connection.close()

    def _baseline(self, at=AT, signer="baseline", key=None):
        write_baseline(
            [write(rows(TRUSTED, 2 * N_ROWS), self._folder("trusted"))],
            BatchSchema.from_mapping(SCHEMA, locator="schema"),
            out=self.site.home.baseline_dir(self.name),
            at=at,
            source=self.name,
            signer=key or self.site.signer(signer),
        )

    def _seal(self, table=None, at=AT, folder="batch"):
        folder = self._folder(folder)
        shutil.rmtree(folder, ignore_errors=True)
        write(rows(self.seed, N_ROWS) if table is None else table, folder)
        self._seal_in_place(folder.name, at)

    def _seal_in_place(self, folder, at=AT):
        seal_into_ledger(
            self._folder(folder),
            self.name,
            evidence=self.site.evidence(at),
            signer=self.site.signer("source"),
            at=at,
            run=RUN,
        )

    def _gate(self, at=AT, runner=evaluate_directly):
        signers = GateSigners(self.site.signer("gate"), self.site.signer("ledger"))
        gate_source(self.site.home, self.name, signers=signers, at=at, run=RUN, runner=runner)

    def _newest(self, kind):
        ledger = self.site.evidence().ledger
        return ledger.get_verified(next(ledger.find(kind, self.name)).index)

    def _append(self, kind, envelope):
        evidence = self.site.evidence()
        subject = evidence.latest_seal(self.name, at=AT).digest
        evidence.ledger.append_many([(Entry.of(kind, self.name, subject, envelope), envelope)])

    def _signed_anew(self, kind, old, new, role=""):
        """Return the newest envelope of a kind with changed bytes, signed by a role."""
        payload = dsse.Envelope.from_bytes(self._newest(kind).envelope).payload
        assert old in payload
        roles = {"provenance": "source", "verdict": "gate"}
        changed = payload.replace(old, new, 1) if old else payload
        return dsse.sign(changed, self.site.signer(role or roles[kind])).to_bytes()

    def _folder(self, name):
        return self.site.root / "sources" / self.name / name


def _nan_p_value(batches, baselines, policy):
    """Stand in for a signal whose statistics broke: NaN is no answer."""
    [found] = evaluate_directly(batches, baselines, policy)
    first = replace(found.records[0], p_value=float("nan"))
    return [Evaluation((first, *found.records[1:]), found.suite)]
