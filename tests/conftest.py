"""In CI nothing is skipped for want of a tool: what could not run has not been shown.

And no property has a deadline: how long an example takes says what else the machine does.
"""

from __future__ import annotations

import os
import signal
import sys

import pytest
from hypothesis import settings

settings.register_profile("sluicegate", deadline=None)
# `make quick` tries fewer examples of each property; `make test` all that it asks for.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("sluicegate")

REQUIRE_SERVICES = "SLUICEGATE_REQUIRE_SERVICES"


def _demanded(report):
    """Turn "skipped" into "failed" if this run promised to have everything."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(REQUIRE_SERVICES):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_SERVICES} is set, but: {reason}"
    return report


def pytest_configure():
    """Make a process of its own like one that somebody started from a file, in the foreground.

    A shell has its jobs in the background ignore interrupts, which tests send. PySpark ends a
    process whose main module has no file when it is imported, with exit code 0, for it takes that
    for doctests (findings/pyspark-import-exits.sh).
    """
    main = sys.modules["__main__"]
    if not hasattr(main, "__file__"):
        main.__file__ = __file__
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


TOGETHER = {
    **dict.fromkeys(("tests/airflow/", "tests/distributed/", "tests/e2e/"), "airflow"),
    "tests/unit/signals/": "signals",
}
"""Two Airflows beside each other on two processors lose tasks that start too slowly; and baselines
that many files share are built once in each process."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Spread whole files over the processes; files that go together stay together."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            path = super()._split_scope(nodeid)
            return next((name for place, name in TOGETHER.items() if path.startswith(place)), path)

    return ByFile(config, log)


JUDGED_SITE = {"site", "built_site", "admitted"}
"""Fixtures with an installation that seals, judges and signs: seconds for each test."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A test on a judged site is slow, wherever it stands."""
    for item in items:
        if JUDGED_SITE.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A test's own skip; a `skipif` mark says where a test means nothing, and stays."""
    report = yield
    return report if item.get_closest_marker("skipif") else _demanded(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """A whole file's skip, as `pytest.importorskip` at its top makes it."""
    return _demanded((yield))
