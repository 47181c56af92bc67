"""The operators under Airflow's own task runner: what they emit, retry, and keep to themselves."""

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.support.hybrid_site import make_hybrid
from tests.unit.workflow.conftest import Site, built_site, rows, write  # noqa: F401 - a fixture
from tests.unit.workflow.test_remembered import restore, saved_ledger

from sluicegate import load_verified
from sluicegate.attest.dsse import Envelope

pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent
SUITE = HERE.parents[1] / "expectations" / "flights.json"


class Stage:
    """One installation a scene, so that no scene sees what another one recorded."""

    def __init__(self, root, built):
        self.root = root
        self.built = built
        self.sites = {}
        self.scenes = {}

    def add(self, name, dag="direct", batch="clean", later=None):
        site = Site(self.root / name)
        shutil.copytree(self.built, site.root)
        self.sites[name] = site
        self.scenes[name] = {
            "dag": dag,
            "home": str(site.home.root),
            "path": str(site.root / batch),
        }
        if later is not None:
            self.scenes[name]["later"] = str(site.root / later)
        return site


@pytest.fixture(scope="module")
def stage(built_site, tmp_path_factory):  # noqa: F811 - the fixture imported above
    stage = Stage(tmp_path_factory.mktemp("operators"), built_site)
    stage.add("passed")
    stage.add("passed_suite", dag="with_suite")
    stage.add("passed_blake3", dag="blake3")
    make_hybrid(stage.add("hybrid"))
    unsigned = stage.add("lacks_quantum_key")
    make_hybrid(unsigned)
    unsigned.home.key("gate.cosign").unlink()
    stage.add("failed", batch="poisoned")
    stage.add("failed_suite", dag="with_suite", batch="poisoned")
    stage.add("no_ledger").home.ledger.unlink()
    stage.add("no_memory").home.memory.unlink()
    restored = stage.add("restored")
    yesterday = saved_ledger(restored)
    restored.seal(restored.poisoned)
    restore(restored, yesterday)
    stage.add("no_data", batch="nowhere")
    truncated = write(rows(7), stage.add("truncated", batch="short").root / "short")
    path = truncated / "part.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    stage.add("overtaken", dag="overtaken", batch="poisoned", later="clean")
    sealed_before = stage.add(
        "overtaken_unchanged", dag="overtaken", batch="poisoned", later="clean"
    )
    sealed_before.seal(sealed_before.poisoned)
    stage.add("mapped", dag="mapped", batch="poisoned", later="clean")
    for scene, later in (("portions", None), ("portions_edited", "clean")):
        pieces = stage.add(scene, dag="portions", batch="pieces", later=later).root / "pieces"
        pieces.mkdir()
        for number in range(3):
            pq.write_table(rows(2).slice(1000 * number, 1000), pieces / f"{number}.parquet")
    stage.add("loose_key").home.key("gate").chmod(0o644)
    return stage


@pytest.fixture(scope="module")
def played(stage, installed_python, tmp_path_factory, make_layout):
    layout = make_layout(installed_python, tmp_path_factory.mktemp("operators-airflow"))
    shutil.copy(HERE / "dags" / "operators.py", layout.home / "dags")
    layout.env["SUITE"] = str(SUITE)
    script = stage.root / "scenes.json"
    script.write_text(json.dumps(stage.scenes))
    found = layout.run(HERE / "probe_operators.py", str(script))
    assert found["import_errors"] == {}
    return found


@pytest.fixture(scope="module")
def scenes(played):
    return played["scenes"]


def verdicts(site):
    return list(site.evidence().ledger.find("verdict", "src"))


@pytest.mark.parametrize("scene", ["passed", "passed_suite", "passed_blake3"])
def test_passed_batch_emits_one_event_that_only_points_to_the_verdict(scenes, stage, scene):
    site = stage.sites[scene]
    (verdict,) = verdicts(site)
    assert scenes[scene]["states"] == {"seal": ["success", 1], "gate": ["success", 1]}
    pointer = {
        "source": "src",
        "digest": verdict.entry.subject,
        "verdict": verdict.entry.envelope,
    }
    assert scenes[scene]["events"] == [["sluicegate://src/", pointer]]


@pytest.mark.parametrize("scene", ["overtaken", "overtaken_unchanged"])
def test_gate_that_names_no_batch_judges_what_its_own_run_sealed(scenes, scene):
    """Also where the run's seal task found nothing new, and so signed nothing."""
    assert scenes[scene]["states"]["gate"] == ["failed", 1]
    assert "verdict FAILED" in scenes[scene]["log"]
    assert scenes[scene]["events"] == []


