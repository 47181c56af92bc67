"""Catalogues learn version, integrity and verdict of a batch, and no row or contributor."""

from __future__ import annotations

import pytest

pytest.importorskip("airflow.providers.openlineage")
pytestmark = pytest.mark.airflow

POINTER = {"source": "flights", "digest": "dirHash1:" + "0" * 64, "verdict": "sha256:" + "1" * 64}


def verdict(result):
    from datetime import UTC, datetime, timedelta

    from sluicegate.digest.algorithms import Digest, sha256_bytes
    from sluicegate.gate.policy import Mode, result_of
    from sluicegate.gate.verdict import Reason, Verdict

    at = datetime(2026, 3, 1, tzinfo=UTC)
    said = result_of(result)
    return Verdict(
        result=said,
        source="flights",
        digest=Digest.parse(POINTER["digest"]),
        baseline=sha256_bytes(b"b"),
        policy=sha256_bytes(b"p"),
        suite=sha256_bytes(b"s"),
        code_version="1",
        run={},
        mode=Mode.ENFORCE,
        issued=at,
        expires=at + timedelta(days=1),
        reasons=(Reason("LABEL_FLIPS", "late", said, "contributor c3 flipped row 17"),),
    )


@pytest.mark.slow
def test_blocked_batch_is_a_failed_assertion_with_its_version():
    from openlineage.client.serde import Serde

    from sluicegate.orchestration.openlineage import facets

    (dataset,) = facets(POINTER, verdict("FAILED")).inputs
    shown = Serde.to_dict(dataset)
    assert shown["facets"]["version"]["datasetVersion"] == POINTER["digest"]
    integrity = shown["facets"]["sluicegate_integrity"]
    assert (integrity["verdict"], integrity["envelope"]) == ("FAILED", POINTER["verdict"])
    first, second = shown["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (first["assertion"], first["success"]) == ("sluicegate.verdict", False)
    assert (second["assertion"], second["column"]) == ("LABEL_FLIPS", "late")
    assert "c3" not in Serde.to_json(dataset)


@pytest.mark.slow
def test_sealed_batch_is_an_output():
    from sluicegate.orchestration.openlineage import facets

    lineage = facets({**POINTER, "index": "0"}, output=True)
    assert lineage.inputs == []
    assert lineage.outputs[0].name == "flights"


def test_task_that_ended_early_reports_nothing():
    from sluicegate.orchestration.operators import TrainingGateOperator

    gate = TrainingGateOperator(task_id="gate", source="flights")
    assert gate.get_openlineage_facets_on_failure(None).inputs == []
    gate._known, gate._verdict = POINTER, verdict("WARNED")
    assert len(gate.get_openlineage_facets_on_complete(None).inputs) == 1
