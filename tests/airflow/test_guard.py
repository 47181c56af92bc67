"""The guard against every way to write a training task, through Airflow's own task runner."""

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def matrix(installed_python, tmp_path_factory, make_layout):
    layout = make_layout(installed_python, tmp_path_factory.mktemp("matrix"))
    shutil.copy(HERE / "dags" / "guard_matrix.py", layout.home / "dags")
    layout.env["RAN"] = str(layout.home / "ran.txt")
    dags = ("refused", "admitted", "scheduled", "by_name", "by_alias", "harmless")
    found = layout.run(HERE / "probe_guard.py", *dags)
    found["home"] = str(layout.home / "sluicegate-home")
    return found


def test_a_task_the_guard_cannot_read_breaks_no_other_dag_of_its_file(matrix):
    assert matrix["import_errors"] == {}
    assert matrix["states"]["harmless"]["report"] == ["success", 1]


def test_every_protected_task_fails_at_its_first_try_in_spite_of_retries(matrix):
    states = matrix["states"]["refused"]
    assert set(states) == {
        "decorated",
        "mapped_decorated0",
        "mapped_decorated1",
        "bash",
        "empty",
        "without_source",
        "guard_crashes",
        "unreadable",
        "mapped0",
        "hooked",
    }
    assert set(map(tuple, states.values())) == {("failed", 1)}


def test_a_dag_scheduled_on_a_protected_asset_is_guarded_without_tag_or_inlet(matrix):
    assert matrix["states"]["scheduled"] == {"consume": ["failed", 1]}
    assert matrix["states"]["by_name"] == {"consume": ["failed", 1]}


def test_no_line_of_a_refused_task_runs_nor_does_its_authors_hook(matrix):
    names = {line.split()[0] for line in matrix["ran"]}
    assert names == {
        "hook:admitted_task",
        "admitted",
        "hook:generator",
        "generator_hooked",
        "report",
        "fails",
        "by_alias",
    }


def test_an_unprotected_task_keeps_its_retries(matrix):
    assert matrix["states"]["harmless"]["fails_twice"] == ["failed", 2]
    assert matrix["ran"].count("fails") == 2


def test_an_admitted_task_runs_after_the_guard_and_its_authors_hook(matrix):
    assert set(map(tuple, matrix["states"]["admitted"].values())) == {("success", 1)}
    ran = matrix["ran"]
    (admitted,) = [line for line in ran if line.startswith("admitted ")]
    assert admitted == "admitted " + json.dumps({"good": "sha256:ab"}) + matrix["home"]
    assert ran.index("hook:admitted_task") < ran.index(admitted)
    assert ran.index("hook:generator") < ran.index("generator_hooked")


def test_each_refusal_says_why_and_what_to_do(matrix):
    messages = "\n".join(matrix["messages"])
    assert "[GATE_BLOCKED] bad: the verdict is FAILED" in messages
    assert 'names no source. Declare inlets=[verified_asset("...")]' in messages
    assert "[GUARD_ERROR] the guard itself failed: ZeroDivisionError" in messages
    assert "the guard could not judge this task: got [CONFIG]" in messages
    assert "admitted good (DAG tag 'training')" in messages


def test_a_schedule_that_names_no_uri_is_judged_by_the_events_of_the_run(matrix):
    assert matrix["guarded"]["by_alias"] == ["consume"]
    assert matrix["states"]["by_alias"] == {"consume": ["success", 1]}


def test_our_operators_are_exempt_but_no_subclass_and_no_authors_hook_on_them(matrix):
    assert matrix["guarded"]["ours"] == ["hooked_gate", "overridden", "subclass", "triggerer"]


def test_tasks_that_are_not_protected_get_no_hook(matrix):
    assert matrix["guarded"]["harmless"] == []
    assert matrix["guarded"]["cron"] == []


def test_a_protected_task_never_starts_in_the_triggerer(matrix):
    assert matrix["start_from_trigger"] is False


def test_the_guard_leaves_the_serialized_dag_unchanged(matrix):
    assert matrix["serialized_guard"] is False


def test_settings_that_cannot_be_read_make_every_task_refuse_instead_of_none(matrix):
    assert matrix["without_settings"] == "ValueError; set SLUICEGATE_DEBUG=1 to see where"


def test_a_mapped_task_carries_the_guard_as_argument_too(matrix):
    assert matrix["guarded_arguments"] == ["mapped", "mapped_decorated", "overridden"]
