"""An installation with many sources and a large ledger, whatever is read of it really signed.

One batch of one source is sealed and judged by the gate itself. What the gate signed is then signed
again for every other source and day, by the same keys and functions: a seal, its provenance, the
baseline, the test result and the verdict. Leaves before these fill the streams of the same sources
up to the size that is wanted. Nobody reads their envelopes, which are not signed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, Signer, generate, write_key_pair
from sluicegate.attest.predicates import provenance_statement
from sluicegate.attest.seal_form import write_seal
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.manifest import Manifest
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.gate.verdict import test_result_statement
from sluicegate.ledger.entry import Entry, Kind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.kept_findings import kept_records
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence

RUN = {"orchestrator": "benchmark"}
MODEL = "model-0000"
"""The source that the gate judges itself; all others are made after it."""

_SCHEMA = {"id": "id", "label": "label", "contributor": "who"}
_BATCH = 5000
_FILLED = (Kind.SEAL, Kind.PROVENANCE, Kind.TEST_RESULT, Kind.VERDICT)


@dataclass(frozen=True)
class Model:
    """What the gate said of one batch, to be said of others."""

    home: SluiceHome
    signers: dict[Role, Signer]
    batch: SealedBatch
    issued: IssuedVerdict
    records: tuple[SignalRecord, ...]
    baseline: Statement


def rows(seed: int, n_rows: int) -> pa.Table:
    """Make a learnable table: the label follows x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_rows)
    return pa.table(
        {
            "id": pa.array([f"{seed}-{number}" for number in range(n_rows)]),
            "who": pa.array([f"c{number}" for number in rng.integers(0, 5, n_rows)]),
            "x": pa.array(x),
            "y": pa.array(rng.normal(size=n_rows)),
            "label": pa.array(((x > 0) ^ (rng.random(n_rows) < 0.05)).astype("int8")),
        }
    )


def names_of(n_sources: int) -> list[str]:
    """Return the names of the sources."""
    return [f"{MODEL.partition('-')[0]}-{number:04}" for number in range(n_sources)]


def install(home: SluiceHome, n_rows: int) -> Model:
    """Build an installation with one judged batch."""
    at = datetime.now(UTC).replace(microsecond=0)
    home.keys.mkdir(parents=True, mode=0o700)
    signers = {}
    for role in (Role.SOURCE, Role.GATE, Role.BASELINE, Role.LEDGER):
        algorithm = Algorithm.ECDSA_P256 if role is Role.SOURCE else Algorithm.ED25519
        signers[role] = generate(algorithm)
        private, _ = write_key_pair(signers[role], home.keys / role.value)
        private.rename(home.key(role.value))
    public = {role: [signer.public_key] for role, signer in signers.items()}
    home.trust.write_bytes(
        trust_policy(public, version=1, expires=at + timedelta(days=1)).to_bytes()
    )
    home.policy.write_text(DEFAULT_POLICY, encoding="utf-8")
    create_ledger(home, at=at)
    places = {}
    for seed, name in enumerate(("trusted", "batch")):
        places[name] = home.root / name
        places[name].mkdir()
        pq.write_table(rows(seed, n_rows), places[name] / "part.parquet")
    write_baseline(
        [places["trusted"]],
        BatchSchema.from_mapping(_SCHEMA, locator="schema"),
        out=home.baseline_dir(MODEL),
        at=at,
        source=MODEL,
        signer=signers[Role.BASELINE],
    )
    ledger, gate = signers[Role.LEDGER], signers[Role.GATE]
    writing = open_evidence(home, at=at, ledger_signer=ledger)
    seal_into_ledger(
        places["batch"], MODEL, evidence=writing, signer=signers[Role.SOURCE], at=at, run=RUN
    )
    issued, batch = gate_source(
        home, MODEL, signers=GateSigners(gate, ledger), at=at, run=RUN, runner=evaluate_directly
    )
    assert issued.verdict.result.value != "FAILED", issued.verdict.summary()
    records = tuple(kept_records(writing, str(issued.test_result), at=at))
    signed = next(writing.ledger.find(Kind.BASELINE, MODEL, limit=1)).envelope
    statement = Statement.from_bytes(dsse.Envelope.from_bytes(signed).payload)
    writing.ledger.close()
    return Model(home, signers, batch, issued, records, statement)


