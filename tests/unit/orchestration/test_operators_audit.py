"""The audit as a task: what it remembers, and how it ends."""

from __future__ import annotations

import pytest
from tests.unit.workflow.conftest import built_site, judge_clean, site  # noqa: F401 - fixtures

pytestmark = pytest.mark.airflow
pytest.importorskip("airflow")


class Ti:
    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


@pytest.fixture
def run(site, monkeypatch, tmp_path):  # noqa: F811 - the fixture
    from sluicegate.orchestration.operators_audit import LedgerAuditOperator

    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))
    site.once(judge_clean)

    def run(memory=tmp_path / "memory" / "checkpoint", **options):
        ti = Ti()
        operator = LedgerAuditOperator(task_id="audit", memory=str(memory), **options)
        return operator.execute({"ti": ti}), ti

    run.site = site
    run.memory = tmp_path / "memory" / "checkpoint"
    return run


def test_clean_audit_counts_nothing_and_remembers(run):
    assert run()[0] == {}
    assert run.memory.read_bytes() == run.site.evidence().ledger.checkpoint()
    assert run()[0] == {}


def test_finding_fails_the_task_without_retry(run):
    from airflow.sdk.exceptions import AirflowFailException

    (run.site.clean / "part.parquet").write_bytes(b"changed")
    with pytest.raises(AirflowFailException, match="DATA_CHANGED 1"):
        run(data=True)


def test_missing_witness_quorum_fails_the_task(run):
    from airflow.sdk.exceptions import AirflowFailException
    from tests.unit.workflow.auditing.test_audit import cosigned_by, with_witnesses

    first, _ = with_witnesses(run.site)
    with pytest.raises(AirflowFailException, match="WITNESS_QUORUM 1"):
        run()
    run.site.home.cosigned.write_bytes(cosigned_by(run.site, first))
    assert run()[0] == {}


def test_rolled_back_ledger_is_never_remembered(run):
    from airflow.sdk.exceptions import AirflowFailException
    from tests.unit.workflow.conftest import AT

    old = run.site.home.ledger.read_bytes()
    run.site.gate(at=AT.replace(microsecond=0))
    run.site.seal(run.site.poisoned)
    run()
    remembered = run.memory.read_bytes()
    for path in run.site.home.root.glob("ledger.db*"):
        path.unlink()
    run.site.home.ledger.write_bytes(old)
    with pytest.raises(AirflowFailException, match="LEDGER_ROLLBACK"):
        run()
    assert run.memory.read_bytes() == remembered


@pytest.mark.parametrize("where", ["inside", "relative"])
def test_memory_beside_the_ledger_is_refused(run, where):
    from airflow.sdk.exceptions import AirflowFailException

    path = run.site.home.root / "checkpoint" if where == "inside" else "checkpoint"
    with pytest.raises(AirflowFailException, match="outside the home directory"):
        run(memory=path)


def test_missing_ledger_may_be_tried_again(run):
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    run.site.home.ledger.unlink()
    with pytest.raises(AirflowException) as error:
        run()
    assert not isinstance(error.value, AirflowFailException)
