"""Wait, without a worker slot, until training may start on a source.

This is for a training DAG that runs by the clock. Waiting lets nothing pass: when it ends, the
guard asks for the evidence of each training task as usual.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sluicegate.errors import ConfigError, SluicegateError
from sluicegate.foreign import coded
from sluicegate.orchestration.operators import _SluicegateOperator
from sluicegate.orchestration.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sluicegate.workflow.evidence.home import SluiceHome


class VerdictTrigger(BaseTrigger):
    """Checks the ledger again and again until training on a source is admitted.

    Args:
        source: Name of the source.
        poll_s: Seconds between two checks.
    """

    def __init__(self, source: str, poll_s: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.source = source
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores: neither home nor key, because these are settings."""
        return f"{__name__}.VerdictTrigger", {"source": self.source, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield once, when training may start. What cannot be checked is not a yes."""
        while not await asyncio.to_thread(self._is_admitted):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(self.poll_s)
        yield TriggerEvent({"source": self.source})  # type: ignore[no-untyped-call]

    def _is_admitted(self) -> bool:
        from sluicegate.workflow.admission.admit import admit_training

        try:
            home = Settings.from_airflow(os.environ).home()
            return bool(admit_training(home, [self.source], at=datetime.now(UTC)))
        except Exception as error:  # noqa: BLE001 - what could not be checked is not a yes
            self.log.info("%s: still waiting: %s", self.source, coded(error))
            return False


class WaitForVerdictOperator(_SluicegateOperator):
    """Wait in the triggerer until training may start on a source: passed, or waived.

    A blocked batch does not end the waiting; a waiver or the next batch may end it. The task fails
    when the time is over.

    Args:
        source: Name of the source.
        poll_s: Seconds between two checks of the ledger, at least 1.
        timeout: How long to wait.
        **kwargs: As for any operator.

    Returns:
        Through XCom ``{source, digest, verdict}``: a pointer.
    """

    def __init__(
        self,
        *,
        source: str,
        poll_s: float = 60,
        timeout: timedelta = timedelta(hours=12),
        **kwargs: Any,
    ) -> None:
        super().__init__(source=source, **kwargs)
        if not poll_s >= 1:
            raise ConfigError(
                "the ledger would be checked too often", locator="poll_s", got=f"{poll_s}"
            )
        self.poll_s = poll_s
        self.timeout = timeout

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from sluicegate.workflow.admission.admit import admit_training

        del context
        try:
            pointer = admit_training(home, [self.source], at=at)[self.source].pointer
        except SluicegateError as error:
            self.log.info("waiting: %s", error)
            self.defer(
                trigger=VerdictTrigger(self.source, self.poll_s),
                method_name="resume",
                timeout=self.timeout,
            )
        self._known = pointer
        return pointer

    def resume(self, context: Mapping[str, Any], event: object) -> Any:
        """Check again: what the triggerer says is no evidence.

        Args:
            context: Airflow's task context.
            event: What the trigger yielded; not used.
        """
        del event
        return self.execute(context)
