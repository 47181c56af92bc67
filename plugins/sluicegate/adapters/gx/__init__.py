"""Signals as Great Expectations: suites from JSON, run so that nothing can drop out unseen.

Importing this package does not import Great Expectations, which costs seconds; only
`run_suite` does, inside the task that needs it.
"""

from sluicegate.adapters.gx.accounting import SuiteOutcome, account
from sluicegate.adapters.gx.offline_docs import make_offline
from sluicegate.adapters.gx.run import run_suite
from sluicegate.adapters.gx.suite import load_suite
from sluicegate.adapters.gx.yardstick import judging

__all__ = ["SuiteOutcome", "account", "judging", "load_suite", "make_offline", "run_suite"]
