"""The operators: seal a source, judge it, and let training start on it.

Constructors only validate and keep text, so it costs nothing to parse a DAG file. Keys, data and
Great Expectations are used only in ``execute``. A verdict that blocks fails the task without retry:
the same bytes would be judged the same again.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow.sdk import BaseOperator, BaseOperatorLink

from sluicegate.errors import ConfigError
from sluicegate.orchestration.assets import announce, verified_asset
from sluicegate.orchestration.batches import (
    Asked,
    awaited,
    judged_day,
    named_or_own,
    parts_of,
    require_left,
    tallies_of,
)
from sluicegate.orchestration.settings import Settings
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sluicegate.attest.keys import Signer
    from sluicegate.gate.verdict import Verdict
    from sluicegate.orchestration.observing.steps import Step
    from sluicegate.workflow.evidence.home import SluiceHome

T = TypeVar("T")


class EvidenceLink(BaseOperatorLink):
    """Leads from a task to the verdict that it issued, or else to its source.

    The address is relative to Airflow's own, so that it holds behind a proxy.
    """

    name = "Sluicegate"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address; Airflow asks when the task has ended, in its process.

        Args:
            operator: The task, as it ran.
            ti_key: Which run of it; not used.
        """
        from urllib.parse import urlencode

        if operator.entry is not None:
            return f"plugin/sluicegate/verdict?{urlencode({'index': operator.entry})}"
        return f"plugin/sluicegate/source?{urlencode({'name': operator.source})}"


