"""Every way to start a training task, times everything that evidence can lack, for real.

One Airflow with scheduler and LocalExecutor; docs/guard.md shows the same table.
"""

import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.guard_faults import FAULTS, UNJUDGED

from sluicegate.cli.demo.airflow_rest import AirflowApiError

pytestmark = pytest.mark.airflow

DOCUMENT = Path(__file__).parents[2] / "docs" / "guard.md"
PATHS = ("manual", "scheduled", "asset", "backfill", "cleared", "mapped", "other_dag", "dags_test")
RUN_S = 400
REFUSED = "Sluicegate refused to start this task"


class Matrix:
    """What one Airflow did with every task of every start path."""

    def __init__(self, airflow, site, ran):
        self.airflow = airflow
        self.site = site
        self.ran_file = ran
        self.runs = {}
        self.logs = {}

    def play(self):
        airflow = self.airflow
        scheduled = airflow.wait_new_run("scheduled", [], 90)
        airflow.backfill("scheduled", str((datetime.now(UTC) - timedelta(days=9)).date()))
        airflow.post_asset_event("new_batch", {})
        airflow.trigger("caller")
        self.runs = {
            "manual": ("by_hand", airflow.trigger("by_hand")),
            "scheduled": ("scheduled", scheduled),
            "asset": ("by_asset", airflow.wait_new_run("by_asset", [], 60)),
            "backfill": ("scheduled", airflow.wait_new_run("scheduled", [scheduled], 60)),
            "mapped": ("mapped", airflow.trigger("mapped")),
            "other_dag": ("called", airflow.wait_new_run("called", [], 120)),
        }
        for dag_id, run_id in self.runs.values():
            airflow.wait_run(dag_id, run_id, RUN_S)
        self.first = {path: self.tasks(*run) for path, run in self.runs.items()}
        for path in self.runs:
            self._keep_logs(path, 1)
        dag_id, run_id = self.runs["cleared"] = self.runs["manual"]
        airflow.clear(dag_id, run_id, only_failed=True)
        airflow.wait_run(dag_id, run_id, RUN_S)
        self.first["cleared"] = self.tasks(dag_id, run_id)
        self._keep_logs("cleared", 2)
        self.printed = airflow.printed_by("dags", "test", "tested", timeout_s=RUN_S)
        (run,) = airflow.runs("tested")
        self.runs["dags_test"] = ("tested", run["dag_run_id"])
        self.first["dags_test"] = self.tasks(*self.runs["dags_test"])
        return self

    def tasks(self, dag_id, run_id):
        return {ti["task_id"]: ti for ti in self.airflow.task_instances(dag_id, run_id)}

    def _keep_logs(self, path, first_try):
        """Read the logs at once: `airflow tasks test` of a later test takes the tries away."""
        for source in FAULTS:
            ti = self.first[path][source]
            for number in range(first_try, ti["try_number"] + 1):
                self.logs[path, source, number] = self._log_or_nothing(path, ti, number)

    def _log_or_nothing(self, path, ti, number):
        """Return a log; there is none of a try that Airflow lost before it began."""
        run, at = self.runs[path], ti["map_index"]
        try:
            return self.airflow.log_text(*run, ti["task_id"], number, map_index=at)
        except AirflowApiError as error:
            if error.got != "404":
                raise
            return ""

    def log(self, path, source, try_number=None):
        if path == "dags_test":
            return self.printed if try_number is None else ""  # one text holds all tries
        number = try_number or self.first[path][source]["try_number"]
        return self.logs[path, source, number]

    def ran(self):
        return [line.split() for line in self.ran_file.read_text().splitlines()]


@pytest.fixture(scope="module")
def matrix(real_airflow):
    airflow, site, ran = real_airflow
    return Matrix(airflow, site, ran).play()


@pytest.mark.parametrize("path", PATHS)
def test_no_faulty_source_ever_starts_training(matrix, path):
    found = {source: matrix.first[path][source] for source in FAULTS}
    assert {source: ti["state"] for source, ti in found.items()} == dict.fromkeys(FAULTS, "failed")


@pytest.mark.parametrize("path", PATHS)
def test_no_try_follows_a_refusal_in_spite_of_retries(matrix, path):
    """Airflow itself may lose a try on a busy machine; then the next one is the first refused."""
    for source in FAULTS:
        first = matrix.first["manual"][source]["try_number"] + 1 if path == "cleared" else 1
        for lost in range(first, matrix.first[path][source]["try_number"]):
            assert REFUSED not in matrix.log(path, source, lost), (path, source, lost)


@pytest.mark.parametrize("path", PATHS)
def test_each_refusal_says_why(matrix, path):
    for source, fault in FAULTS.items():
        log = matrix.log(path, source)
        assert REFUSED in log, (path, source)
        assert f"[{fault.code}]" in log, (path, source)
        assert fault.text in log, (path, source)


