"""Appends are timed for whoever asks around them, and for nobody else."""

from __future__ import annotations

import pytest

from sluicegate.workflow.evidence.append_time import timed_appends, timing


def test_each_append_inside_is_told_and_none_outside():
    inner, outer = [], []
    with timed_appends(outer.append):
        with timing():
            pass
        with timed_appends(inner.append), timing():
            pass
        with timing():
            pass
    with timing():
        pass
    assert (len(outer), len(inner)) == (2, 1)
    assert min(outer + inner) >= 0


def test_an_append_that_fails_is_not_told():
    told = []
    with pytest.raises(OSError, match="full"), timed_appends(told.append), timing():
        raise OSError("full")
    assert told == []
