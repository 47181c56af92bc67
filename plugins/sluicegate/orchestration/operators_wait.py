"""Wait, without a worker slot, until training may start on a source.

For a training DAG that runs by the clock. Waiting lets nothing pass: when it ends, the guard asks
for the evidence of each training task as ever.
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
    """Looks into the ledger until it admits training on a source.

    Args:
        source: Name of the source.
        poll_s: Seconds between two looks.
    """

    def __init__(self, source: str, poll_s: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.source = source
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores of it: no home and no key, which are settings."""
        return f"{__name__}.VerdictTrigger", {"source": self.source, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield once, when training may start; what cannot be checked is not a yes."""
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
    """Park in the triggerer until training may start on a source: passed, or waived.

    A blocked batch does not end the waiting: a waiver or the next batch may. Time running out
    fails the task.

    Args:
        source: Name of the source.
        poll_s: Seconds between two looks into the ledger, at least 1.
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
            raise ConfigError("too many looks into the ledger", locator="poll_s", got=f"{poll_s}")
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

    def resume(self, context: Mapping[str, Any], event: object) -> dict[str, str]:
        """Ask again: what the triggerer says is no evidence."""
        del event
        return self.execute(context)