@pytest.mark.parametrize("path", PATHS)
def test_what_has_its_evidence_and_what_needs_none_runs_beside_them(matrix, path):
    states = {task: matrix.first[path][task]["state"] for task in ("good", "bystander")}
    assert states == {"good": "success", "bystander": "success"}


def test_no_command_of_a_refused_task_ran(matrix):
    dags = {dag_id for dag_id, _run_id in matrix.runs.values()}
    ran = [(dag, task) for dag, task, _index in matrix.ran() if dag in dags]
    assert {task for _dag, task in ran} == {"good", "bystander"}
    assert {dag for dag, _task in ran} == dags


def test_a_single_task_started_from_the_command_line_is_guarded_too(matrix):
    """`airflow tasks test` runs one task in its own process; `tasks run` is gone."""
    for source, said in (("forged", "[UNTRUSTED_KEY]"), ("good", "Sluicegate admitted good")):
        printed = matrix.airflow.printed_by("tasks", "test", "by_hand", source)
        assert said in printed, printed[-2000:]
        assert (REFUSED in printed) is (source != "good")
    by_hand = [line for line in matrix.ran() if line[:2] == ["by_hand", "forged"]]
    assert by_hand == []
    printed = matrix.airflow.printed_by("tasks", "run", "by_hand", "forged", "now")
    assert "invalid choice: 'run'" in printed


def test_a_baseline_that_cannot_judge_leaves_nothing_to_train_on(matrix):
    """The gate says why and asks nobody to trust it; the task behind it misses a verdict."""
    airflow = matrix.airflow
    run_id = airflow.trigger("unjudged")
    assert airflow.wait_run("unjudged", run_id, RUN_S) == "failed"
    tasks = matrix.tasks("unjudged", run_id)
    assert {ti["state"] for ti in tasks.values()} == {"failed"}
    for source, fault in UNJUDGED.items():
        gate, train = tasks[f"gate_{source}"], tasks[source]
        said = airflow.log_text("unjudged", run_id, gate["task_id"], gate["try_number"])
        assert f"[{fault.code}]" in said, (source, said[-1500:])
        assert fault.text in said
        said = airflow.log_text("unjudged", run_id, source, train["try_number"])
        assert f"{REFUSED}: [EVIDENCE_MISSING]" in said
        assert "no verdict of this batch" in said
    assert not [line for line in matrix.ran() if line[0] == "unjudged"]


def test_an_invented_verdict_in_an_asset_event_starts_nothing(matrix):
    airflow = matrix.airflow
    invented = {"source": "good", "verdict": "sha256:" + "f" * 64}
    airflow.post_asset_event("sluicegate://good", invented)
    run_id = airflow.wait_new_run("by_event", [], 60)
    assert airflow.wait_run("by_event", run_id, 120) == "failed"
    assert "[BAD_PROOF]" in airflow.log_text("by_event", run_id, "fit")


@pytest.mark.parametrize("name", ["trust.json", "policy.yaml", "ledger.db", "memory.json"])
@pytest.mark.parametrize("broken", ["missing", "garbage"])
def test_an_installation_without_trust_policy_ledger_or_memory_trains_nothing(matrix, name, broken):
    home = matrix.site.home
    path = home.memory if name == "memory.json" else home.root / name
    with taken_away(path):
        if broken == "garbage":
            path.write_bytes(b"\0garbage")
        assert f"{REFUSED}: [" in refusal(matrix)


@pytest.mark.parametrize("name", ["trust.json", "ledger.db"])
def test_a_ledger_or_trust_policy_that_is_put_back_trains_nothing(matrix, built_site, name):
    """As they were when the installation was made: genuine, and older than what was seen."""
    path = matrix.site.home.root / name
    with taken_away(path):
        path.write_bytes((built_site / "sluice" / name).read_bytes())
        assert f"{REFUSED}: [ROLLBACK]" in refusal(matrix)


@contextmanager
def taken_away(path):
    """Move a file out of the way, with its write-ahead log: left behind, that would be written
    into the file that replaces it."""
    kept = [
        part.rename(part.with_name(f"kept.{part.name}"))
        for part in path.parent.glob(f"{path.name}*")
    ]
    try:
        yield
    finally:
        for part in path.parent.glob(f"{path.name}*"):
            part.unlink()
        for part in kept:
            part.rename(part.with_name(part.name.removeprefix("kept.")))


def refusal(matrix):
    """What a protected task says when it does not run."""
    run_id = matrix.airflow.trigger("only_good")
    assert matrix.airflow.wait_run("only_good", run_id, 120) == "failed"
    return matrix.airflow.log_text("only_good", run_id, "good")


def test_the_document_shows_this_matrix(matrix):
    text = DOCUMENT.read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| `(\w+)` \|", text, flags=re.MULTILINE)
    assert {name: tuple(found) for name, *found in rows} == {
        name: (fault.item, fault.kind, fault.code) for name, fault in (FAULTS | UNJUDGED).items()
    }
    assert all(f"`{path}`" in text for path in PATHS)
