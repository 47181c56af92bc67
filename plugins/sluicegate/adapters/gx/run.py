"""Run a suite on one batch, and believe only what can be accounted for.

Great Expectations fails open in three ways, each answered here:

1. It drops expectations that it does not know and reports success for the rest. The types
   that were evaluated are compared with the types that the suite lists.
2. It turns exceptions into text beside a result. Any exception makes the signal
   NOT_EVALUATED, which blocks unless the policy says in words why not.
3. A suite without expectations succeeds. It is refused before it runs.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.gx.accounting import SuiteOutcome, account
from sluicegate.adapters.gx.suite import expectation_types
from sluicegate.adapters.gx.yardstick import Yardstick, judging, place
from sluicegate.errors import ConfigError
from sluicegate.signals.contributors.names import SHOWN, ContributorNames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from sluicegate.signals.baseline.stored import Baseline


def run_suite(
    table: pa.Table,
    *,
    suite_json: Mapping[str, Any],
    baseline: Baseline,
    tolerances: Mapping[str, float],
    false_block_budget: float,
    naming: ContributorNames = SHOWN,
) -> SuiteOutcome:
    """Evaluate the signals that a suite lists, through Great Expectations.

    Args:
        table: The batch, any Arrow types.
        suite_json: What `load_suite` returned; it is checked again.
        baseline: What the batch is compared with.
        tolerances: Largest accepted effects by signal code; may be empty.
        false_block_budget: Probability in (0, 0.5] of blocking a clean batch.
        naming: What contributors are called in results.

    Returns:
        Records for every listed expectation that applies to the baseline.

    Raises:
        ConfigError: The suite is unusable, or the core refuses tolerances or budget.

    Cost:
        Import of Great Expectations once a process (about 5 CPU s), then the core's cost
        and 3 CPU s for 1,000,000 rows; docs/adr/0004-great-expectations.md has the measurements.
    """
    expectation_types(suite_json)
    with judging(
        baseline, tolerances=tolerances, false_block_budget=false_block_budget, naming=naming
    ) as yardstick:
        version, results, fault = _validate(table, suite_json, yardstick)
        for error in yardstick.failures:
            if isinstance(error, ConfigError):
                raise error
    reason = str(yardstick.failures[0]) if yardstick.failures else fault
    outcome = account(suite_json, results, reason=reason, gx_version=version)
    return replace(outcome, shapes=dict(yardstick.shapes))


def _validate(
    table: pa.Table, suite_json: Mapping[str, Any], yardstick: Yardstick
) -> tuple[str, Sequence[Any], str]:
    """Return the version, the results, and why there are none ("" if there are)."""
    with _quiet():
        try:
            import great_expectations as gx
            import pandas as pd

            import sluicegate.adapters.gx.expectations  # noqa: F401 - registers the classes
        except (ImportError, SystemExit) as error:
            # PySpark, which it imports, ends a process without a main file, with success.
            raise ConfigError(
                "Great Expectations cannot be imported",
                got=getattr(error, "name", None) or type(error).__name__,
                locator="suite",
            ) from error
        try:
            # Arrow types inside pandas: null, integer, time zone and decimal survive the trip.
            frame = table.to_pandas(types_mapper=pd.ArrowDtype)
            suite = gx.ExpectationSuite(
                name=suite_json["name"],
                expectations=[
                    {"type": listed["type"], "kwargs": dict(listed["kwargs"])}
                    for listed in suite_json["expectations"]
                ],
            )
            with _context() as context:
                asset = context.data_sources.add_pandas("batch").add_dataframe_asset("batch")
                # Not `get_batch` and `validate`: each of them hashes the whole frame.
                definition = gx.ValidationDefinition(
                    name="batch",
                    data=asset.add_batch_definition_whole_dataframe("batch"),
                    suite=context.suites.add(suite),
                )
                outcome = context.validation_definitions.add(definition).run(
                    batch_parameters={"dataframe": frame},
                    expectation_parameters=yardstick.parameters,
                    result_format="COMPLETE",
                )
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was checked
            what = f"{type(error).__module__}.{type(error).__name__} at {place(error)}"
            return gx.__version__, (), f"Great Expectations raised {what}"
        return gx.__version__, outcome.results, ""


@contextmanager
def _context() -> Iterator[Any]:
    """Yield a context that lives in memory, and put the caller's own back afterwards."""
    from great_expectations.data_context.data_context.context_factory import project_manager
    from great_expectations.data_context.data_context.ephemeral_data_context import (
        EphemeralDataContext,
    )
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )
    from great_expectations.exceptions.exceptions import DataContextRequiredError

    try:
        before = project_manager.get_current_project()
    except DataContextRequiredError:
        before = None
    context = EphemeralDataContext(
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
        )
    )
    project_manager.set_project(context)
    try:
        yield context
    finally:
        project_manager.set_project(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a task's log readable: importing Great Expectations logs and warns a lot."""
    logger = logging.getLogger("great_expectations")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
