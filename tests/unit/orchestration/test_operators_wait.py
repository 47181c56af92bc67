"""Waiting for a verdict takes no worker, lets nothing pass by itself, and ends with evidence."""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

from sluicegate.errors import ConfigError

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


@pytest.fixture
def wait(site, monkeypatch):  # noqa: F811 - the fixture
    from sluicegate.orchestration.operators_wait import WaitForVerdictOperator

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))
    task = WaitForVerdictOperator(task_id="wait", source="src", timeout=timedelta(hours=2))
    return site, task


def test_source_that_passed_is_not_waited_for(wait):
    site, task = wait  # noqa: F811 - its own installation
    batch = site.seal(site.clean)
    site.gate()
    assert task.execute({})["digest"] == str(batch.digest)


@pytest.mark.parametrize("judged", [False, True])
def test_task_parks_in_the_triggerer_while_nothing_may_train(wait, judged):
    from airflow.sdk.exceptions import TaskDeferred

    site, task = wait  # noqa: F811 - its own installation
    site.seal(site.poisoned)
    if judged:
        site.gate()
    with pytest.raises(TaskDeferred) as parked:
        task.execute({})
    assert (parked.value.method_name, parked.value.timeout) == ("resume", timedelta(hours=2))
    # What a triggerer says without evidence parks it again.
    with pytest.raises(TaskDeferred):
        task.resume({}, {"source": "src"})


@pytest.mark.slow
def test_trigger_survives_storage_and_fires_once_evidence_is_there(wait):
    from airflow.sdk.exceptions import TaskDeferred

    site, task = wait  # noqa: F811 - its own installation
    with pytest.raises(TaskDeferred) as parked:
        task.execute({})
    path, stored = parked.value.trigger.serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**stored | {"poll_s": 0.01})
    looks = []

    async def fired():
        look = trigger._is_admitted

        def counted():
            looks.append(look())
            if len(looks) == 1:
                site.seal(site.poisoned)
            if len(looks) == 2:
                site.gate()
            if len(looks) == 3:
                site.seal(site.clean)
                site.gate()
            return looks[-1]

        trigger._is_admitted = counted
        return [event.payload async for event in trigger.run()]

    assert asyncio.run(fired()) == [{"source": "src"}]
    assert looks == [False, False, False, True]
    assert task.resume({}, None)["source"] == "src"


def test_guard_does_not_make_the_waiting_task_wait_for_itself(wait):
    from airflow.sdk import DAG

    from sluicegate.orchestration.operators_wait import WaitForVerdictOperator
    from sluicegate.orchestration.protecting.protection import protection_of
    from sluicegate.orchestration.settings import Settings

    class Mine(WaitForVerdictOperator):
        pass

    with DAG("night", schedule=None, tags=["training"]):
        ours = WaitForVerdictOperator(task_id="ours", source="src")
        subclass = Mine(task_id="mine", source="src")
    assert protection_of(ours, Settings()) is None
    assert protection_of(subclass, Settings()) is not None


@pytest.mark.parametrize("poll_s", [0, -1, float("nan")])
def test_ledger_is_not_hammered(poll_s):
    from sluicegate.orchestration.operators_wait import WaitForVerdictOperator

    with pytest.raises(ConfigError):
        WaitForVerdictOperator(task_id="wait", source="src", poll_s=poll_s)
