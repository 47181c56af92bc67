"""Rolling back as a task: the newest trusted batch becomes the newest, and is announced."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from types import SimpleNamespace

import pytest
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


@pytest.fixture
def roll_back(site, monkeypatch):  # noqa: F811 - the fixture
    from sluicegate.orchestration.assets import verified_asset
    from sluicegate.orchestration.operators_rollback import RollbackOperator

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))

    def run(**options):
        events = defaultdict(SimpleNamespace)
        ids = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
        context = {"ti": SimpleNamespace(**ids), "outlet_events": events}
        pointer = RollbackOperator(task_id="back", source="src", **options).execute(context)
        assert events[verified_asset("src")].extra == pointer
        return pointer

    run.site = site
    return run


def newest(site):  # noqa: F811 - a value, not the fixture
    return site.evidence().latest_seal("src", at=AT)


def test_the_last_trusted_batch_is_announced_with_the_verdict_it_has(roll_back):
    site = roll_back.site  # noqa: F811 - its own installation
    good = site.seal(site.clean)
    site.gate()
    site.seal(site.poisoned)
    site.gate()
    pointer = roll_back()
    assert pointer["digest"] == str(good.digest)
    assert (newest(site).digest, newest(site).version) == (good.digest, 3)
    assert len(list(site.evidence().ledger.find("verdict", "src"))) == 2, "not judged again"


def test_a_batch_whose_verdict_has_expired_is_judged_again(roll_back):
    site = roll_back.site  # noqa: F811 - its own installation
    then = AT - timedelta(days=30)
    good = site.seal(site.clean, at=then)
    site.gate(at=AT - timedelta(days=20))
    site.seal(site.poisoned)
    assert roll_back(to=str(good.digest))["digest"] == str(good.digest)
    assert len(list(site.evidence().ledger.find("verdict", "src"))) == 2


def test_without_a_trusted_batch_it_fails_and_announces_nothing(roll_back):
    from airflow.sdk.exceptions import AirflowException

    site = roll_back.site  # noqa: F811 - its own installation
    site.seal(site.poisoned)
    site.gate()
    with pytest.raises(AirflowException, match="ever trusted"):
        roll_back()


def test_a_failed_batch_cannot_be_gone_back_to(roll_back):
    from airflow.sdk.exceptions import AirflowFailException

    site = roll_back.site  # noqa: F811 - its own installation
    bad = site.seal(site.poisoned)
    site.gate()
    site.seal(site.clean)
    site.gate()
    with pytest.raises(AirflowFailException, match="did not pass"):
        roll_back(to=str(bad.digest))
