"""The audit as a task. It runs on a schedule, and fails when something is wrong.

The guard does not exempt this class: an audit reads no training data, and a DAG of audits needs no
protected tag.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from sluicegate.errors import ConfigError
from sluicegate.orchestration.protecting.task_edge import mapped_errors
from sluicegate.orchestration.settings import Settings
from sluicegate.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.workflow.auditing.audit import Audit
    from sluicegate.workflow.auditing.run_records import RunRecords
    from sluicegate.workflow.evidence.home import SluiceHome


class LedgerAuditOperator(BaseOperator):
    """Audit the ledger against the checkpoint it showed last time, and fail on findings.

    Args:
        memory: File that keeps that checkpoint; templated. Put it where nobody who can write the
            ledger can write: beside the ledger it would be rolled back together with it.
        airflow_conn_id: Connection (host, login, password) to the API server whose records are
            compared with the verdicts; when None, only the ledger is audited.
        lookback: How far back to compare runs. A finding about a run keeps this task failing
            until the run is older than that.
        only_new: Whether to check only the leaves added since the last audit.
        data: Whether to hash the newest sealed batch of every source again.
        witness_lag: How long new leaves may wait for the witnesses that the trust policy names;
            ignored if it names none.
        **kwargs: As for any operator.

    Returns:
        Through XCom only the number of findings by code; the log holds the rest.
    """

    template_fields: Sequence[str] = ("memory",)

    def __init__(
        self,
        *,
        memory: str,
        airflow_conn_id: str | None = None,
        lookback: timedelta = timedelta(days=7),
        only_new: bool = True,
        data: bool = False,
        witness_lag: timedelta = timedelta(hours=24),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.memory = memory
        self.airflow_conn_id = airflow_conn_id
        self.lookback = lookback
        self.only_new = only_new
        self.data = data
        self.witness_lag = witness_lag

    def execute(self, context: Mapping[str, Any]) -> dict[str, int]:
        """Audit, remember, and report.

        Raises:
            AirflowFailException: Something was found. No retry: it would not go away.
            AirflowException: The audit could not be made.
        """
        from sluicegate.orchestration.observing.steps import audited

        with mapped_errors():
            found = self._audit(Settings.from_airflow(os.environ))
        audited(found)
        for item in found.findings:
            severity, step = item.kind.severity, item.kind.next_step
            # Names of DAGs, tasks and files: whoever chose them may read this log.
            where, what = visible(item.locator), visible(item.message)
            self.log.error("%s %s %s: %s %s", severity, item.code, where, what, step)
        if found.findings:
            context["ti"].xcom_push(key="findings", value=found.counts)
            counts = ", ".join(f"{code} {count}" for code, count in found.counts.items())
            raise AirflowFailException(f"The audit found: {counts}")
        self.log.info("audited %d leaves, %d tasks: nothing found", found.n_leaves, found.n_tasks)
        return found.counts

    def _audit(self, settings: Settings) -> Audit:
        from sluicegate.workflow.auditing.audit import audit, open_for_audit
        from sluicegate.workflow.auditing.runs import RunRules
        from sluicegate.workflow.auditing.witnesses import Cosigned

        home, at = settings.home(), datetime.now(UTC).replace(microsecond=0)
        memory = _outside(Path(self.memory), home)
        remembered = memory.read_bytes() if memory.exists() else None
        found = audit(
            open_for_audit(home, at=at),
            at=at,
            remembered=remembered,
            only_new=self.only_new and remembered is not None,
            records=self._records(settings.protect_assets),
            rules=RunRules(tags=settings.protect_tags),
            data=self.data,
            cosigned=Cosigned.read(home.cosigned, self.witness_lag),
        )
        if found.checkpoint:
            _remember(memory, found.checkpoint)
        return found

    def _records(self, assets: Sequence[str]) -> RunRecords | None:
        if self.airflow_conn_id is None:
            return None
        from airflow.sdk import Connection

        from sluicegate.adapters.airflow_rest import AirflowApi
        from sluicegate.workflow.auditing.collect_records import collect_records

        connection = Connection.get(self.airflow_conn_id)
        host = connection.host or ""
        if "://" not in host:
            port = f":{connection.port}" if connection.port else ""
            host = f"{connection.schema or 'http'}://{host}{port}"
        api = AirflowApi(host, connection.login or "", connection.password or "")
        now = datetime.now(UTC)
        return collect_records(api, collected=now, since=now - self.lookback, assets=assets)


def _outside(memory: Path, home: SluiceHome) -> Path:
    """Return the path of the memory if it is not in the home, which it has to witness."""
    if not memory.is_absolute() or memory.resolve().is_relative_to(home.root.resolve()):
        raise ConfigError(
            "the audit's memory must be an absolute path outside the home directory",
            locator=str(memory),
            next_step="Name a file on a volume that the ledger's writers cannot write.",
        )
    return memory


def _remember(memory: Path, checkpoint: bytes) -> None:
    """Replace the memory in one step: a crash leaves the old checkpoint or the new one."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    fresh = memory.with_name(memory.name + ".new")
    fresh.write_bytes(checkpoint)
    fresh.replace(memory)
