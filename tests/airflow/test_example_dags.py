"""The example DAGs are the operators' documentation: they parse, cheaply, and are guarded."""

import ast
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent
REPO = HERE.parents[1]
DAGS = sorted((REPO / "dags").glob("*.py"))
HEAVY = {
    "great_expectations",
    "joblib",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "sqlalchemy",
}

PLAIN = """
from airflow.sdk import DAG, Asset, Param, task

with DAG("plain", schedule=[Asset("x://y")], params={"path": Param("a", type="string")}):
    @task
    def train():
        pass
    train()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As the demo and a wheel lay them out: `dags` beside `expectations`."""
    root = tmp_path_factory.mktemp("examples")
    for name in ("dags", "expectations"):
        shutil.copytree(REPO / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root / "dags"


@pytest.fixture(scope="module")
def layout(installed_python, tmp_path_factory, make_layout):
    return make_layout(installed_python, tmp_path_factory.mktemp("examples-airflow"))


def test_every_example_parses_and_every_training_task_is_guarded(layout, folder):
    found = layout.run(HERE / "probe_layout.py", str(folder))
    assert found["import_errors"] == {}
    assert found["guarded"] == [
        "flights_training.train",
        "ungated_training.train_on_whatever_is_there",
    ]


def test_examples_add_no_heavy_import_at_parse(layout, folder):
    """How much CPU a DAG file may cost is test_parse_budget's."""
    plain = layout.home / "plain.py"
    plain.write_text(PLAIN)
    found = layout.run(HERE / "probe_parse.py", str(plain), str(folder))
    added = {name.partition(".")[0] for name in found["added"]}
    assert not added & HEAVY, sorted(added & HEAVY)
    assert "sluicegate.orchestration.operators" in found["added"], "the examples were parsed"


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_example_explains_itself_and_shows_that_in_the_web_page(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    dags = [call for call in calls if getattr(call.func, "id", "") == "DAG"]
    assert dags
    assert all("doc_md" in {keyword.arg for keyword in call.keywords} for call in dags)


def test_gate_example_names_a_suite_that_is_there():
    source = (REPO / "dags" / "flights_gate.py").read_text()
    names = [part for part in source.split('"') if part.endswith(".json")]
    assert names
    assert all((REPO / "expectations" / name).is_file() for name in names)
