"""How many threads judge a batch."""

import os
import sys

import pytest

from sluicegate.errors import ConfigError
from sluicegate.signals.ahead import MAX_THREADS
from sluicegate.workflow.judging.threads import ENV_THREADS, threads_for


def test_without_a_setting_every_processor_of_the_process_works():
    found = threads_for({})
    assert 1 <= found <= MAX_THREADS
    if sys.platform == "linux":
        assert found == min(MAX_THREADS, len(os.sched_getaffinity(0)))
    assert threads_for({ENV_THREADS: " "}) == found


@pytest.mark.parametrize("asked", ["1", "2", " 8 "])
def test_the_setting_is_what_it_says(asked):
    assert threads_for({ENV_THREADS: asked}) == int(asked)


@pytest.mark.parametrize("asked", ["0", "9", "-1", "two", "1.5", "100000"])
def test_another_setting_is_refused(asked):
    with pytest.raises(ConfigError, match="number of threads is out of range"):
        threads_for({ENV_THREADS: asked})
