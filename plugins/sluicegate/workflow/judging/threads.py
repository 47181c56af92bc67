"""How many threads judge a batch: as many as there are processors, or as one says."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from sluicegate.errors import ConfigError
from sluicegate.signals.ahead import MAX_THREADS

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_THREADS: Final = "SLUICEGATE_THREADS"
"""How many threads judge a batch."""


def threads_for(environ: Mapping[str, str]) -> int:
    """Return how many threads judge a batch.

    Args:
        environ: Environment; without ``SLUICEGATE_THREADS`` it is as many as this process has
            processors, at most 8.

    Raises:
        ConfigError: The variable is no number from 1 to 8.
    """
    asked = environ.get(ENV_THREADS, "").strip()
    if not asked:
        return max(1, min(_processors(), MAX_THREADS))
    if not asked.isdecimal() or not 1 <= int(asked) <= MAX_THREADS:
        raise ConfigError(
            "number of threads is out of range",
            locator=ENV_THREADS,
            expected=f"a whole number from 1 to {MAX_THREADS}",
            got=asked[:20],
            next_step="Unset it to use every processor.",
        )
    return int(asked)


def _processors() -> int:
    """A container or a scheduler may leave a process fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
