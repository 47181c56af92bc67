"""Every metric that Sluicegate emits, one record each; docs/metrics.md has a table of them.

A tag has few values: names of sources, signals, results and error codes. No metric has a digest, a
path, a run or a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How values of a metric add up."""

    COUNTER = "counter"
    """They are added."""
    GAUGE = "gauge"
    """The newest counts."""
    TIMER = "timer"
    """Each is one observation of a distribution."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Name in Airflow; Airflow puts its own prefix before it.
        kind: How its values add up.
        unit: Unit of the value that is given to `emission.emit`.
        tags: Names of its tags. Each value of it has all of them.
        when: When a value is emitted, and what it says.
    """

    name: str
    kind: Kind
    unit: str
    tags: tuple[str, ...]
    when: str

    @property
    def exported(self) -> str:
        """Name in Prometheus, by statsd-exporter and Airflow's default prefix."""
        return "airflow_" + self.name.replace(".", "_")


VERDICTS: Final = Metric(
    "sluicegate.verdicts",
    Kind.COUNTER,
    "verdicts",
    ("source", "result"),
    "a gate has a verdict: `PASSED`, `WARNED` or `FAILED`",
)
SIGNALS: Final = Metric(
    "sluicegate.signals",
    Kind.COUNTER,
    "verdicts",
    ("source", "signal", "result"),
    "a signal is a reason of a gate's verdict, once however many columns it names; `result` is "
    "what it alone makes of the verdict",
)
GATE_SECONDS: Final = Metric(
    "sluicegate.gate_duration",
    Kind.TIMER,
    "s",
    ("source", "result"),
    "a gate ends: with a verdict, or with the code of the error that kept it from one",
)
SEAL_SECONDS: Final = Metric(
    "sluicegate.seal_duration",
    Kind.TIMER,
    "s",
    ("source", "result"),
    "a seal ends: `SEALED`, or the code of an error",
)
BYTES: Final = Metric(
    "sluicegate.hashed",
    Kind.COUNTER,
    "bytes",
    ("source", "step"),
    "a batch of files was sealed (`seal`), or read for a verdict (`gate`); rows of a database are "
    "not counted, nor the files of a manifest in parts",
)
APPEND_SECONDS: Final = Metric(
    "sluicegate.ledger_append",
    Kind.TIMER,
    "s",
    (),
    "an operator appended to the ledger: from the call until the store said it is durable",
)
ADMITTED: Final = Metric(
    "sluicegate.guard_admitted",
    Kind.COUNTER,
    "tasks",
    (),
    "the guard let a protected task start",
)
REFUSED: Final = Metric(
    "sluicegate.guard_refused",
    Kind.COUNTER,
    "tasks",
    ("code",),
    "the guard refused a protected task; `code` is that of the error",
)
GUARD_SECONDS: Final = Metric(
    "sluicegate.guard_duration",
    Kind.TIMER,
    "s",
    (),
    "the guard has decided",
)
TRUSTED: Final = Metric(
    "sluicegate.trusted_timestamp",
    Kind.GAUGE,
    "s since 1970",
    ("source",),
    "a gate lets training start on a batch, or the guard admits a task to it: when the verdict "
    "that allows it was issued. Its age is `time()` less this",
)
ARMED: Final = Metric(
    "sluicegate.workers_armed",
    Kind.GAUGE,
    "hosts",
    (),
    "`LedgerAuditOperator` compared Airflow's records: hosts on which a guard spoke",
)
UNARMED: Final = Metric(
    "sluicegate.workers_unarmed",
    Kind.GAUGE,
    "hosts",
    (),
    "the same: hosts that trained and on which no guard ever spoke",
)
FINDINGS: Final = Metric(
    "sluicegate.audit_findings",
    Kind.GAUGE,
    "findings",
    (),
    "`LedgerAuditOperator` has audited",
)

METRICS: Final = (
    VERDICTS,
    SIGNALS,
    GATE_SECONDS,
    SEAL_SECONDS,
    BYTES,
    APPEND_SECONDS,
    ADMITTED,
    REFUSED,
    GUARD_SECONDS,
    TRUSTED,
    ARMED,
    UNARMED,
    FINDINGS,
)
"""All of them, as the page lists them."""
