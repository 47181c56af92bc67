"""Several processes seal and judge one source at once: each judges what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from tests.support.postgres_server import throwaway_database
from tests.unit.workflow.conftest import AT, built_site, rows, site, write  # noqa: F401 - fixtures

from sluicegate.adapters.sources.open import open_source
from sluicegate.attest.predicates import provenance_from_statement
from sluicegate.attest.secret import Secret
from sluicegate.attest.trust import Role
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence

RUN_S = 120
BATCHES = {"clean": "PASSED", "other": "PASSED", "poisoned": "FAILED"}

# Imports first: what is raced for is the ledger, not the start of Python.
CHILD = """
import sys, time
from pathlib import Path
import sluicegate.workflow.judging.gate, sluicegate.workflow.judging.runners
import sluicegate.workflow.sealing.seal
import sluicegate.signals.evaluate
from sluicegate.cli.main import main

ready, go, *command = sys.argv[1:]
Path(ready).touch()
while not Path(go).exists():
    time.sleep(0.001)
raise SystemExit(main(command))
"""


@pytest.fixture(params=["sqlite", "postgres"])
def home(request, site):  # noqa: F811 - the fixture imported above
    if request.param == "sqlite":
        yield site.home
        return
    with throwaway_database() as server:
        home = SluiceHome(site.home.root, Secret(server.url(), "ledger URL"))
        create_ledger(home, at=AT, forget="the file's ledger is another one")
        yield home


def test_each_of_three_gates_at_once_judges_the_batch_it_sealed(home, site, tmp_path):  # noqa: F811
    write(rows(4), site.root / "other")
    go = tmp_path / "go"
    children = {
        name: subprocess.Popen(
            [
                *(sys.executable, "-c", CHILD, str(tmp_path / name), str(go)),
                *("gate", "src", "--seal", str(site.root / name), "--json"),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **home.environ},
        )
        for name in BATCHES
    }
    try:
        while not all((tmp_path / name).exists() for name in children):
            assert all(child.poll() is None for child in children.values())
            time.sleep(0.01)
        go.touch()
        said = {name: json.loads(c.communicate(timeout=RUN_S)[0]) for name, c in children.items()}
    finally:
        for child in children.values():
            child.kill()
            child.wait()
    digests = {name: str(open_source(site.root / name).manifest().digest) for name in BATCHES}
    assert {name: found["digest"] for name, found in said.items()} == digests
    assert {name: found["verdict"] for name, found in said.items()} == BATCHES
    assert [children[name].returncode for name in BATCHES] == [0, 0, 1]
    assert versions(home) == [1, 2, 3]


def versions(home):
    evidence = open_evidence(home, at=AT)
    with evidence.ledger:
        found = [
            evidence.statement(record, Role.SOURCE, at=AT)
            for record in evidence.ledger.find("provenance", "src", newest_first=False)
        ]
    return [provenance_from_statement(said, locator="").version for said in found]
