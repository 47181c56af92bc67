"""Expectation classes, one a signal, and the metric that evaluates them all at once.

Statistics stay in `sluicegate.signals`: the metric runs them once a batch, and each
expectation reads its own records out of the result. The classes are made from `CATALOG`, so
`from sluicegate.adapters.gx.expectations import ExpectLabelPriorWithinTolerance` works.

Import this module before loading a stored suite: Great Expectations silently drops
expectations whose module nobody imported, and calls the rest a success.
"""

# This module exists only to be imported where Great Expectations is wanted (TID253); pydantic
# and the metric decorator read annotations at run time (TC); hooks have fixed arguments (ARG).
# ruff: noqa: TID253, TC002, TC003, ARG002, ARG003

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from great_expectations.compatibility.pydantic import validator
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.execution_engine.sqlalchemy_execution_engine import (
    SqlAlchemyExecutionEngine,
)
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.render.components import (
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
)
from great_expectations.render.renderer.renderer import renderer

from sluicegate.adapters.gx.batch_rows import frame_batches, spark_batches, sql_batches
from sluicegate.adapters.gx.catalog import CATALOG
from sluicegate.adapters.gx.yardstick import Yardstick, find_yardstick
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import MalformedEnvelope
from sluicegate.signals.decision.record import SignalRecord, Status
from sluicegate.untrusted import html_text

METRIC = "sluicegate.records"
_BLOCKS = (Status.FAILED, Status.NOT_EVALUATED)


class SignalRecords(TableMetricProvider):
    """All records of a batch; one evaluation serves every expectation with equal digests."""

    metric_name = METRIC
    value_keys = ("baseline", "limits")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 - Great Expectations binds it to the class
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> tuple[SignalRecord, ...]:
        frame = _rows(execution_engine, metric_domain_kwargs)
        return _yardstick(metric_value_kwargs).records(lambda: frame_batches(frame))

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805 - Great Expectations binds it to the class
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> tuple[SignalRecord, ...]:
        rows, url = _rows(execution_engine, metric_domain_kwargs), execution_engine.engine.url
        return _yardstick(metric_value_kwargs).records(lambda: sql_batches(url, rows))

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(
        cls,  # noqa: N805 - Great Expectations binds it to the class
        execution_engine: SparkDFExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> tuple[SignalRecord, ...]:
        frame = _rows(execution_engine, metric_domain_kwargs)
        return _yardstick(metric_value_kwargs).records(lambda: spark_batches(frame))


def _rows(execution_engine: ExecutionEngine[Any], domain: dict[str, Any]) -> Any:
    rows, _, _ = execution_engine.get_compute_domain(domain, domain_type=MetricDomainTypes.TABLE)
    return rows


def _yardstick(kwargs: dict[str, Any]) -> Yardstick:
    return find_yardstick(kwargs["baseline"], kwargs["limits"])


class SignalExpectation(BatchExpectation):
    """Base of all expectations that carry a signal.

    Args:
        baseline: Digest of the baseline, ``sha256:<hex>``, or a suite parameter.
        limits: Digest of tolerances and false-block budget, or a suite parameter.
    """

    code: ClassVar[str] = ""

    baseline: str | SuiteParameterDict[str, str]
    limits: str | SuiteParameterDict[str, str]

    metric_dependencies = (METRIC,)
    success_keys = ("baseline", "limits")
    args_keys = ("baseline", "limits")

    @validator("baseline", "limits")
    def _is_digest(cls, value: Any) -> Any:  # noqa: N805 - pydantic 1 binds it to the class
        if isinstance(value, str):
            try:
                Digest.parse(value)
            except MalformedEnvelope as error:
                raise ValueError(str(error)) from None
        return value

    @classmethod
    def is_abstract(cls) -> bool:
        """Return whether the class carries no signal, so that it is not registered."""
        return not cls.code

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        own = [(i, r) for i, r in enumerate(metrics[METRIC]) if r.code == self.code]
        if not own:
            return self._without_records()
        records = [record for _, record in own]
        return {
            "success": not any(record.status in _BLOCKS for record in records),
            "result": {
                "observed_value": observed_text(records),
                "details": {
                    "positions": [position for position, _ in own],
                    "records": [record.to_dict() for record in records],
                },
            },
        }

    def _without_records(self) -> dict[str, Any]:
        """No record is fine only if the baseline has nothing that the signal could look at."""
        if find_yardstick(str(self.baseline), str(self.limits)).demands(self.code):
            record = SignalRecord(
                code=self.code,
                family=CATALOG[self.code].family,
                status=Status.NOT_EVALUATED,
                message=f"{self.code}: not evaluated: the evaluation left no record.",
            )
            records, text, success = [record.to_dict()], record.message, False
        else:
            records, text, success = [], "does not apply to this baseline", True
        details = {"positions": [-1] * len(records), "records": records}
        return {"success": success, "result": {"observed_value": text, "details": details}}

    @classmethod
    def _prescriptive_template(cls, renderer_configuration: Any) -> Any:
        renderer_configuration.template_str = cls._demand(renderer_configuration.kwargs)
        return renderer_configuration

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls,
        configuration: Any = None,
        result: Any = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> list[RenderedStringTemplateContent]:
        source = configuration or getattr(result, "expectation_config", None)
        return [
            RenderedStringTemplateContent(
                content_block_type="string_template",
                string_template={
                    "template": cls._demand(source.kwargs if source else {}),
                    "params": {},
                    "styling": (runtime_configuration or {}).get("styling", {}),
                },
            )
        ]

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls,
        configuration: Any = None,
        result: Any = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> str:
        text = (getattr(result, "result", None) or {}).get("observed_value")
        # Messages name contributors, and whoever contributes chooses that name.
        return html_text(text) if isinstance(text, str) else "not evaluated"

    @classmethod
    def _demand(cls, kwargs: Mapping[str, Any]) -> str:
        return f"{CATALOG[cls.code].demand} ({_reference(kwargs)})"


def observed_text(records: Iterable[SignalRecord]) -> str:
    """Say in one text what was found: counts by status, then every message that is no pass."""
    records = list(records)
    counts = {status: sum(r.status is status for r in records) for status in Status}
    head = ", ".join(f"{n} {status.value}" for status, n in counts.items() if n)
    rest = [r.message or f"{r.code} {r.column}: {r.status}" for r in records]
    found = [text for text, r in zip(rest, records, strict=True) if r.status is not Status.PASSED]
    return "; ".join([head, *found])


def _reference(kwargs: Mapping[str, Any]) -> str:
    named = ((key, kwargs.get(key)) for key in ("baseline", "limits"))
    return ", ".join(
        f"{key} {value.rpartition(':')[2][:12]}" if isinstance(value, str) else f"{key} of the run"
        for key, value in named
    )


def _define(code: str) -> type[SignalExpectation]:
    signal = CATALOG[code]
    body = {
        "__doc__": signal.demand,
        "__module__": __name__,
        # The annotation keeps pydantic from making a field of it.
        "__annotations__": {"code": ClassVar[str]},
        "code": code,
    }
    made: type[SignalExpectation] = types.new_class(
        signal.expectation, (SignalExpectation,), exec_body=lambda ns: ns.update(body)
    )
    return made


EXPECTATIONS: Mapping[str, type[SignalExpectation]] = {code: _define(code) for code in CATALOG}
"""Signal code to expectation class; defining a class registers it with Great Expectations."""


def __getattr__(name: str) -> type[SignalExpectation]:
    for code, signal in CATALOG.items():
        if signal.expectation == name:
            return EXPECTATIONS[code]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
