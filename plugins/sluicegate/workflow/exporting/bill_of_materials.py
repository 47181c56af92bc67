"""Describe a model run in two formats that other tools read: CycloneDX ML-BOM and OpenLineage.

Both are derived from signed evidence, and nobody signs them: they are views that say where the
evidence is. Sources: CycloneDX 1.6 JSON reference (component types
``machine-learning-model`` and ``data``); OpenLineage object model 2-0-2.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate import __version__
from sluicegate.attest.timestamps import format_timestamp

if TYPE_CHECKING:
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch

_PRODUCER: Final = f"https://sluicegate.dev/sluicegate/{__version__}"
_RUN_EVENT: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_VERSION_FACET: Final = (
    "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"
    "#/$defs/DatasetVersionDatasetFacet"
)
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://sluicegate.dev/runs/v1")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A trained model.

    Attributes:
        name: Name of the model.
        digest: SHA-256 of its file.
    """

    name: str
    digest: Digest


def ml_bom(
    batch: SealedBatch, issued: IssuedVerdict | None, model: ModelFile | None
) -> dict[str, Any]:
    """Return a CycloneDX 1.6 ML-BOM of a data set and, if given, the model trained on it.

    The same evidence gives the same bytes: serial number and time come from the verdict.

    Args:
        batch: The sealed batch.
        issued: The verdict on it.
        model: The model. Only the caller says that it was trained on this batch; no key signs it.
    """
    data = _data_component(batch, issued)
    value: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{_run_id(batch, issued)}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": "sluicegate", "version": __version__}
                ]
            }
        },
        "components": [data],
    }
    if issued is not None:
        value["metadata"]["timestamp"] = format_timestamp(issued.verdict.issued)
    if model is not None:
        component = _model_component(model, data["bom-ref"])
        value["components"].append(component)
        value["dependencies"] = [{"ref": component["bom-ref"], "dependsOn": [data["bom-ref"]]}]
    return value


def _data_component(batch: SealedBatch, issued: IssuedVerdict | None) -> dict[str, Any]:
    properties = {
        "sluicegate:digest": str(batch.digest),
        "sluicegate:version": str(batch.version),
    }
    if batch.table is not None:
        properties["sluicegate:rows"] = str(batch.table.n_rows)
    else:
        properties["sluicegate:files"] = str(len(batch.manifest.files))
    if issued is not None:
        properties |= {
            "sluicegate:verdict": str(issued.envelope),
            "sluicegate:verdict:result": issued.verdict.result.value,
            "sluicegate:policy": str(issued.verdict.policy),
        }
    return {
        "type": "data",
        "bom-ref": f"data:{batch.source}@{batch.digest}",
        "name": batch.source,
        "version": str(batch.version),
        # CycloneDX has a name for only one digest of files: the model-signing root.
        **(
            {"hashes": [{"alg": "SHA-256", "content": batch.manifest.oms_root.hex}]}
            if batch.table is None
            else {}
        ),
        "data": [{"type": "dataset", "name": batch.source}],
        "properties": [{"name": name, "value": value} for name, value in properties.items()],
    }


def _model_component(model: ModelFile, dataset: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model.name}@{model.digest}",
        "name": model.name,
        "hashes": [{"alg": "SHA-256", "content": model.digest.hex}],
        "modelCard": {"modelParameters": {"datasets": [{"ref": dataset}]}},
    }


def openlineage_event(batch: SealedBatch, issued: IssuedVerdict) -> dict[str, Any]:
    """Return the OpenLineage COMPLETE event of the gate run that judged a batch.

    Args:
        batch: The sealed batch.
        issued: The verdict on it; it names job and time.
    """
    verdict = issued.verdict
    job = ".".join(filter(None, (verdict.run.get("dag_id"), verdict.run.get("task_id"))))
    return {
        "eventType": "COMPLETE",
        "eventTime": format_timestamp(verdict.issued),
        "producer": _PRODUCER,
        "schemaURL": _RUN_EVENT,
        "run": {"runId": str(_run_id(batch, issued))},
        "job": {"namespace": "sluicegate", "name": job or "gate"},
        "inputs": [
            {
                "namespace": "sluicegate",
                "name": batch.source,
                "facets": {
                    "version": _facet(_VERSION_FACET, datasetVersion=str(batch.digest)),
                    "sluicegate_verdict": _facet(
                        "https://sluicegate.dev/openlineage/verdict/v1",
                        result=verdict.result.value,
                        verdict=str(issued.envelope),
                        policy=str(verdict.policy),
                    ),
                },
            }
        ],
        "outputs": [],
    }


def _facet(schema: str, **fields: str) -> dict[str, str]:
    return {"_producer": _PRODUCER, "_schemaURL": schema, **fields}


def _run_id(batch: SealedBatch, issued: IssuedVerdict | None) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, str(batch.digest if issued is None else issued.envelope))