class _SluicegateOperator(BaseOperator):
    """What all operators share: settings, keys, error mapping, lineage."""

    operator_extra_links = (EvidenceLink(),)
    # Ledger entry of the verdict that this run issued; set only in ``execute``.
    entry: int | None = None

    # What this run has established, for OpenLineage; set only in ``execute``.
    _known: Mapping[str, str] | None = None
    _verdict: Verdict | None = None
    # Whether the output names a batch that this task sealed.
    seals = False
    # Name of the step that Airflow's metrics and traces are told of; "" for none.
    observed_as = ""
    _step: Step

    def __init__(self, *, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = check_source_name(source)

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Run, and map our errors to what Airflow should do about them.

        Raises:
            AirflowFailException: Checked and bad, or called wrongly: no retry.
            AirflowException: Could not check: Airflow may try again.
        """
        return self._mapped(lambda home, at: self._run(home, context, at))

    def _mapped(self, step: Callable[[SluiceHome, datetime], T]) -> T:
        from sluicegate.orchestration.observing.steps import observed
        from sluicegate.orchestration.protecting.task_edge import mapped_errors

        at = datetime.now(UTC).replace(microsecond=0)
        with mapped_errors(), observed(self.observed_as, self.source) as self._step:
            return step(Settings.from_airflow(os.environ).home(), at)

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> Any:
        raise NotImplementedError

    def _signer(self, home: SluiceHome, role: str) -> Signer:
        from sluicegate.orchestration.keys import signer_for

        return signer_for(role, home)

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> Any:
        """Return dataset version, integrity and quality for OpenLineage."""
        return self._facets()

    def get_openlineage_facets_on_failure(self, _task_instance: Any) -> Any:
        """Return the same: a catalogue must show a batch that was blocked."""
        return self._facets()

    def _facets(self) -> Any:
        from sluicegate.orchestration.openlineage import facets

        return facets(self._known, self._verdict, output=self.seals)


def run_of(context: Mapping[str, Any]) -> dict[str, str]:
    """Return who runs this task, for provenance and verdicts."""
    ti = context["ti"]
    return {
        "orchestrator": "airflow",
        "dag_id": str(ti.dag_id),
        "run_id": str(ti.run_id),
        "task_id": str(ti.task_id),
        "map_index": str(ti.map_index),
        "try_number": str(ti.try_number),
    }


class SealSourceOperator(_SluicegateOperator):
    """Hash, sign and log one batch of a source.

    Args:
        source: Name of the source; consumers ask for it by this name.
        path: File, directory, glob, URL of a store or ``postgresql://host/db#table``; templated.
        conn_id: Airflow connection with the credentials of the store or database. Its id is signed,
            so that gate and verified read find it.
        table: Whether to sign the digest of the files' rows too.
        row_key: Column that names a row, so that changed rows can be named later.
        row_label: Column whose flips are counted, with ``row_key``.
        hash_type: Hash of each file: ``auto`` (SHA-256, of shards if a file has 64 MiB or more),
            ``sha256``, ``sha256-shards`` or ``blake3`` (extra ``blake3``).
        **kwargs: As for any operator.

    Returns:
        Through XCom ``{source, digest, index}``: a pointer, never evidence.
    """

    template_fields: Sequence[str] = ("path",)
    seals = True
    observed_as = "seal"

    def __init__(
        self,
        *,
        path: str,
        conn_id: str | None = None,
        table: bool = False,
        row_key: str | None = None,
        row_label: str | None = None,
        hash_type: Literal["auto", "sha256", "sha256-shards", "blake3"] = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.hash_type = hash_type
        self.conn_id = conn_id
        self.table = table
        self.row_key = row_key
        self.row_label = row_label

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from sluicegate.adapters.sources.connection import filesystem_of
        from sluicegate.adapters.sources.open import open_any
        from sluicegate.workflow.evidence.opening import open_evidence
        from sluicegate.workflow.sealing.seal import RowRecord, seal_into_ledger

        evidence = open_evidence(home, at=at, ledger_signer=self._signer(home, "ledger"))
        batch = seal_into_ledger(
            open_any(self.path, filesystem=filesystem_of(self.path, self.conn_id)),
            self.source,
            evidence=evidence,
            signer=self._signer(home, "source"),
            at=at,
            run=run_of(context),
            rows=RowRecord.asked(self.row_key, self.row_label, digest=self.table),
            algorithm=self.hash_type,
            connection=self.conn_id if "://" in self.path else None,
        )
        self._step.sealed(batch)
        self.log.info("sealed %s@%s as version %d", batch.source, batch.digest, batch.version)
        pointer = {"source": batch.source, "digest": str(batch.digest), "index": str(batch.index)}
        self._known = pointer
        return pointer


class TrainingGateOperator(_SluicegateOperator):
    """Judge a sealed batch of a source, and emit its asset event only if training may start.

    Args:
        source: Name of the source.
        suite: Great Expectations suite whose expectations carry the signals; templated.
            Without one the signals are evaluated directly.
        conn_id: Another connection than the one that the batch was sealed by.
        batch: A seal task's output, or a digest; templated. When None, the batch that this run
            sealed, or the newest of the source if it sealed none.
        parts: Outputs of the seal tasks of the batch's partitions; templated.
        tallies: Outputs of the tasks that counted the batch's portions (`CountPortionOperator`);
            templated. With them no row is read here.
        tally_conn_id: Airflow connection of the store of tallies.
        announce: Whether to emit the event; False for a partition.
        **kwargs: As for any operator. ``outlets`` holds ``verified_asset(source)`` too.

    Returns:
        Through XCom and the event's extra ``{source, digest, verdict}``: a pointer.
    """

    template_fields: Sequence[str] = ("suite", "batch", "parts", "tallies")
    observed_as = "gate"

    def __init__(
        self,
        *,
        source: str,
        suite: str | None = None,
        conn_id: str | None = None,
        batch: Any = None,
        parts: Any = None,
        tallies: Any = None,
        tally_conn_id: str | None = None,
        announce: bool = True,
        **kwargs: Any,
    ) -> None:
        if suite is not None and tallies is not None:
            raise ConfigError("a suite judges rows, and tallies hold none", locator="tallies")
        if announce:
            kwargs["outlets"] = [*kwargs.pop("outlets", []), verified_asset(source)]
        super().__init__(source=source, **kwargs)
        self.suite, self.conn_id, self.announce = suite, conn_id, announce
        self.batch, self.parts = batch, parts
        self.tallies, self.tally_conn_id = tallies, tally_conn_id
        self.awaited = awaited(batch=batch, parts=parts, tallies=tallies)

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from sluicegate.adapters.policy_file import read_policy
        from sluicegate.workflow.judging.gate import GateSigners

        require_left(self.source, {name: getattr(self, name) for name in self.awaited})
        policy, run = read_policy(home.policy), run_of(context)
        signers = GateSigners(self._signer(home, "gate"), self._signer(home, "ledger"))
        tallies = tallies_of(self.tallies, self.source, self.tally_conn_id)
        here: dict[str, Any] = {"home": home, "context": context, "run": run, "at": at}
        digest = tallies.digest if tallies else named_or_own(self, self.source, self.batch, **here)
        asked = Asked(self.source, digest, parts_of(self.parts), judged_day(context), tallies)
        issued, batch = asked.gate(
            home, policy, signers, suite=self.suite, conn_id=self.conn_id, run=run, at=at
        )
        self._verdict = verdict = issued.verdict
        self.entry = issued.index
        names = {"source": batch.source, "digest": str(batch.digest)}
        self._known = pointer = {**names, "verdict": str(issued.envelope)}
        self._step.judged(issued, batch)
        verdict.require_passed(policy, at=at)
        self._step.trusted(verdict)
        for reason in verdict.told:
            self.log.warning("%s %s", reason.result, reason.message)
        if verdict.pool is not None:
            self.log.info("%s", verdict.pool.text)
        self.log.info("verdict %s on %s@%s", verdict.result, batch.source, batch.digest)
        self._announce(context, pointer)
        return pointer

    def _announce(self, context: Mapping[str, Any], pointer: dict[str, str]) -> None:
        if self.announce:
            announce(context, self.source, pointer)
