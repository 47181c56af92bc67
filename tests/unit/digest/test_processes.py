"""Forked workers give what one process gives, and their failures are raised as they are."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from sluicegate.digest import processes, scan
from sluicegate.digest.scan import hash_files
from sluicegate.errors import UnreadableData

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

_FEW = 40


def _alone(script: str) -> str:
    """Run in a process of its own, because this one may have threads."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "MANY_FILES", 1)
    for number in range(_FEW):
        (tmp_path / f"{number:02}").write_bytes(bytes([number]) * number)
    return tmp_path


def test_shares_are_made_by_several_processes_and_all_come_back():
    printed = _alone("""
        import os
        from sluicegate.digest.processes import map_in_processes
        made = map_in_processes(lambda s: [(i, os.getpid()) for i in s], list(range(10)), 3)
        print(sorted(i for i, _ in made) == list(range(10)), len({p for _, p in made}))
    """)
    assert printed.split() == ["True", "3"]


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "1 / 0"])
def test_share_of_a_process_that_died_is_made_here(end):
    printed = _alone(f"""
        import os
        from sluicegate.digest.processes import map_in_processes
        here = os.getpid()
        def work(share):
            if os.getpid() != here:
                {end}
            return share
        print(sorted(map_in_processes(work, [1, 2, 3, 4], 2)))
        try:
            os.wait()
        except ChildProcessError:
            print("no zombie")
    """)
    assert printed.splitlines() == ["[1, 2, 3, 4]", "no zombie"]


def test_error_of_a_share_is_raised_with_its_own_cause():
    printed = _alone("""
        from sluicegate.digest.processes import map_in_processes
        def work(share):
            if 2 in share:
                raise LookupError("the second")
            return share
        for items in ([1, 2], [2, 1]):
            try:
                map_in_processes(work, items, 2)
            except LookupError as error:
                print(error)
    """)
    assert printed.splitlines() == ["the second"] * 2


def test_process_with_a_second_thread_is_never_forked():
    printed = _alone("""
        import threading
        from sluicegate.digest.processes import map_in_processes
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        print(map_in_processes(lambda share: share, [1, 2], 2))
        stop.set()
        thread.join()
    """)
    assert printed.strip() == "None"


def test_files_hashed_in_processes_in_threads_and_in_turn_are_the_same(files, monkeypatch):
    in_turn = sorted(hash_files(files, workers=1))
    monkeypatch.setattr(processes, "_has_one_thread", lambda: False)
    assert sorted(hash_files(files, workers=3)) == in_turn
    monkeypatch.setattr(processes, "_has_one_thread", lambda: True)
    assert sorted(hash_files(files, workers=3)) == in_turn
    assert len(in_turn) == _FEW


def test_unreadable_file_in_the_share_of_a_process_is_named(files, monkeypatch):
    monkeypatch.setattr(processes, "_has_one_thread", lambda: True)
    real = os.open

    def refuse(name, *arguments, **options):
        if name == "07":
            raise PermissionError(13, "Permission denied", name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableData, match="07"):
        hash_files(files, workers=2)
