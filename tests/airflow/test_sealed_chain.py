"""`sealed_task` and OpenLineage events under Airflow's own task runner and the real provider."""

import json
import shutil
from pathlib import Path

import pytest
from tests.unit.workflow.conftest import AT, Site, built_site  # noqa: F401 - a fixture

from sluicegate.workflow.exporting.lineage import trace

pytest.importorskip("airflow.providers.openlineage")
pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent
SCENES = {"chain": "clean", "blocked": "poisoned", "refused": "clean"}


@pytest.fixture(scope="module")
def stage(built_site, tmp_path_factory):  # noqa: F811 - the fixture imported above
    root = tmp_path_factory.mktemp("chain")
    for name in SCENES:
        shutil.copytree(built_site, root / name)
    return root


@pytest.fixture(scope="module")
def played(stage, installed_python, tmp_path_factory, make_layout):
    layout = make_layout(installed_python, tmp_path_factory.mktemp("chain-airflow"))
    shutil.copy(HERE / "dags" / "sealed_chain.py", layout.home / "dags")
    scenes = {
        name: {
            "dag": "refused" if name == "refused" else "chain",
            "home": str(Site(stage / name).home.root),
            "conf": {"path": str(stage / name / batch), "out": str(stage / name / "features")},
        }
        for name, batch in SCENES.items()
    }
    transport = {"type": "file", "log_file_path": str(stage / "events"), "append": True}
    layout.env["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(transport)
    layout.env["AIRFLOW__OPENLINEAGE__NAMESPACE"] = "test"
    script = stage / "scenes.json"
    script.write_text(json.dumps(scenes))
    found = layout.run(HERE / "probe_chain.py", str(script))
    assert found["import_errors"] == {}
    return found["scenes"]


@pytest.fixture(scope="module")
def events(played, stage):
    """Return the final event of each task by DAG run and task."""
    runs = {scene["run_id"]: name for name, scene in played.items()}
    found = {}
    for line in (stage / "events").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        facets = event["run"]["facets"]
        if event["eventType"] in ("COMPLETE", "FAIL") and "airflow" in facets:
            name = runs[facets["airflow"]["dagRun"]["run_id"]]
            found[name, facets["airflow"]["task"]["task_id"]] = event
    return found


def test_chain_of_sealed_tasks_is_proven_back_to_its_source(played, stage):
    assert set(played["chain"]["states"].values()) == {"success"}
    site = Site(stage / "chain")
    top = trace(site.evidence(), "report", at=site_time(site))
    assert top.exit_code == 0
    steps = [(depth, step.source) for depth, step in top.walk()]
    assert steps == [(0, "report"), (1, "features"), (2, "src"), (1, "src")]
    run = top.inputs[0].provenance.run
    assert (run["dag_id"], run["task_id"]) == ("chain", "build")
    assert ".build sha256:" in top.inputs[0].provenance.code_version


def site_time(site):
    """Return a time at which what Airflow sealed after the fixture is not in the future."""
    from datetime import UTC, datetime

    return max(AT, datetime.now(UTC))


def test_task_hands_on_a_pointer_and_nothing_else(played):
    kept = played["chain"]["xcoms"]
    assert set(kept["build.return_value"]) == {"source", "digest", "index"}
    assert kept["build.return_value"]["source"] == "features"


def test_assets_of_a_sealed_task_are_its_inputs_and_its_output(played):
    assert played["chain"]["assets"] == {
        "build": [["sealed://src/"], ["sealed://features/"]],
        "report": [["sealed://features/", "sealed://src/"], ["sealed://report/"]],
    }


def test_task_without_a_sealed_input_or_a_path_never_seals(played, stage):
    states = played["refused"]["states"]
    assert states["lacks_input"] == states["returns_no_path"] == "failed"
    # Could not check is tried again; called wrongly is not.
    assert played["refused"]["tries"] == {"lacks_input": 2, "returns_no_path": 1, "seal": 1}
    ledger = Site(stage / "refused").evidence().ledger
    assert list(ledger.find("provenance", "features")) == []
    assert "must not run" not in played["refused"]["log"]


def datasets(event, side):
    return {item["name"]: item for item in event[side] if item["namespace"] == "sluicegate"}


def test_events_carry_version_and_integrity_of_what_was_read_and_made(events, played):
    made = played["chain"]["xcoms"]
    event = events["chain", "build"]
    output = datasets(event, "outputs")["features"]["facets"]
    read = datasets(event, "inputs")["src"]["facets"]
    assert output["version"]["datasetVersion"] == made["build.return_value"]["digest"]
    assert output["sluicegate_integrity"]["digest"] == made["build.return_value"]["digest"]
    assert read["version"]["datasetVersion"] == made["seal.return_value"]["digest"]
    sealed = datasets(events["chain", "seal"], "outputs")["src"]["facets"]
    assert sealed["version"]["datasetVersion"] == made["seal.return_value"]["digest"]


def test_events_carry_the_quality_that_the_gate_found_also_when_it_blocks(events, played):
    passed = datasets(events["chain", "gate"], "inputs")["src"]
    assert passed["facets"]["sluicegate_integrity"]["verdict"] == "PASSED"
    assert quality(passed) == [["sluicegate.verdict", True, None]]
    blocked = events["blocked", "gate"]
    assert blocked["eventType"] == "FAIL"
    batch = datasets(blocked, "inputs")["src"]
    assert batch["facets"]["sluicegate_integrity"]["verdict"] == "FAILED"
    assert ["LABEL_FLIPS", False, "label"] in quality(batch)
    # A catalogue is read by many: no contributor, no row.
    assert '"c1"' not in json.dumps(blocked["inputs"])


def quality(dataset):
    assertions = dataset["inputFacets"]["dataQualityAssertions"]["assertions"]
    return [[item["assertion"], item["success"], item.get("column")] for item in assertions]
