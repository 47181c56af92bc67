"""The example DAGs are the operators' documentation: they parse, cheaply, and are guarded."""

import ast
import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.support.flights_site import build_flights
from tests.support.mail_server import mail_server, smtp_connection

from sluicegate.attest.keys import read_signer
from sluicegate.cli.demo.flights import FLIGHTS_SCHEMA
from sluicegate.digest.algorithms import Digest
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.sealing.seal import seal_into_ledger

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
        "flights_nightly.train",
        "flights_training.train",
        "sluicegate_canary.default.sing",
        "ungated_training.train_on_whatever_is_there",
    ]


def test_examples_add_no_heavy_import_at_parse(layout, folder):
    """How much CPU a DAG file may cost is test_parse_budget's."""
    plain = layout.home / "plain.py"
    plain.write_text(PLAIN)
    found = layout.run(HERE / "probe_parse.py", str(plain), str(folder))
    added = {name.partition(".")[0] for name in found["added"]}
    assert not added & HEAVY, sorted(added & HEAVY)
    notifiers = [name for name in found["added"] if name.startswith("airflow.providers.smtp")]
    assert not notifiers, "a provider that only sends is imported to send"
    assert "sluicegate.orchestration.operators" in found["added"], "the examples were parsed"


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_example_explains_itself_and_shows_that_in_the_web_page(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    dags = [call for call in calls if getattr(call.func, "id", "") in {"DAG", "response"}]
    assert dags
    assert all("doc_md" in {keyword.arg for keyword in call.keywords} for call in dags)


def test_gate_example_names_a_suite_that_is_there():
    source = (REPO / "dags" / "flights_gate.py").read_text()
    names = [part for part in source.split('"') if part.endswith(".json")]
    assert names
    assert all((REPO / "expectations" / name).is_file() for name in names)


SCENES = [
    ("flights_partitions", {"conf": "parts"}),
    ("flights_mapped", {"conf": "mapped"}),
    ("flights_features", {"conf": "out"}),
    ("flights_response", {"conf": "quarantine"}),
    ("flights_response", {"conf": "release"}),
    ("flights_model_gate", {"conf": "model"}),
    ("flights_waived_gate", {"conf": "path"}),
    ("flights_nightly", {}),
    ("flights_backfill", {"day": "2013-04-01T00:00:00Z"}),
    ("flights_backfill", {"day": "2013-05-01T00:00:00Z"}),
    ("flights_backfill", {"day": "2013-06-01T00:00:00Z"}),
    ("flights_backfill", {"day": "2013-04-01T00:00:00Z"}),
    ("flights_rollback", {}),
    ("flights_promotion", {"conf": "key"}),
    ("flights_audit", {}),
]
"""Played in this order, in one Airflow on one installation. The others need a scheduler or people:
`make demo`, a step of CI, plays flights_gate, flights_training and ungated_training."""


def split(site):
    """Lay April out by partitions, as two deliveries."""
    table = pq.read_table(site.month(4) / "flights.parquet")
    whole = site.root / "split"
    for number, part in enumerate((table.slice(0, 1000), table.slice(1000))):
        # No key in the name: that would be a column, which the baseline does not know.
        (whole / f"delivery-{number}").mkdir(parents=True)
        pq.write_table(part, whole / f"delivery-{number}" / "flights.parquet")
    return whole


def pieces(site):
    """Lay April out by ten files and a marker."""
    table = pq.read_table(site.month(4) / "flights.parquet")
    whole = site.root / "pieces"
    whole.mkdir()
    (whole / "_SUCCESS").touch()
    step = -(-table.num_rows // 10)
    for number in range(10):
        pq.write_table(table.slice(number * step, step), whole / f"{number}.parquet")
    return whole


def golden_set(site):
    """Seal a golden set, and write a model with its and the champion's answers to it."""
    golden = pq.read_table(site.month(7) / "flights.parquet")
    folder = site.root / "contest"
    for name in ("model", "golden"):
        (folder / name).mkdir(parents=True)
    (folder / "model" / "weights").write_bytes(b"weights")
    pq.write_table(golden, folder / "golden" / "flights.parquet")
    answers = pa.table({"flight_id": golden["flight_id"], "prediction": golden["late"]})
    for name in ("champion", "challenger"):
        pq.write_table(answers, folder / f"{name}.parquet")
    roles = {role: name for role, name in FLIGHTS_SCHEMA.items() if role != "timestamp"}
    (folder / "schema.yaml").write_text(yaml.safe_dump(roles))
    rules = {f"max_{what}regression": 0.05 for what in ("", "class_", "slice_")}
    rules |= {"max_disagreement": 0.5, "max_leakage": 0.001, "slices": ["carrier"]}
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write(yaml.safe_dump({"model": rules}))
    at = datetime.now(UTC).replace(microsecond=0)
    ledger = read_signer(site.home.key("ledger"))
    seal_into_ledger(
        folder / "golden",
        "flights.golden",
        evidence=open_evidence(site.home, at=at, ledger_signer=ledger),
        signer=read_signer(site.home.key("source")),
        at=at,
        run={"orchestrator": "test"},
    )
    return folder


@pytest.fixture(scope="module")
def played(installed_python, folder, tmp_path_factory, make_layout):
    """Play every scene; the mail server keeps what was sent."""
    root = tmp_path_factory.mktemp("flights")
    site = build_flights(root / "site", flipped=(5, 6))
    layout = make_layout(installed_python, root)
    layout.home.joinpath("dags").rmdir()
    shutil.copytree(folder, layout.home / "dags")
    confs = {
        "parts": {"path": str(split(site))},
        "mapped": {"path": str(pieces(site)), "place": str(root / "tallies")},
        "out": {"out": str(root / "features")},
        "quarantine": {"action": "quarantine", "reason": "the supplier was hacked"},
        "release": {"action": "release", "reason": "$(false) confirmed"},
        "model": {"folder": str(golden_set(site))},
        "key": {"key": str(site.home.key("baseline")), "last": 1},
        "path": {"path": str(site.month(4))},
    }
    scenes = [{**how, "dag": dag, "conf": confs.get(how.get("conf"), {})} for dag, how in SCENES]
    script = root / "scenes.json"
    script.write_text(json.dumps(scenes))
    with mail_server() as (port, mails):
        layout.env |= {
            "SLUICEGATE_HOME": str(site.home.root),
            "AIRFLOW_CONN_SMTP_DEFAULT": smtp_connection(port),
            "FLIGHTS_DATA": str(site.root / "data"),
            "SLUICEGATE_AUDIT_MEMORY": str(root / "memory" / "checkpoint"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        found = layout.run(HERE / "probe_examples.py", str(script), timeout=300)
    assert found["import_errors"] == {}
    return site, found, mails


def test_every_example_was_played_or_is_by_another_test(played):
    elsewhere = {"flights_gate", "flights_training", "ungated_training"}
    elsewhere |= {"sluicegate_canary.default"}  # by test_canary
    assert set(played[1]["dags"]) == elsewhere | {dag for dag, _ in SCENES}


DONE = {
    "flights_features": {"build": ["success"]},
    "flights_model_gate": {"check": ["success"], "promote": ["success"]},
    "flights_promotion": {"promote": ["success"]},
    "flights_rollback": {"rollback": ["success"]},
    "flights_audit": {"audit": ["success"]},
    "flights_nightly": {"wait": ["success"], "train": ["success"]},
    "flights_waived_gate": {
        "seal": ["success"],
        "gate": ["success"],
        "waiver.request": ["skipped"],
        "waiver.confirm": ["skipped"],
    },
}


def test_each_capability_does_what_its_example_says(played):
    for (dag, _), scene in zip(SCENES, played[1]["scenes"], strict=True):
        if dag in DONE:
            assert scene["states"] == DONE[dag], (dag, scene["log"][-3000:])


def test_people_set_a_batch_aside_and_let_it_back(played):
    found = played[1]["scenes"]
    scenes = [one for (dag, _), one in zip(SCENES, found, strict=True) if dag == "flights_response"]
    names = {"quarantine", "release", "rollback", "waiver.request", "waiver.confirm"}
    for scene, done in zip(scenes, ("quarantine", "release"), strict=True):
        skipped = {name: ["skipped"] for name in names - {done}}
        expected = {"choose": ["success"], done: ["success"], **skipped}
        assert scene["states"] == expected, scene["log"][-3000:]
    assert [uri for uri, _ in scenes[1]["events"]] == ["sluicegate://flights/"]


def test_partitions_have_verdicts_of_their_own_and_the_month_a_joint_one(played):
    site, found, _ = played
    scene = found["scenes"][0]
    assert scene["states"] == {
        "partitions": ["success"],
        "seal_part": ["success"] * 2,
        "gate_part": ["success"] * 2,
        "seal": ["success"],
        "gate": ["success"],
    }, scene["log"][-3000:]
    assert [uri for uri, _ in scene["events"]] == ["sluicegate://flights/"]
    ledger = open_evidence(site.home, at=datetime.now(UTC)).ledger
    assert len(list(ledger.find("verdict", "flights.part"))) == 2


def test_mapped_tasks_count_and_the_gate_adds_up(played):
    site, found, _ = played
    scene = found["scenes"][1]
    assert scene["states"] == {
        "seal": ["success"],
        "cut": ["success"],
        "count": ["success"] * 8,
        "gate": ["success"],
    }, scene["log"][-3000:]
    [(uri, pointer)] = scene["events"]
    assert uri == "sluicegate://flights/"
    evidence = open_evidence(site.home, at=datetime.now(UTC))
    verdicts = evidence.ledger.find("verdict", "flights", Digest.parse(pointer["digest"]))
    assert pointer["verdict"] in [record.entry.envelope for record in verdicts]


def test_months_in_a_row_that_are_blocked_are_one_mail_and_their_end_another(played):
    _, found, mails = played
    gates = [
        scene["states"]["gate"]
        for (dag, _), scene in zip(SCENES, found["scenes"], strict=True)
        if dag == "flights_backfill"
    ]
    assert gates == [["success"], ["failed"], ["failed"], ["success"]]
    opened, ended = mails
    assert opened["Subject"].startswith("flights: training is blocked by")
    assert ended["Subject"] == "flights: recovered, training may go on"
    assert opened["To"] == "data-owner@example.com"
