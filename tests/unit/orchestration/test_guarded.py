"""A guarded task asks for its verdicts itself, where no cluster policy does."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

from sluicegate.errors import ConfigError
from sluicegate.workflow.admission.admitted import Admitted

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


@pytest.fixture
def train(site, monkeypatch):  # noqa: F811 - the fixture
    """A training function as the worker calls it, without any guard in front."""
    import airflow.sdk

    from sluicegate.orchestration import guard
    from sluicegate.orchestration.guarded import guarded_task
    from sluicegate.orchestration.settings import Settings

    for name in ("SLUICEGATE_HOME", "AIRFLOW__SLUICEGATE__HOME", "SLUICEGATE_ADMITTED"):
        monkeypatch.setenv(name, "")
    settings = Settings.from_environ({"SLUICEGATE_HOME": str(site.home.root)})
    monkeypatch.setattr(guard, "_SETTINGS", settings)
    context = {"ti": SimpleNamespace(), "triggering_asset_events": {}}
    monkeypatch.setattr(airflow.sdk, "get_current_context", lambda: context)

    @guarded_task(sources=["src"], retries=0)
    def train(rate):
        return rate, json.loads(os.environ["SLUICEGATE_ADMITTED"])["sources"]

    train.site = site
    return train


def test_a_batch_that_passed_trains_and_is_handed_its_verdict(train):
    train.site.seal(train.site.clean)
    issued, _ = train.site.gate()
    assert train.function(0.1) == (0.1, {"src": str(issued.envelope)})


def test_what_the_guard_admitted_it_to_stays_admitted(train, monkeypatch):
    train.site.seal(train.site.clean)
    issued, _ = train.site.gate()
    before = Admitted(train.site.home, {"other": "sha256:0"})
    before.leave(os.environ, task=os.environ)
    assert train.function(0.1)[1] == {"other": "sha256:0", "src": str(issued.envelope)}


def test_a_home_that_the_dag_file_sets_later_admits_nothing(train, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(tmp_path / "rogue"))
    train.site.seal(train.site.clean)
    train.site.gate()
    train.function(0.1)
    assert os.environ["AIRFLOW__SLUICEGATE__HOME"] == str(train.site.home.root)


@pytest.mark.parametrize("judged", [False, True])
def test_without_an_accepting_verdict_no_line_of_it_runs(train, judged):
    from airflow.sdk.exceptions import AirflowFailException

    train.site.seal(train.site.poisoned)
    if judged:
        train.site.gate()
    code = "GATE_BLOCKED" if judged else "EVIDENCE_MISSING"
    with pytest.raises(AirflowFailException, match=code):
        train.function(0.1)


def test_its_inlets_make_the_guard_protect_it(train):
    from airflow.sdk import DAG

    from sluicegate.orchestration.protecting.protection import protection_of
    from sluicegate.orchestration.settings import Settings

    with DAG("guarded", schedule=None) as dag:
        train(0.1)
        train.override(task_id="mapped").expand(rate=[0.1, 0.2])
    found = [protection_of(task, Settings()) for task in dag.tasks]
    assert [protection.sources for protection in found] == [("src",), ("src",)]


@pytest.mark.parametrize("sources", [[], [""], ["a/b"]])
def test_it_names_what_it_trains_on(sources):
    from sluicegate.orchestration.guarded import guarded_task

    with pytest.raises(ConfigError):
        guarded_task(sources=sources)
