"""Tell people once when an incident begins and once when it is over, by any Airflow notifier.

    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    def mail(subject, text):
        return SmtpNotifier(to="a@example.com", subject=subject, html_content=text)

    tell = IncidentNotifier(source="flights", send=mail, as_html=True)
    TrainingGateOperator(
        task_id="gate", source="flights", on_failure_callback=tell, on_success_callback=tell
    )

Airflow logs and swallows the errors of a callback, so a message that cannot be sent blocks nothing
and lets nothing through.
"""

from __future__ import annotations

import html
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.notifier import BaseNotifier

from sluicegate.errors import GateBlocked
from sluicegate.orchestration.settings import Settings
from sluicegate.untrusted import visible
from sluicegate.workflow.evidence.home import check_source_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sluicegate.gate.verdict import Verdict


class IncidentNotifier(BaseNotifier):
    """For ``on_failure_callback`` and ``on_success_callback`` of a gate task; give it to both.

    Args:
        source: Name of the source that the task judges.
        send: Makes, from subject and text, the notifier that sends a message.
        as_html: Whether to escape the text and keep its lines, for notifiers that send HTML.
    """

    def __init__(
        self, *, source: str, send: Callable[[str, str], BaseNotifier], as_html: bool = False
    ) -> None:
        super().__init__()
        self.source = check_source_name(source)
        self.send = send
        self.as_html = as_html

    def notify(self, context: Any) -> None:
        """Send what is news: the first blocked verdict, a gate that could not judge, recovery."""
        if (message := self._message(context)) is None:
            return
        subject, text = message
        if self.as_html:
            text = f"<pre>{html.escape(text)}</pre>"
        # A subject is a header of a mail: a line break in it would begin another header.
        self.send(visible(subject), text).notify(context)

    def _message(self, context: Mapping[str, Any]) -> tuple[str, str] | None:
        from sluicegate.workflow.response.incidents import incident_of

        home = Settings.from_airflow(os.environ).home()
        ti, error = context["ti"], context.get("exception")
        incident = incident_of(home, self.source, at=datetime.now(UTC), run=_run_of(ti))
        if incident is not None and _is_of_try(incident.verdict, ti):
            return (incident.subject, incident.text) if incident.is_news else None
        if error is None or (incident is not None and f"[{GateBlocked.code}]" in f"{error}"):
            return None  # a rerun that only repeats its verdict; people were told
        # This try issued no verdict: nothing was found out, and nothing trains.
        return f"{self.source}: the gate could not judge", f"{error}"[:2000]


def _run_of(ti: Any) -> dict[str, str]:
    """Return which task instance calls back, as its verdict names it."""
    names = ("dag_id", "run_id", "task_id", "map_index")
    return {name: str(getattr(ti, name)) for name in names}


def _is_of_try(verdict: Verdict, ti: Any) -> bool:
    return verdict.run.get("try_number") == str(ti.try_number)
