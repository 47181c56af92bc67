"""Portions are all files of a batch, each once, and about equally large."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest.portions import Portion, gaps, portions_of

sizes = st.lists(st.sampled_from([0, 1, 7, 10_000]), min_size=1, max_size=40)


@given(sizes, st.integers(1, 60))
def test_portions_hold_each_file_once_and_none_is_empty(files, wanted):
    found = portions_of(files, wanted)
    assert len(found) == min(wanted, len(files))
    assert (found[0].first, found[-1].end) == (0, len(files))
    assert all(a.end == b.first for a, b in pairwise(found))
    assert all(portion.first < portion.end for portion in found)
    assert list(gaps(reversed(found), len(files))) == []


@given(st.integers(1, 20), st.integers(1, 20))
def test_files_of_one_size_are_cut_as_evenly_as_they_can_be(wanted, each):
    found = portions_of([5] * (wanted * each), wanted)
    assert {portion.end - portion.first for portion in found} == {each}


@given(sizes, st.integers(2, 60), st.data())
def test_a_portion_left_out_or_twice_is_a_gap(files, wanted, data):
    found = portions_of(files, wanted)
    one = data.draw(st.sampled_from(found))
    others = [portion for portion in found if portion != one]
    assert list(gaps(others, len(files))) == [("missing", one)]
    assert list(gaps([*found, one], len(files))) == [("doubled", one)]


@pytest.mark.parametrize(
    ("portions", "fault"),
    [
        ([], ("missing", Portion(0, 3))),
        ([Portion(0, 2), Portion(1, 3)], ("doubled", Portion(1, 2))),
        ([Portion(0, 3), Portion(1, 2)], ("doubled", Portion(1, 2))),
        ([Portion(0, 3), Portion(3, 4)], ("beyond", Portion(3, 4))),
    ],
)
def test_overlaps_and_files_that_no_batch_has_are_told(portions, fault):
    assert list(gaps(portions, 3)) == [fault]
