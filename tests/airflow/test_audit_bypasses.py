"""People go around the gate in a real Airflow, and the audit finds each of them.

One Airflow for the whole module: first a history in which nobody does, which the audit must
leave alone, then every bypass, one after the other, and one audit at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.workflow.conftest import Site, built_site  # noqa: F401 - a fixture

from sluicegate.cli.demo.airflow_instance import AirflowInstance
from sluicegate.cli.demo.airflow_rest import wait_until
from sluicegate.workflow.auditing.audit import audit, open_for_audit
from sluicegate.workflow.auditing.collect_records import collect_records
from sluicegate.workflow.auditing.run_records import RunRecords
from sluicegate.workflow.auditing.runs import RunRules
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly

pytestmark = pytest.mark.demo

DAGS = """
from datetime import timedelta
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG
from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator
from sluicegate.orchestration.operators_audit import LedgerAuditOperator

SRC = verified_asset("src")
FIT = {"task_id": "fit", "bash_command": "echo fitted"}

with DAG("gate", schedule=None, params={"path": ""}, max_active_runs=1):
    seal = SealSourceOperator(task_id="seal", source="src", path="{{ params.path }}")
    seal >> TrainingGateOperator(task_id="gate", source="src")
with DAG("train", schedule=[SRC]):
    BashOperator(**FIT)
with DAG("by_hand", schedule=None, tags=["training"]):
    BashOperator(**FIT, inlets=[SRC])
with DAG("audit", schedule=None, params={"memory": ""}):
    LedgerAuditOperator(
        task_id="audit", memory="{{ params.memory }}", airflow_conn_id="audited"
    )
with DAG("waive", schedule=None, tags=["training"]):
    ApprovalOperator(
        task_id="waive", subject="Waive LABEL_FLIPS?", defaults=["Approve"], inlets=[SRC],
        response_timeout=timedelta(hours=1),
    )
"""

UNTAGGED = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from sluicegate.orchestration.assets import verified_asset

with DAG("untagged", schedule=None, tags=["training"]):
    BashOperator(task_id="fit", bash_command="echo", inlets=[verified_asset("src")])
"""

HOSTILE = '''
"""The author's code runs in the process of the guard, and takes its teeth out."""
from airflow.sdk import DAG, task
from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.guard import GuardHook

GuardHook.__call__ = lambda self, context: None

with DAG("hostile", schedule=None, tags=["training"], params={"claim": ""}):

    @task(inlets=[verified_asset("src")])
    def fit(params=None, ti=None):
        if params["claim"]:
            ti.xcom_push(key="sluicegate_admitted", value={"src": params["claim"]})

    fit()
'''

SPELLED = """
import os
from pathlib import Path
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, task
from sluicegate import load_verified
from sluicegate.orchestration.assets import verified_asset

NEVER, OTHER = verified_asset("never"), Asset("s3://lake/other")
FIT = {"task_id": "fit", "bash_command": "echo fitted"}

with DAG("tag_case", schedule=None, tags=["Training"]):
    BashOperator(**FIT)
with DAG("tag_space", schedule=None, tags=["training "]):
    BashOperator(**FIT)
with DAG("inlets_and", schedule=None):
    BashOperator(**FIT, inlets=NEVER & OTHER)
with DAG("inlets_or", schedule=None):
    BashOperator(**FIT, inlets=NEVER | OTHER)
with DAG("inlets_text", schedule=None):
    BashOperator(**FIT, inlets=["sluicegate://never"])
with DAG("other_source", schedule=None):

    @task(inlets=[verified_asset("src")], task_id="fit")
    def undeclared():
        load_verified("never")

    undeclared()
with DAG("look_alike", schedule=None, tags=["tr\\u0430ining"]):
    BashOperator(**FIT)
with DAG("both_names", schedule=None):

    @task(task_id="fit")
    def redirected():
        os.environ["SLUICEGATE_HOME"] = os.environ["ROGUE_HOME"]
        os.environ["AIRFLOW__SLUICEGATE__HOME"] = os.environ["ROGUE_HOME"]
        assert len(load_verified("src")) == 3000

    redirected()
"""
"""What a DAG file may write, and a worker without the guard does not see. The last two pass the
guard: a tag of its own letters, and a task that nothing marks, which chooses what it reads."""

REFUSED = ("tag_case", "tag_space", "inlets_and", "inlets_or", "inlets_text", "other_source")
PASSING = ("look_alike", "both_names")