def test_gate_adds_up_what_mapped_tasks_counted(scenes, stage):
    scene = scenes["portions"]
    (verdict,) = verdicts(stage.sites["portions"])
    assert scene["states"] == {
        **{name: ["success", 1] for name in ("seal", "cut", "edit", "gate")},
        **{f"count[{number}]": ["success", 1] for number in range(3)},
    }
    assert [uri for uri, _ in scene["events"]] == ["sluicegate://src/"]
    assert scene["events"][0][1]["verdict"] == verdict.entry.envelope


def test_edited_tally_fails_the_gate_without_retry_and_leaves_no_verdict(scenes, stage):
    scene = scenes["portions_edited"]
    assert scene["states"]["gate"] == ["failed", 1]
    assert "DIGEST_MISMATCH" in scene["log"]
    assert scene["events"] == []
    assert verdicts(stage.sites["portions_edited"]) == []


def test_mapped_gate_that_names_no_batch_judges_what_its_own_index_sealed(scenes, stage):
    states = scenes["mapped"]["states"]
    assert states["part.gate[0]"] == ["failed", 1]
    assert states["part.gate[1]"] == ["success", 1]
    found = verdicts(stage.sites["mapped"])
    assert len({verdict.entry.subject for verdict in found}) == len(found) == 2


def test_batch_sealed_with_blake3_is_read_after_its_verdict(scenes, stage):
    site = stage.sites["passed_blake3"]
    (verdict,) = verdicts(site)
    assert verdict.entry.subject.startswith("dirHash1-blake3:")
    # Airflow's clock gave the verdict, so now is the only time to ask.
    assert len(load_verified("src", home=site.home)) == 3000


def test_operators_sign_with_every_key_that_the_policy_demands(scenes, stage):
    assert scenes["hybrid"]["states"] == {"seal": ["success", 1], "gate": ["success", 1]}
    ledger = stage.sites["hybrid"].evidence().ledger
    for kind in ("provenance", "test-result", "verdict"):
        (record,) = ledger.find(kind, "src")
        assert len(Envelope.from_bytes(record.envelope).signatures) == 2, kind


def test_gate_without_the_post_quantum_key_fails_without_retry_and_logs_no_verdict(scenes, stage):
    scene = scenes["lacks_quantum_key"]
    assert scene["states"] == {"seal": ["success", 1], "gate": ["failed", 1]}
    assert "[UNTRUSTED_KEY]" in scene["log"]
    assert verdicts(stage.sites["lacks_quantum_key"]) == []


@pytest.mark.parametrize("scene", ["failed", "failed_suite"])
def test_failed_batch_fails_at_its_first_try_in_spite_of_retries_and_emits_nothing(
    scenes, stage, scene
):
    assert scenes[scene]["states"] == {"seal": ["success", 1], "gate": ["failed", 1]}
    assert scenes[scene]["events"] == []
    assert len(verdicts(stage.sites[scene])) == 1, "a FAILED verdict is evidence too"


def test_refusal_in_the_task_log_names_signal_column_effect_and_contributor(scenes):
    log = scenes["failed"]["log"]
    assert "[GATE_BLOCKED]" in log
    assert all(part in log for part in ("LABEL_FLIPS", "label", "c1", "%"))


@pytest.mark.parametrize("scene", ["failed", "failed_suite"])
def test_log_of_a_blocked_gate_closes_with_one_block_after_one_traceback(scenes, scene):
    """Airflow's console prints the frames it passed before the text; the text is the block."""
    _, _, after = scenes[scene]["log"].partition("Task failed with exception")
    assert after.count("Traceback (most recent call last)") == 1
    assert "direct cause" not in after
    _, _, text = after.partition("Stopped: [GATE_BLOCKED] src@")
    _, *rest = text.splitlines()
    end = rest.index("  Next: sluicegate history src")
    assert end >= 1
    assert all(line.startswith("  FAILED  ") for line in rest[:end])
    # In a task's log, which asks for the text first, there are none: test_ending.py.
    assert len([line for line in after.splitlines() if "/sluicegate/" in line]) <= 3


@pytest.mark.parametrize(
    ("scene", "task", "code"),
    [
        ("no_ledger", "seal", "EVIDENCE_MISSING"),
        ("no_memory", "seal", "EVIDENCE_MISSING"),
        ("no_data", "seal", "DATA_UNREADABLE"),
        ("truncated", "gate", "DATA_UNREADABLE"),
    ],
)
def test_what_could_not_be_checked_is_retried_and_never_passes(scenes, stage, scene, task, code):
    assert scenes[scene]["states"][task] == ["failed", 4], "three retries after the first try"
    assert scenes[scene]["log"].count(f"[{code}]") >= 4
    assert scenes[scene]["events"] == []


