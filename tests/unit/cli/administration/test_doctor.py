"""`sluicegate doctor` says where the memory is, how old it is, and what to do without one."""

from __future__ import annotations

import json

import pytest
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures
from tests.unit.workflow.test_remembered import restore, saved_ledger

from sluicegate.cli.main import main


@pytest.fixture
def memory_line(site, capsys):  # noqa: F811 - the imported fixture
    """Run the command; returns exit code, state and detail of the memory."""

    def run():
        capsys.readouterr()
        code = main(["doctor", "--home", str(site.home.root), "--json"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        ((state, detail),) = [
            (item["state"], item["detail"]) for item in checks if item["check"] == "memory"
        ]
        return code, state, detail

    return run


def test_memory_has_place_size_and_age(site, memory_line):  # noqa: F811 - the imported fixture
    site.seal(site.clean)
    size = site.evidence().ledger.size()
    code, state, detail = memory_line()
    assert (code, state) == (0, "ok")
    assert detail.startswith(f"{size} leaves, since 20")
    assert str(site.home.memory) in detail


def test_missing_memory_names_the_command_and_is_not_made(site, memory_line):  # noqa: F811
    site.home.memory.unlink()
    code, state, detail = memory_line()
    assert (code, state) == (2, "unusable")
    assert "sluicegate ledger remember" in detail
    assert not site.home.memory.exists()


def test_ledger_that_went_back_is_said(site, memory_line):  # noqa: F811 - the imported fixture
    saved = saved_ledger(site)
    site.seal(site.clean)
    restore(site, saved)
    code, state, detail = memory_line()
    assert (code, state) == (2, "unusable")
    assert "[ROLLBACK]" in detail


@pytest.mark.parametrize("part", ["file", "directory"])
def test_memory_that_anybody_may_write_is_unusable(site, memory_line, part):  # noqa: F811
    path = site.home.memory if part == "file" else site.home.memory.parent
    path.chmod(path.stat().st_mode | 0o002)
    code, state, detail = memory_line()
    assert (code, state) == (2, "unusable")
    assert "others may replace it" in detail
    assert "chmod" in detail
