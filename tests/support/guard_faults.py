"""One installation in which every source but one lacks something; keys are for tests only."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from tests.unit.workflow.conftest import AT, RUN, SCHEMA, flipped, rows, write

from sluicegate.attest import dsse
from sluicegate.errors import SluicegateError
from sluicegate.ledger.entry import Entry
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baseline import build
from sluicegate.workflow.gate import Findings, GateSigners, gate_source
from sluicegate.workflow.runners import evaluate_directly
from sluicegate.workflow.seal import seal_into_ledger

N_ROWS = 1500


@dataclass(frozen=True)
class Fault:
    """What is wrong with a source, and what a person must read about it."""

    kind: str
    code: str
    text: str


FAULTS = {
    "unsealed": Fault("missing", "EVIDENCE_MISSING", "was never sealed"),
    "blocked": Fault("bad", "GATE_BLOCKED", "LABEL_FLIPS"),
    "expired": Fault("stale", "EXPIRED", "the verdict is not valid now"),
    "superseded": Fault("stale", "EVIDENCE_MISSING", "no verdict of this batch"),
    "forged": Fault("forged", "UNTRUSTED_KEY", "ledger entry"),
    "nan": Fault("NaN", "EVIDENCE_MISSING", "no verdict of this batch"),
    "garbled": Fault("erroring", "MALFORMED", "ledger entry"),
    "edited": Fault("erroring", "LEDGER_CORRUPT", "ledger"),
}


def build_faulty_site(site):
    """Give the installation one source a fault, and ``good``, which has none."""
    for number, source in enumerate(("good", *FAULTS)):
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
        self._append_verdict(dsse.sign(payload, self.site.signer("source")).to_bytes())

    def _garbled(self):
        self._seal()
        self._append_verdict(b'{"p_value": NaN')

    def _edited(self):
        """A row of the store changed behind the ledger's back."""
        self._judged()
        index = self._newest("verdict").index
        connection = sqlite3.connect(self.site.home.ledger)
        with connection:
            connection.execute("UPDATE envelope SET body = zeroblob(9) WHERE idx = ?", (index,))
        connection.close()

    def _baseline(self, at=AT):
        build(
            [write(rows(self.seed + 5, 2 * N_ROWS), self._folder("trusted"))],
            BatchSchema.from_mapping(SCHEMA, locator="schema"),
            out=self.site.home.baseline_dir(self.name),
            at=at,
            source=self.name,
            signer=self.site.signer("baseline"),
        )

    def _seal(self, table=None, at=AT, folder="batch"):
        folder = self._folder(folder)
        shutil.rmtree(folder, ignore_errors=True)
        write(rows(self.seed, N_ROWS) if table is None else table, folder)
        seal_into_ledger(
            folder,
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

    def _append_verdict(self, envelope):
        evidence = self.site.evidence()
        subject = evidence.latest_seal(self.name, at=AT).digest
        evidence.ledger.append_many([(Entry.of("verdict", self.name, subject, envelope), envelope)])

    def _folder(self, name):
        return self.site.root / "sources" / self.name / name


def _nan_p_value(table, baseline, policy):
    """Stand in for a signal whose statistics broke: NaN is no answer."""
    found = evaluate_directly(table, baseline, policy)
    first = replace(found.records[0], p_value=float("nan"))
    return Findings((first, *found.records[1:]), found.suite)
