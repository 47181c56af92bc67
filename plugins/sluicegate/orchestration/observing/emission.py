"""Hand values to Airflow's metrics and spans to its traces, and never fail.

Airflow decides where they go: StatsD, OpenTelemetry or nowhere. Nothing is decided by what happens
here. So an error is said in the log and goes no further; an interruption, such as Airflow's task
timeout, does.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sluicegate.orchestration.observing.metrics import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.orchestration.observing.metrics import Metric

_log = logging.getLogger("sluicegate.metrics")

MAX_TAG: Final = 80
"""Most characters of a tag's value: with InfluxDB tags Airflow drops a name of more than 250."""


def emit(metric: Metric, value: float = 1, /, **tags: str) -> None:
    """Hand one value to Airflow.

    Args:
        metric: Which one.
        value: In the metric's unit; 0 or more.
        tags: A value for each tag of the metric, as people write it.
    """
    with _harmless(metric.name):
        from airflow.sdk.observability import stats

        named = {name: tag_value(tags[name]) for name in metric.tags}
        match metric.kind:
            case Kind.COUNTER:
                stats.incr(metric.name, int(value), tags=named)
            case Kind.GAUGE:
                stats.gauge(metric.name, value, tags=named)
            case Kind.TIMER:
                stats.timing(metric.name, timedelta(seconds=value), tags=named)


def tag_value(text: str) -> str:
    """Return a text as the value of a tag: letters, digits, ``_``, ``.`` and ``-``.

    Any other character becomes ``_``, as Airflow does it. A long text is cut, and keeps some of its
    digest so that two of them stay two.
    """
    from airflow.sdk.observability.stats import normalize_name_for_stats

    plain = normalize_name_for_stats(text, log_warning=False)
    if len(plain) > MAX_TAG:
        plain = f"{plain[: MAX_TAG - 9]}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return plain or "_"


class Span:
    """A span of Airflow's traces, below the one of the running task if there is one.

    Args:
        name: What is done in it; "" for no span at all.
    """

    def __init__(self, name: str) -> None:
        self._span: Any = None
        if not name:
            return
        with _harmless(name):
            from opentelemetry import trace

            self._span = trace.get_tracer("sluicegate").start_span(name)

    def say(self, **attributes: str | list[str]) -> None:
        """Set attributes; each is named ``sluicegate.`` and its name here."""
        if self._span is not None:
            with _harmless("span"):
                self._span.set_attributes({f"sluicegate.{k}": v for k, v in attributes.items()})

    def end(self, error: str = "") -> None:
        """End the span.

        Args:
            error: Code of the error that ended it; "" for none.
        """
        if self._span is None:
            return
        with _harmless("span"):
            from opentelemetry.trace import Status, StatusCode

            if error:
                self._span.set_status(Status(StatusCode.ERROR, error))
            self._span.end()


@contextmanager
def _harmless(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it must not change what a gate or guard decides
        _log.warning("%s was not emitted: %s", what, type(error).__name__)
