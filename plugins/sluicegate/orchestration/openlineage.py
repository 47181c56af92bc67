"""What the operators tell OpenLineage: version, integrity and quality of a batch.

A lineage event is a copy for catalogues. It is not signed and proves nothing. Its integrity facet
says where the evidence is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sluicegate import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.gate.verdict import Verdict
    from sluicegate.orchestration.derived import Derived

NAMESPACE: Final = "sluicegate"

_PRODUCER: Final = f"https://sluicegate.dev/{__version__}"
_SCHEMA: Final = "https://sluicegate.dev/openlineage/IntegrityDatasetFacet/v1.json"


def facets(
    pointer: Mapping[str, str] | None, verdict: Verdict | None = None, *, output: bool = False
) -> Any:
    """Return the ``OperatorLineage`` of a batch.

    Args:
        pointer: ``source``, ``digest`` and, if there is one, ``verdict`` or ``index``; None if
            the task ended before it knew the batch.
        verdict: The gate's verdict on it, if there is one.
        output: Whether the task sealed the batch; otherwise it judged the batch.

    Returns:
        Lineage with one dataset; empty if there is no pointer.

    Raises:
        ImportError: The provider is not installed; Airflow asks only if it is.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import dataset_version_dataset

    if pointer is None:
        return OperatorLineage()
    common = {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(pointer["digest"]),
        "sluicegate_integrity": _integrity(pointer, verdict),
    }
    if output:
        made = OutputDataset(namespace=NAMESPACE, name=pointer["source"], facets=common)
        return OperatorLineage(outputs=[made])
    quality = {} if verdict is None else {"dataQualityAssertions": _assertions(verdict)}
    judged = InputDataset(
        namespace=NAMESPACE, name=pointer["source"], facets=common, inputFacets=quality
    )
    return OperatorLineage(inputs=[judged])


def derived_facets(derived: Derived | None) -> Any:
    """Return the ``OperatorLineage`` of a task that made a batch from others.

    Args:
        derived: What the task established; None if it ended before that.

    Raises:
        ImportError: The provider is not installed; Airflow asks only if it is.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    if derived is None:
        return OperatorLineage()
    read = [dataset for pointer in derived.inputs for dataset in facets(pointer).inputs]
    return OperatorLineage(inputs=read, outputs=facets(derived.output, output=True).outputs)


def _integrity(pointer: Mapping[str, str], verdict: Verdict | None) -> Any:
    import attr
    from openlineage.client.facet_v2 import DatasetFacet

    @attr.define
    class IntegrityDatasetFacet(DatasetFacet):
        digest: str
        verdict: str
        envelope: str
        policy: str

        @staticmethod
        def _get_schema() -> str:
            return _SCHEMA

    return IntegrityDatasetFacet(
        digest=pointer["digest"],
        verdict="" if verdict is None else verdict.result.value,
        envelope=pointer.get("verdict", ""),
        policy="" if verdict is None else str(verdict.policy),
        producer=_PRODUCER,
    )


def _assertions(verdict: Verdict) -> Any:
    """Return an assertion for the verdict, and one for each reason, by code and column."""
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

    passed = verdict.result.value != "FAILED"
    found = [quality.Assertion(assertion="sluicegate.verdict", success=passed)]
    found += [
        # No message: it may name rows or contributors, and a catalogue is read by many.
        quality.Assertion(
            assertion=reason.code,
            success=reason.result.value != "FAILED",
            column=reason.column or None,
        )
        for reason in verdict.reasons
    ]
    return quality.DataQualityAssertionsDatasetFacet(assertions=found, producer=_PRODUCER)
