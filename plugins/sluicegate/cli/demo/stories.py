"""The six stories: what a person does in each, and how it must end."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.cli.demo import audit_environment
from sluicegate.cli.demo.flights import flip_labels
from sluicegate.cli.demo.installation import SOURCE, DemoPlaces
from sluicegate.cli.options import now
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import SluicegateError
from sluicegate.workflow.evidence.folder import export_folder
from sluicegate.workflow.evidence.opening import open_evidence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sluicegate.cli.demo.airflow_instance import AirflowInstance

CLEAN_MONTH = 4
POISONED_MONTH = 5
POISONER = "UA"
FLIPPED_SHARE = 0.03
_RUN_S = 120.0
_QUIET_S = 8.0  # several scheduler loops, in which an asset event would have started a run


@dataclass(frozen=True, slots=True)
class StoryEnd:
    """How a story ended.

    Attributes:
        as_expected: Whether every condition of the story held.
        reason: What Sluicegate said, or which condition did not hold.
    """

    as_expected: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The Airflow and the installation that the stories use."""

    airflow: AirflowInstance
    places: DemoPlaces

    def gate(self, path: Path) -> tuple[str, str]:
        """Seal and judge a batch through Airflow; return run state and the gate's log."""
        run_id = self.airflow.trigger("flights_gate", {"path": str(path)})
        state = self.airflow.wait_run("flights_gate", run_id, _RUN_S)
        return state, self.airflow.log_text("flights_gate", run_id, "gate")

    def training_runs(self) -> list[str]:
        """Return the ids of all runs of the training DAG."""
        return [str(run["dag_run_id"]) for run in self.airflow.runs("flights_training")]

    def trained(self) -> list[dict[str, Any]]:
        """Return the cards of all trained models."""
        cards = sorted(self.places.models.glob("*/card.json"))
        return [json.loads(card.read_text(encoding="utf-8")) for card in cards]


def clean_month(stage: Stage) -> StoryEnd:
    """A. A clean month is sealed, judged and PASSED, and a model is trained on it."""
    before = stage.training_runs()
    state, log = stage.gate(stage.places.month(CLEAN_MONTH))
    if state != "success":
        return StoryEnd(as_expected=False, reason=_refusal(log))
    run_id = stage.airflow.wait_new_run("flights_training", before, _RUN_S)
    trained = stage.airflow.wait_run("flights_training", run_id, _RUN_S)
    cards = stage.trained()
    verdict = "PASSED" if "verdict PASSED" in log else "not PASSED"
    if trained != "success" or len(cards) != 1 or verdict != "PASSED":
        log = stage.airflow.log_text("flights_training", run_id, "train")
        return StoryEnd(as_expected=False, reason=f"{verdict}, training {trained}: {_refusal(log)}")
    rows, auc = cards[0]["rows"], cards[0]["auc"]
    return StoryEnd(
        as_expected=True, reason=f"{verdict}; model trained on {rows:,} rows, AUC {auc}"
    )


def poisoned_month(stage: Stage) -> StoryEnd:
    """B. One contributor flips 3 % of the next month's labels: FAILED, nothing trains."""
    poisoned = stage.places.root / "poisoned" / f"month={POISONED_MONTH:02d}"
    flip_labels(
        stage.places.month(POISONED_MONTH) / "flights.parquet",
        poisoned / "flights.parquet",
        contributor=POISONER,
        share_of_batch=FLIPPED_SHARE,
        seed=0,
    )
    before = stage.training_runs()
    state, log = stage.gate(poisoned)
    reason = _refusal(log)
    told = all(part in reason for part in ("LABEL_FLIPS", "late", POISONER, "%"))
    return StoryEnd(
        as_expected=state == "failed" and told and _stays_quiet(stage, before), reason=reason
    )


def altered_after_verdict(stage: Stage) -> StoryEnd:
    """C. A batch is changed after its PASSED verdict: the verified read stops training."""
    batch = stage.places.root / "altered" / f"month={POISONED_MONTH:02d}"
    shutil.copytree(stage.places.month(POISONED_MONTH), batch)
    stage.airflow.rest.call("PATCH", "/dags/flights_training", {"is_paused": True})
    state, log = stage.gate(batch)
    if state != "success":
        return StoryEnd(as_expected=False, reason=_refusal(log))
    path = batch / "flights.parquet"
    flip_labels(path, path, contributor=POISONER, share_of_batch=1e-4, seed=1)
    stage.airflow.rest.call("PATCH", "/dags/flights_training", {"is_paused": False})
    return _training_refused(stage, "DIGEST_MISMATCH")