NO_GUARD = '''
"""A worker whose image lacks Sluicegate's policy."""
import importlib.metadata as metadata

_all = metadata.distributions


def distributions(**kwargs):
    return (found for found in _all(**kwargs) if found.metadata["Name"] != "sluicegate")


metadata.distributions = distributions
'''

OTHER_HOST = """
def name():
    return "unarmed.example.com"
"""


class Stage:
    """One Airflow, one installation, and what people do with both."""

    def __init__(self, airflow: AirflowInstance, site: Site, dags: Path) -> None:
        self.airflow = airflow
        self.site = site
        self.dags = dags

    def run(self, dag_id: str, expected: str = "success", **conf: str) -> str:
        run_id = self.airflow.trigger(dag_id, conf)
        assert self.airflow.wait_run(dag_id, run_id, 90) == expected, self.log(dag_id, run_id)
        return run_id

    def log(self, dag_id: str, run_id: str) -> str:
        tasks = [task for task in self.airflow.task_instances(dag_id, run_id) if task["pid"]]
        return "\n".join(self.airflow.log_text(dag_id, run_id, t["task_id"])[-1500:] for t in tasks)

    def patch(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.airflow.rest.call("PATCH", path, {"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        body = {"dry_run": False, "task_ids": [task_id], "dag_run_id": run_id, "only_failed": False}
        self.airflow.rest.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def records(self) -> RunRecords:
        now = datetime.now(UTC)
        records = collect_records(self.airflow.rest, collected=now)
        # What an auditor keeps must say the same as what was read.
        assert RunRecords.from_json(records.to_json(), locator="test") == records
        return records

    @property
    def memory(self) -> Path:
        return self.dags.parent / "memory" / "checkpoint"

    def audit(self):
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        # One machine, one clock; a minute of slack would forgive what happens in seconds here.
        rules = RunRules(slack=timedelta(seconds=1))
        evidence = open_for_audit(self.site.home, at=at)
        return audit(evidence, at=at, records=self.records(), rules=rules)


@pytest.fixture(scope="module")
def stage(built_site, tmp_path_factory):  # noqa: F811 - the fixture
    root = tmp_path_factory.mktemp("bypasses")
    shutil.copytree(built_site, root / "site")
    site, dags = Site(root / "site"), root / "dags"
    dags.mkdir()
    files = {"dags": DAGS, "untagged": UNTAGGED, "hostile": HOSTILE, "spelled": SPELLED}
    for name, text in files.items():
        (dags / f"{name}.py").write_text(text)
    rogue = Site(root / "rogue")
    shutil.copytree(built_site, rogue.root)
    rogue.seal(rogue.clean)
    rogue.gate()
    env = {"SLUICEGATE_HOME": str(site.home.root), "ROGUE_HOME": str(rogue.home.root)}
    airflow = AirflowInstance(root / "airflow", dags, env=env)
    airflow._env["AIRFLOW_CONN_AUDITED"] = json.dumps(
        {
            "conn_type": "http",
            "host": airflow.url,
            "login": airflow.rest.username,
            "password": airflow.rest.password,
        }
    )
    with airflow:
        yield Stage(airflow, site, dags)


@pytest.fixture(scope="module")
def clean(stage):
    """A history in which everybody goes through the gate."""
    stage.airflow.wait_dag("train")
    stage.run("gate", path=str(stage.site.clean))
    trained = stage.airflow.wait_new_run("train", [], 60)
    assert stage.airflow.wait_run("train", trained, 60) == "success"
    stage.run("by_hand")
    stage.run("untagged")
    audited = stage.audit()
    stage.run("audit", memory=str(stage.memory))
    assert stage.memory.read_bytes() == audited.checkpoint
    return audited


@pytest.fixture(scope="module")
def bypassed(stage, clean):
    """Every bypass once; returns what the audit found, and the run of each bypass."""
    runs = {"forged": stage.run("hostile", claim="sha256:" + "f" * 64)}
    runs["waived"] = _ask_nobody(stage)
    _on_a_failed_batch(stage, runs)
    _weaken_the_policy(stage)
    stage.run("gate", path=str(stage.site.clean))
    _invent_a_run(stage)
    for dag_id in REFUSED:
        runs[f"armed {dag_id}"] = stage.run(dag_id, "failed")
    for dag_id in PASSING:
        runs[dag_id] = stage.run(dag_id)
    _take_the_tag_away(stage, runs)
    _take_the_guard_away(stage, runs)
    audited = stage.audit()
    runs["audit"] = stage.run("audit", "failed", memory=str(stage.memory))
    return audited, runs


def _ask_nobody(stage):
    """Let the hour pass in which a person may answer, so that Airflow takes its default.

    Not before the scheduler has seen the first half of the task end: Airflow 3.3.2 mistakes an
    end that it sees after the second half began for that half's, and fails the task.
    """
    run_id = stage.airflow.trigger("waive", {})
    log = stage.airflow.home / "logs" / "scheduler.log"

    def parked():
        lines = [line for line in log.read_text(errors="replace").splitlines() if run_id in line]
        return any("TaskInstance Finished" in line for line in lines) or None

    wait_until(parked, timeout_s=90, what="parking of the question", locator=run_id)
    with closing(sqlite3.connect(stage.airflow.home / "airflow.db", timeout=60)) as database:
        past = "UPDATE task_instance SET trigger_timeout = '2026-01-01' WHERE run_id = ?"
        database.execute(past, (run_id,))
        database.commit()
    assert stage.airflow.wait_run("waive", run_id, 90) == "success", stage.log("waive", run_id)
    return run_id


def _on_a_failed_batch(stage, runs):
    runs["marked gate"] = stage.run("gate", "failed", path=str(stage.site.poisoned))
    stage.patch("gate", runs["marked gate"], "gate", "success")
    runs["cleared gate"] = stage.run("gate", "failed", path=str(stage.site.poisoned))
    stage.clear("gate", runs["cleared gate"], "gate")
    runs["refused"] = stage.run("by_hand", "failed")
    runs["marked training"] = stage.run("by_hand", "failed")
    stage.patch("by_hand", runs["marked training"], "fit", "success")
    runs["hostile"] = stage.run("hostile")
    deleted = stage.run("by_hand", "failed")
    stage.airflow.rest.call("DELETE", f"/dags/by_hand/dagRuns/{deleted}")
    runs["deleted"] = deleted


def _weaken_the_policy(stage):
    policy = stage.site.home.policy
    text = policy.read_text().replace(
        "LABEL_FLIPS: {severity: block,", "LABEL_FLIPS: {severity: warn,"
    )
    policy.write_text(text)


def _invent_a_run(stage):
    """Somebody who stole the gate's key signs a verdict in the name of a run."""
    run = {"orchestrator": "airflow", "dag_id": "gate", "run_id": "invented", "task_id": "gate"}
    signers = GateSigners(stage.site.signer("gate"), stage.site.signer("ledger"))
    at = datetime.now(UTC).replace(microsecond=0)
    gate_source(stage.site.home, "src", signers=signers, at=at, run=run, runner=evaluate_directly)


def _take_the_tag_away(stage, runs):
    text = UNTAGGED.replace(', tags=["training"]', "")
    text = text.replace(', inlets=[verified_asset("src")]', "")
    (stage.dags / "untagged.py").write_text(text)

    def noticed():
        return stage.airflow.rest.call("GET", "/dags/untagged")["tags"] == [] or None

    wait_until(noticed, timeout_s=60, what="parsing of the changed DAG")
    runs["untagged"] = stage.run("untagged")


def _take_the_guard_away(stage, runs):
    """The scheduler's image, and so its workers, lose the policy's entry point."""
    shim = stage.dags.parent / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(NO_GUARD)
    (shim / "other_host.py").write_text(OTHER_HOST)
    stage.airflow._env["AIRFLOW__CORE__HOSTNAME_CALLABLE"] = "other_host.name"
    stage.airflow._env["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(shim), stage.airflow._env.get("PYTHONPATH", "")))
    )
    stage.airflow.restart_scheduler()
    runs["unguarded"] = stage.run("by_hand")
    for dag_id in REFUSED[:-1]:
        runs[f"unarmed {dag_id}"] = stage.run(dag_id)


def test_clean_history_has_no_findings(clean):
    assert clean.findings == ()
    assert (clean.size, clean.n_tasks) == (5, 5)


BYPASSES = [
    ("forged", "ADMISSION_FORGED", "a verdict that no ledger holds"),
    ("waived", "WAIVER_ANSWERED_BY_NOBODY", "which no person gave"),
    ("marked gate", "GATE_MARKED_SUCCESS", "its verdict is FAILED; patch_task_instance by admin"),
    ("cleared gate", "GATE_CLEARED", "cleared by admin"),
    ("marked training", "TASK_MARKED_SUCCESS", "patch_task_instance by admin"),
    ("hostile", "TRAINED_UNGUARDED", "without an admission by the guard"),
    ("hostile", "TRAINED_ON_FAILED_VERDICT", "failed (ledger entry"),
    ("deleted", "RECORDS_DELETED", "delete_dag_run by admin"),
    ("untagged", "PROTECTION_REMOVED", "without an admission by the guard"),
    ("unguarded", "TRAINED_UNGUARDED", "without an admission by the guard"),
    ("look_alike", "TRAINED_UNGUARDED", "DAG tag 'tr\u0430ining'"),
    ("look_alike", "TRAINED_WITHOUT_SOURCE", "names no source"),
    ("both_names", "READ_UNGUARDED", "the guard saw none of fit"),
    ("unarmed tag_case", "TRAINED_UNGUARDED", "DAG tag 'Training'"),
    ("unarmed tag_space", "TRAINED_UNGUARDED", "DAG tag 'training '"),
    ("unarmed inlets_and", "READ_UNGUARDED", "the guard saw none of fit"),
    ("unarmed inlets_or", "READ_UNGUARDED", "the guard saw none of fit"),
    ("unarmed inlets_text", "READ_UNGUARDED", "the guard saw none of fit"),
]


@pytest.mark.parametrize(
    ("act", "code", "words"), BYPASSES, ids=[f"{a}-{c}" for a, c, _ in BYPASSES]
)
def test_bypass_is_found(bypassed, act, code, words):
    audited, runs = bypassed
    said = [
        item.message for item in audited.findings if item.code == code and runs[act] in item.locator
    ]
    assert len(said) == 1
    assert words in said[0]


def test_the_guards_page_shows_what_the_audit_says():
    text = (Path(__file__).parents[2] / "docs" / "guard.md").read_text()
    row = r"^\| `([\w ]+)` \| (?:[^|\\]|\\.)+ \| `(\w+)` \|$"
    shown = set(re.findall(row, text, flags=re.MULTILINE))
    assert shown <= {(act, code) for act, code, _ in BYPASSES}
    assert {act for act, _ in shown} >= {f"unarmed {name}" for name in REFUSED[:-1]} | {*PASSING}


def test_weakened_policy_is_found_and_named(bypassed):
    (finding,) = [item for item in bypassed[0].findings if item.code == "POLICY_WEAKENED"]
    assert "LABEL_FLIPS: severity block -> warn" in finding.message


def test_no_spelling_passes_an_armed_guard_and_none_of_its_refusals_is_a_finding(stage, bypassed):
    audited, runs = bypassed
    for dag_id in REFUSED:
        run_id = runs[f"armed {dag_id}"]
        assert not [item for item in audited.findings if run_id in item.locator]
        said = "was not admitted" if dag_id == "other_source" else "refused to start this task"
        assert said in stage.log(dag_id, run_id)


def test_a_host_on_which_no_guard_ever_spoke_is_named(bypassed):
    (finding,) = [item for item in bypassed[0].findings if item.code == "HOST_NOT_ARMED"]
    assert finding.locator.startswith("unarmed.example.com, e.g. ")
    assert "ran 6 training tasks, queue default" in finding.message


def test_a_dag_file_that_says_where_the_evidence_is_is_named(bypassed):
    found = [item.locator for item in bypassed[0].findings if item.code == "SETTINGS_IN_DAG_FILE"]
    assert found == ["both_names"]


def test_verdict_of_an_invented_run_is_found(bypassed):
    (finding,) = [item for item in bypassed[0].findings if item.code == "VERDICT_RUN_UNKNOWN"]
    assert "gate/invented/gate" in finding.message


def test_nothing_else_is_found(bypassed):
    audited, runs = bypassed
    others = {"POLICY_WEAKENED", "VERDICT_RUN_UNKNOWN", "HOST_NOT_ARMED", "SETTINGS_IN_DAG_FILE"}
    assert set(audited.counts) == {code for _, code, _ in BYPASSES} | others
    assert audited.counts["TRAINED_UNGUARDED"] == 5
    assert audited.counts["READ_UNGUARDED"] == 4
    assert not [item for item in audited.findings if runs["refused"] in item.locator]
    assert audited.exit_code == 1


def test_audit_operator_fails_its_task_and_keeps_xcom_to_counts(stage, bypassed):
    audited, runs = bypassed
    (task,) = stage.airflow.task_instances("audit", runs["audit"])
    assert (task["state"], task["try_number"]) == ("failed", 1)
    assert "TRAINED_UNGUARDED" in stage.log("audit", runs["audit"])
    path = f"/dags/audit/dagRuns/{runs['audit']}/taskInstances/audit/xcomEntries/findings"
    counts = stage.airflow.rest.call("GET", path)["value"]
    counts = json.loads(counts) if isinstance(counts, str) else counts
    assert counts["TRAINED_UNGUARDED"] == 5
    assert stage.memory.read_bytes() == audited.checkpoint
