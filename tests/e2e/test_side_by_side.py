"""`make test` in two processes: every file runs in one of them, and a failure in either counts."""

import signal

import pytest
from tests import side_by_side
from tests.side_by_side import ALL, QUICK, REPO, Plan

FAILING = "def test_it():\n    assert 'seen' == 'hidden'\n"
PASSING = "def test_it():\n    pass\n"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree of tests with two rooms; a run leaves the signals of this process as they were."""
    for room in ("one", "two"):
        (tmp_path / "t" / room).mkdir(parents=True)
        (tmp_path / "t" / room / f"test_{room}.py").write_text(PASSING)
    monkeypatch.setattr(side_by_side, "REPO", tmp_path)
    kept = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    yield tmp_path / "t"
    for kind, handler in kept.items():
        signal.signal(kind, handler)


def test_new_room_runs_without_being_named(tree, capfd):
    (tree / "three").mkdir()
    (tree / "three" / "test_three.py").write_text(PASSING)
    assert side_by_side.run(Plan("t", ("t/one",))) == 0
    said = capfd.readouterr().out
    assert "1 passed" in said
    assert "2 passed" in said


@pytest.mark.parametrize("room", ["one", "two"])
def test_failure_in_either_half_is_shown_whole_and_counts(tree, room, capfd):
    (tree / room / f"test_{room}.py").write_text(FAILING)
    assert side_by_side.run(Plan("t", ("t/one",))) == 1
    said = capfd.readouterr().out
    assert "assert 'seen' == 'hidden'" in said
    assert "1 passed" in said


def test_child_is_interrupted_although_a_shell_had_it_ignore_that(tree):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    (tree / "two" / "test_two.py").write_text(
        "import signal\ndef test_it():\n    assert signal.getsignal(2) is not signal.SIG_IGN\n"
    )
    assert side_by_side.run(Plan("t", ("t/one",))) == 0


@pytest.mark.parametrize("plan", [ALL, QUICK], ids=["all", "quick"])
def test_rooms_that_a_plan_names_exist(plan):
    assert all((REPO / path).is_dir() for path in (plan.whole, *plan.first))
    assert all(path.startswith(plan.whole) for path in plan.first)