def fill(model: Model, n_leaves: int, n_sources: int, n_verdicts: int) -> Evidence:
    """Append leaves of all sources until the ledger has as many as are wanted.

    Args:
        model: As `install` returns it.
        n_leaves: Leaves of the ledger, about.
        n_sources: Sources.
        n_verdicts: Batches of each source that were really sealed and judged.

    Returns:
        The evidence, open for appending.
    """
    at, signer = datetime.now(UTC), model.signers[Role.LEDGER]
    evidence = open_evidence(model.home, at=at, ledger_signer=signer)
    names = names_of(n_sources)
    left = n_leaves - 5 * n_sources * n_verdicts - evidence.ledger.size()
    for begin in range(0, left, _BATCH):
        evidence.ledger.append_many(
            [_filler(number, names) for number in range(begin, min(begin + _BATCH, left))]
        )
    for day in range(n_verdicts):
        items = [item for name in names for item in judged(model, name, day - n_verdicts)]
        evidence.ledger.append_many(items)
    assert evidence.recall is not None
    evidence.recall.catch_up(evidence.ledger)
    return evidence


def judged(model: Model, source: str, day: int) -> Iterator[tuple[Entry, bytes]]:
    """Yield what is logged of one batch that is sealed and passes.

    Args:
        model: As `install` returns it.
        source: Name of the source.
        day: Tells the batches of a source apart.
    """
    entry = replace(
        model.batch.manifest.entries[0], digest=sha256_bytes(f"{source} {day}".encode())
    )
    manifest, sign = Manifest.from_entries([entry]), model.signers
    at = model.issued.verdict.issued + timedelta(seconds=day)
    seal = write_seal(source, manifest, sign[Role.SOURCE])
    provenance = provenance_statement(
        source,
        manifest,
        location=f"/data/{source}/{day}",
        version=1000 + day,
        at=at,
        run=RUN,
        code_version=model.issued.verdict.code_version,
    )
    subjects = provenance.subjects
    baseline = replace(
        model.baseline,
        subjects=(Subject(f"baseline:{source}", model.baseline.subjects[0].digest),),
        predicate={**model.baseline.predicate, "source": source},
    )
    verdict = replace(model.issued.verdict, source=source, digest=manifest.digest)
    raw = model.home.policy.read_bytes()
    result = test_result_statement(verdict, model.records, subjects, policy=raw, kept={})
    signed_result = dsse.sign(result.to_bytes(), sign[Role.GATE]).to_bytes()
    statement = verdict.to_statement(subjects, sha256_bytes(signed_result))
    for kind, envelope in (
        (Kind.SEAL, seal),
        (Kind.PROVENANCE, dsse.sign(provenance.to_bytes(), sign[Role.SOURCE]).to_bytes()),
        (Kind.BASELINE, dsse.sign(baseline.to_bytes(), sign[Role.BASELINE]).to_bytes()),
        (Kind.TEST_RESULT, signed_result),
        (Kind.VERDICT, dsse.sign(statement.to_bytes(), sign[Role.GATE]).to_bytes()),
    ):
        yield Entry.of(kind, source, manifest.digest, envelope), envelope


def _filler(number: int, names: list[str]) -> tuple[Entry, bytes]:
    envelope = (b"%d " % number).ljust(1000, b"e")
    subject = "dirHash1:" + hashlib.sha256(b"%d" % number).hexdigest()
    kind = _FILLED[number // len(names) % len(_FILLED)]
    return Entry.of(kind, names[number % len(names)], subject, envelope), envelope
