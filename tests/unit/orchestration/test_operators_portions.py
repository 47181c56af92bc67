"""What travels through XCom only points: anything else than our own pointers is refused."""

from __future__ import annotations

import pytest

from sluicegate.errors import ConfigError
from sluicegate.orchestration.batches import tallies_of

DIGEST = "dirHash1:" + "0" * 64
TALLY = {"source": "src", "digest": DIGEST, "place": "/tallies", "tally": "/tallies/a"}


def test_tallies_of_one_batch_name_it_and_where_they_lie():
    found = tallies_of([TALLY, {**TALLY, "tally": "/tallies/b"}], "src", "s3")
    assert (str(found.digest), found.place, found.conn_id) == (DIGEST, "/tallies", "s3")
    assert found.locations == ["/tallies/a", "/tallies/b"]
    assert tallies_of(None, "src", None) is None


@pytest.mark.parametrize(
    "tallies",
    [
        [],
        [TALLY, {**TALLY, "digest": "dirHash1:" + "1" * 64}],
        [TALLY, {**TALLY, "place": "/elsewhere"}],
        [TALLY, {**TALLY, "source": "other"}],
        [{**TALLY, "source": "other"}],
        [{**TALLY, "tally": None}],
        [TALLY, "/tallies/b"],
        ["x"],
    ],
)
def test_what_points_to_no_tallies_of_one_batch_is_refused(tallies):
    with pytest.raises(ConfigError):
        tallies_of(tallies, "src", None)


@pytest.mark.airflow
def test_suite_and_tallies_exclude_each_other():
    pytest.importorskip("airflow")
    from sluicegate.orchestration.operators import TrainingGateOperator

    with pytest.raises(ConfigError, match="a suite judges rows"):
        TrainingGateOperator(task_id="gate", source="src", suite="/s.json", tallies=[TALLY])


@pytest.mark.airflow
@pytest.mark.parametrize("portion", [None, "0-1", {}, {"source": "other"}, {"first": "0"}])
def test_portion_that_no_cut_made_is_refused(portion):
    pytest.importorskip("airflow")
    from sluicegate.orchestration.operators_portions import CountPortionOperator

    task = CountPortionOperator(task_id="count", source="src", portion=portion)
    with pytest.raises(ConfigError, match="not a portion"):
        task._run(None, {}, None)