def test_ledger_that_went_back_is_not_appended_to_and_not_retried(scenes):
    assert scenes["restored"]["states"]["seal"] == ["failed", 1]
    assert "[ROLLBACK]" in scenes["restored"]["log"]
    assert scenes["restored"]["events"] == []


def test_what_was_called_wrongly_is_not_retried(scenes, stage):
    """A key that others can read stays so, however often the task starts."""
    assert scenes["loose_key"]["states"] == {"seal": ["success", 1], "gate": ["failed", 1]}
    assert "chmod 600" in scenes["loose_key"]["log"]
    assert verdicts(stage.sites["loose_key"]) == []


def test_path_is_templated_and_sealed_as_rendered(scenes, stage):
    path = str(stage.sites["passed"].clean)
    assert scenes["passed"]["rendered"]["seal"] == {"path": path}
    assert scenes["passed_suite"]["rendered"]["gate"]["suite"] == str(SUITE)
    assert stage.sites["passed"].evidence().ledger.audit().size == 5


def test_xcom_holds_pointers_only(scenes):
    for scene in scenes.values():
        others = ("paths.", "cut.", "count.")
        ours = {k: v for k, v in pointers(scene).items() if not k.startswith(others)}
        for key, value in ours.items():
            fields = {"source", "digest", "index" if "seal." in key else "verdict"}
            assert set(value) == fields, key
            assert all(len(text) <= 80 for text in value.values())
    assert set(pointers(scenes["passed"])) == {"seal.return_value", "gate.return_value"}
    assert set(pointers(scenes["failed"])) == {"seal.return_value"}


def pointers(scene):
    """What tasks returned. Beside it Airflow keeps the addresses of their links, in the page."""
    links = {key: value for key, value in scene["xcoms"].items() if "._link_" in key}
    assert all(value.startswith("plugin/sluicegate/") for value in links.values())
    return {key: value for key, value in scene["xcoms"].items() if key not in links}


def test_xcom_of_portions_says_where_tallies_lie_and_holds_none(scenes):
    xcoms = pointers(scenes["portions"])
    found = {key: value for key, value in xcoms.items() if key.startswith(("cut.", "count."))}
    assert found
    for value in found.values():
        for pointer in value if isinstance(value, list) else [value]:
            told = {"place", "empty", "first", "end", "tally", "source", "digest"}
            assert set(pointer) <= told
            assert all(len(str(text)) <= 300 for text in pointer.values())


def test_no_key_reaches_logs_or_airflows_database(played, stage):
    kept = (stage.root / "log.txt").read_bytes() + (stage.root / "airflow.db").read_bytes()
    assert b"sealed src@" in kept, "the log that is searched is the tasks' own"
    assert b"PRIVATE KEY" not in kept
    for site in stage.sites.values():
        for role in ("source", "gate", "ledger", "baseline"):
            lines = site.home.key(role).read_bytes().splitlines()[1:-1]
            assert lines
            assert not any(line in kept for line in lines), role


def test_no_row_reaches_logs_or_airflows_database(played, stage):
    kept = (stage.root / "log.txt").read_bytes() + (stage.root / "airflow.db").read_bytes()
    # Row ids are "<seed>-<number>"; those of the poisoned batch, which is written about most.
    assert not re.findall(rb"(?<![\w.:-])3-\d{3,4}(?![\w.:-])", kept)


def test_suite_and_direct_evaluation_give_the_same_reasons(scenes):
    def reasons(scene):
        lines = scenes[scene]["log"].splitlines()
        return {line.split("FAILED ", 1)[1] for line in lines if "FAILED " in line}

    assert reasons("failed") == reasons("failed_suite") != set()


def test_great_expectations_is_imported_only_where_a_suite_runs(played):
    assert played["gx_at_parse"] is False
    imported = {name for name, scene in played["scenes"].items() if scene["gx_imported"]}
    assert imported == {"passed_suite"}, "once in this process, by the first gate with a suite"


def test_constructors_touch_neither_files_nor_network(played):
    assert played["constructors"]["watch_works"], "reading a file would have been seen"
    assert played["constructors"]["touched"] == []


def test_source_that_is_no_name_is_refused_while_the_dag_is_parsed(played):
    assert len(played["constructors"]["refused"]) == 4
    assert all("[CONFIG]" in text for text in played["constructors"]["refused"])


def test_no_operator_is_longer_than_sixty_lines(played):
    assert {"SealSourceOperator", "TrainingGateOperator"} <= set(played["lines"])
    # Beside its docstring: what it says of its arguments may be as long as it needs.
    assert max(played["lines"].values()) <= 60, played["lines"]