def no_gate(stage: Stage) -> StoryEnd:
    """D. A person starts a training DAG without a gate: it is stopped at its first try."""
    conf = {"path": str(stage.places.month(CLEAN_MONTH))}
    run_id = stage.airflow.trigger("ungated_training", conf)
    state = stage.airflow.wait_run("ungated_training", run_id, _RUN_S)
    task = stage.airflow.task_instances("ungated_training", run_id)[0]
    log = stage.airflow.log_text("ungated_training", run_id, task["task_id"])
    first_try = task["try_number"] == 1 and task["max_tries"] == 3
    return StoryEnd(as_expected=state == "failed" and first_try, reason=_refusal(log))


def forged_verdict(stage: Stage) -> StoryEnd:
    """E. Somebody posts an asset event with an invented PASSED verdict: it is rejected."""
    before = stage.training_runs()
    stage.airflow.post_asset_event(
        f"sluicegate://{SOURCE}",
        {"source": SOURCE, "verdict": "sha256:" + "f" * 64, "result": "PASSED"},
    )
    run_id = stage.airflow.wait_new_run("flights_training", before, _RUN_S)
    return _refused(stage, run_id, "BAD_PROOF")


def offline_audit(stage: Stage) -> StoryEnd:
    """F. The evidence of story A is verified without Airflow, with nothing but public keys."""
    root = stage.places.root / "audit"
    root.mkdir()
    at = now()
    evidence = open_evidence(stage.places.home, at=at)
    first = next(evidence.ledger.find("seal", SOURCE, newest_first=False))
    batch = evidence.seal_of(SOURCE, Digest.parse(first.entry.subject), at=at)
    export_folder(evidence, batch, root / "evidence")
    trust = shutil.copy(stage.places.home.trust, root / "trust.json")
    data = root / "data"
    shutil.copytree(stage.places.month(CLEAN_MONTH), data)
    environment = audit_environment.create(root / "environment")
    arguments = ("verify", str(root / "evidence"), str(data), "--trust", str(trust))
    good, report = audit_environment.run(environment, *arguments)
    _flip_one_byte(data / "flights.parquet")
    bad, _ = audit_environment.run(environment, *arguments)
    return StoryEnd(
        as_expected=(good, bad) == (0, 1),
        reason=f"{len(report['findings'])} checks hold without Airflow (exit {good}); "
        f"one flipped byte is found (exit {bad})",
    )


STORIES: tuple[tuple[str, Callable[[Stage], StoryEnd]], ...] = (
    ("clean month trains", clean_month),
    ("3 % of labels flipped", poisoned_month),
    ("altered after verdict", altered_after_verdict),
    ("training without a gate", no_gate),
    ("forged verdict", forged_verdict),
    ("offline audit", offline_audit),
)


def _training_refused(stage: Stage, code: str) -> StoryEnd:
    run_id = stage.airflow.trigger("flights_training")
    return _refused(stage, run_id, code)


def _refused(stage: Stage, run_id: str, code: str) -> StoryEnd:
    models = len(stage.trained())
    state = stage.airflow.wait_run("flights_training", run_id, _RUN_S)
    reason = _refusal(stage.airflow.log_text("flights_training", run_id, "train"))
    stopped = state == "failed" and code in reason and len(stage.trained()) == models
    return StoryEnd(as_expected=stopped, reason=reason)


def _stays_quiet(stage: Stage, before: list[str]) -> bool:
    """Return whether no training run appears for several scheduler loops."""
    try:
        stage.airflow.wait_new_run("flights_training", before, _QUIET_S)
    except SluicegateError:
        return True
    return False


def _refusal(log: str) -> str:
    """Return the line of a task log that carries one of our codes."""
    lines = [line for line in log.splitlines() if ": [" in line or line.startswith("[")]
    return lines[-1].split(": ", 1)[-1] if lines else log[-300:]


def _flip_one_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
