"""Parsers of what is signed about data: statements of every kind, certificates, timestamps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fuzz.target import Target
from tests.fuzz.timestamp_seed import AUTHORITY, RESPONSE
from tests.unit.attest.test_certificates import MIDDLE_CERT, ROOT_CERT, chain

from sluicegate.adapters.timestamping import verified_time
from sluicegate.attest import dsse
from sluicegate.attest.certificates import load_certificates
from sluicegate.attest.keys import Signer, load_signer
from sluicegate.attest.predicates import seal_statement
from sluicegate.attest.seal_form import read_seal
from sluicegate.attest.statement import Statement
from sluicegate.attest.tally import Against, TallyHead
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.manifest import FileEntry, Manifest
from sluicegate.digest.portions import Portion
from sluicegate.gate.custody import Custody, CustodyChange, require_release
from sluicegate.gate.kept_shapes import Shapes, shapes_to_json
from sluicegate.gate.policy import Mode
from sluicegate.gate.promotion import Lane, Promotion, promotion_from_statement
from sluicegate.gate.verdict import Reason, Verdict, policy_from_test_result, verdict_from_statement
from sluicegate.gate.verdict import test_result_statement as result_statement
from sluicegate.gate.waiver import Waiver, waiver_from_statement
from sluicegate.gate.worst_rows import KeptRows, Shown, WorstRow
from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.signals.decision.shape import Drawn, Part, Shape
from sluicegate.workflow.auditing.run_records import FORMAT, RunRecords
from sluicegate.workflow.evidence.kept_findings import kept_in
from sluicegate.workflow.sealing.table_record import (
    Key,
    record_from_statement,
    record_table,
    table_statement,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_END = _AT + timedelta(days=1)
_P256 = Signer(ec.derive_private_key(1234567, ec.SECP256R1()))
_MANIFEST = Manifest.from_entries([FileEntry("a/b", sha256_bytes(b"1"), 1)])
_SEAL = seal_statement("flights", _MANIFEST)
_DIGEST = sha256_bytes(b"x")
_POLICY = b"version: 1\n"
_VERDICT = Verdict(
    result=Status.WARNED,
    source="flights",
    digest=_MANIFEST.digest,
    baseline=_DIGEST,
    policy=sha256_bytes(_POLICY),
    suite=_DIGEST,
    code_version="1",
    run={"dag_id": "d"},
    mode=Mode.ENFORCE,
    issued=_AT,
    expires=_END,
    reasons=(Reason("LABEL_FLIPS", "y", Status.WARNED, "two of a hundred"),),
    rolling=_DIGEST,
)
_RECORD = SignalRecord(
    code="LABEL_FLIPS", family=Family.LABEL, status=Status.WARNED, column="y", effect=0.5
)
_SHAPES = {
    Lane.ANCHORED: (
        Shape("y", Drawn.VALUES, ("0", "1"), (3, 4), (5, 6), (Part("c1", (1, 2), (3, 4)),)),
    ),
    Lane.ROLLING: (Shape("x", Drawn.NUMBERS, ("up to 1", "from 1"), (0, 0), (1, 0)),),
}
_ROWS = KeptRows(3, (WorstRow(7, 0.5, ("LABEL_FLIPS",), {Shown.ID: "a-7"}),))
_WAIVER = Waiver(
    subjects=_SEAL.subjects,
    verdict=_DIGEST,
    signals=frozenset({"LABEL_FLIPS"}),
    reason="a season",
    requested_by="Ada",
    confirmed_by="Grace",
    issued=_AT,
    expires=_END,
)
_PROMOTION = Promotion(
    source="flights",
    lane=Lane.ROLLING,
    baseline=_DIGEST,
    inputs=(_MANIFEST.digest,),
    rows=3,
    created=_AT,
    expires=_END,
    seed=1,
    run={"dag_id": "d"},
    code_version="1",
)
_RELEASE = CustodyChange(
    state=Custody.RELEASED,
    subjects=_SEAL.subjects,
    reasons=("it was a season",),
    answers=str(_DIGEST),
    run={"dag_id": "d"},
    at=_AT,
)
_TABLE = record_table(
    [pa.record_batch({"id": np.arange(3), "y": ["a", "b", "a"]})],
    locator="x",
    key=Key("id", "y"),
    cells=96,
)
_TALLY = TallyHead(
    Against("flights", _MANIFEST.digest, (_DIGEST, _DIGEST), _DIGEST, "1"),
    Portion(0, 1),
    _MANIFEST.digest,
    _DIGEST,
    7,
)
_BELIEVED = load_certificates(AUTHORITY, locator="x")
_RUNS = json.dumps(
    {
        "type": FORMAT,
        "url": "http://127.0.0.1",
        "collected": "2026-03-01T12:00:00+00:00",
        "since": None,
        "plugins": None,
        **{name: [] for name in ("dags", "uses", "tries", "traces", "events", "answers")},
    }
).encode()


def _statement(
    read: Callable[..., Any], made: Statement, write: Callable[[Any], Statement] | None = None
) -> Target:
    def parse(data: bytes) -> Any:
        return read(Statement.from_bytes(data), locator="x")

    def rewrite(data: bytes) -> bytes:
        assert write is not None
        return write(parse(data)).to_bytes()

    return Target(parse, made.to_bytes(), rewrite if write else None)


def _release(statement: Statement, *, locator: str) -> None:
    digest: Digest = _MANIFEST.digest
    require_release(statement, "flights", digest, str(_DIGEST), locator=locator)


def _kept(shapes: Shapes | None, rows: KeptRows | None) -> dict[str, Any]:
    return {
        **({} if shapes is None else {"shapes": shapes_to_json(shapes)}),
        **({} if rows is None else {"rows": rows.to_json()}),
    }


def _policy_text(statement: Statement, *, locator: str) -> bytes | None:
    return policy_from_test_result(statement)


def _stamp(data: bytes) -> object:
    return verified_time(data, b"x", _BELIEVED, locator="x")


ATTEST = {
    "verdict": _statement(
        verdict_from_statement,
        _VERDICT.to_statement(_SEAL.subjects, _DIGEST),
        lambda verdict: verdict.to_statement(_SEAL.subjects, _DIGEST),
    ),
    "signals": _statement(
        _policy_text, result_statement(_VERDICT, (), _SEAL.subjects, policy=_POLICY, kept={})
    ),
    "kept findings": _statement(
        kept_in,
        result_statement(
            _VERDICT, (_RECORD,), _SEAL.subjects, policy=None, kept=_kept(_SHAPES, _ROWS)
        ),
        lambda kept: result_statement(
            _VERDICT,
            kept.records,
            _SEAL.subjects,
            policy=None,
            kept=_kept(kept.shapes, kept.rows),
        ),
    ),
    "waiver": _statement(waiver_from_statement, _WAIVER.to_statement(), Waiver.to_statement),
    "promotion": _statement(
        promotion_from_statement, _PROMOTION.to_statement(), Promotion.to_statement
    ),
    "release": _statement(_release, _RELEASE.to_statement()),
    "table": _statement(record_from_statement, table_statement("flights", _MANIFEST, _TABLE)),
    "seal of either form": Target(
        lambda data: read_seal(data, locator="x"),
        dsse.sign(table_statement("flights", _MANIFEST, _TABLE).to_bytes(), _P256).to_bytes(),
    ),
    "private key": Target(lambda data: load_signer(data, locator="x"), _P256.private_pem()),
    "head of a tally": Target(
        lambda data: TallyHead.from_payload(data, locator="x"),
        _TALLY.payload(),
        lambda data: TallyHead.from_payload(data, locator="x").payload(),
    ),
    "certificates": Target(
        lambda data: load_certificates(data, locator="x"), chain(MIDDLE_CERT, ROOT_CERT)
    ),
    "timestamp": Target(_stamp, RESPONSE),
    "runs of Airflow": Target(
        lambda data: RunRecords.from_json(data, locator="x"),
        _RUNS,
        lambda data: RunRecords.from_json(data, locator="x").to_json(),
    ),
}
