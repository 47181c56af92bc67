"""What the ledger keeps behind a verdict: findings, and how accused columns are spread."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT

from sluicegate.attest import dsse
from sluicegate.attest.statement import Statement
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.errors import MalformedEnvelope
from sluicegate.gate.kept_shapes import shapes_to_json
from sluicegate.gate.promotion import Lane
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.kept_findings import kept_evidence, kept_records


def judged(site, path):
    site.seal(path)
    issued, _ = site.gate()
    return issued


def test_a_blocked_batch_keeps_the_shapes_of_what_is_accused(site):
    issued = judged(site, site.poisoned)
    kept = kept_evidence(site.evidence(), str(issued.test_result), at=AT)
    assert kept.shapes is not None
    shapes = {shape.column: shape for shape in kept.shapes[Lane.ANCHORED]}
    accused = {r.column for r in kept.records if r.status is Status.FAILED and r.column}
    assert accused <= set(shapes)
    label = shapes["label"]
    assert sum(label.rows_now) == sum(sum(part.rows_now) for part in label.parts) == 3000
    c1 = next(part for part in label.parts if part.subject == "contributor c1")
    table = pq.read_table(site.poisoned)
    of_c1 = Counter(row["label"] for row in table.to_pylist() if row["who"] == "c1")
    assert dict(zip(label.cells, c1.rows_now, strict=True)) == {
        **dict.fromkeys(label.cells, 0),
        **{str(name): count for name, count in of_c1.items()},
    }
    assert len(dumps(shapes_to_json(kept.shapes))) < 3_000  # ADR 31


def test_a_clean_batch_keeps_label_and_contributor(site):
    issued = judged(site, site.clean)
    kept = kept_evidence(site.evidence(), str(issued.test_result), at=AT)
    assert [shape.column for shape in kept.shapes[Lane.ANCHORED]] == ["label", "who"]
    assert len(dumps(shapes_to_json(kept.shapes))) < 1_000


def resigned(site, issued, change):
    """Put a test result into the ledger that differs from the gate's."""
    record = site.evidence().ledger.by_envelope(str(issued.test_result))
    payload = dsse.Envelope.from_bytes(record.envelope).payload
    statement = Statement.from_bytes(payload)
    kept = dict(statement.predicate["sluicegate"])
    change(kept)
    changed = replace(statement, predicate={**statement.predicate, "sluicegate": kept})
    envelope = dsse.sign(changed.to_bytes(), site.signer("gate")).to_bytes()
    site.evidence().append("src", issued.verdict.digest, [("test-result", envelope)])
    return str(sha256_bytes(envelope))


def test_a_test_result_of_a_version_that_kept_no_shapes_is_read(site):
    issued = judged(site, site.clean)
    older = resigned(site, issued, lambda kept: kept.pop("shapes"))
    kept = kept_evidence(site.evidence(), older, at=AT)
    assert kept.shapes is None
    assert list(kept.records) == kept_records(site.evidence(), older, at=AT)


def test_shapes_that_no_gate_writes_are_refused_and_findings_still_count(site):
    issued = judged(site, site.clean)
    forged = resigned(site, issued, lambda kept: kept.update(shapes={"anchored": "<img>"}))
    with pytest.raises(MalformedEnvelope, match="shapes"):
        kept_evidence(site.evidence(), forged, at=AT)
    assert kept_records(site.evidence(), forged, at=AT)
