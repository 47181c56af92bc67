"""What a gate is told to judge through XCom is a pointer, and nothing is not the newest."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

from sluicegate.errors import ConfigError, SluicegateError

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")

DIGEST = "dirHash1:" + "ab" * 32


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_text_that_comes_to_nothing_means_the_newest_batch(nothing):
    from sluicegate.orchestration.batches import digest_of

    assert digest_of(nothing, "src") is None


def test_output_of_a_seal_task_names_its_batch_and_no_other_source():
    from sluicegate.orchestration.batches import digest_of, parts_of

    pointer = {"source": "src", "digest": DIGEST, "index": "3"}
    assert str(digest_of(pointer, "src")) == str(digest_of(DIGEST, "src")) == DIGEST
    with pytest.raises(ConfigError, match="another source"):
        digest_of(pointer, "other")
    assert parts_of(None) is None
    assert [(name, str(digest)) for name, digest in parts_of([pointer])] == [("src", DIGEST)]


@pytest.mark.parametrize("value", [{}, {"source": "src"}, 3, [DIGEST]])
def test_what_is_no_output_of_a_seal_task_is_refused(value):
    from sluicegate.orchestration.batches import digest_of, parts_of

    with pytest.raises(SluicegateError):
        digest_of(value, "src")
    with pytest.raises(ConfigError, match="not a sealed batch"):
        parts_of([value])


@pytest.mark.parametrize("name", ["batch", "parts"])
def test_seal_task_that_left_nothing_has_the_gate_judge_nothing(site, monkeypatch, name):  # noqa: F811
    """The newest batch may be another run's; and without partitions nobody asks for theirs."""
    from airflow.sdk.exceptions import AirflowFailException

    from sluicegate.orchestration.operators import TrainingGateOperator

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))
    site.seal(site.clean)
    pointer = {"source": "src", "digest": DIGEST}
    given = {"batch": pointer, "parts": [pointer]}[name]
    task = TrainingGateOperator(task_id="gate", source="src", **{name: given})
    setattr(task, name, None)  # what Airflow renders where the other task pushed no XCom
    ids = {"dag_id": "d", "run_id": "r", "task_id": "gate", "map_index": -1, "try_number": 1}
    with pytest.raises(AirflowFailException, match=f"the gate's {name} left nothing"):
        task.execute({"ti": SimpleNamespace(**ids)})
    assert not list(site.evidence().ledger.find("verdict"))
