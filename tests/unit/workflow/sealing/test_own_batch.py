"""A run that names no batch means the one it sealed, and each seal has a number of its own."""

from __future__ import annotations

import pytest
from tests.unit.workflow.conftest import AT, RUN, rows, write

from sluicegate.attest.keys import Signer
from sluicegate.cli.main import main
from sluicegate.errors import ConfigError
from sluicegate.workflow.auditing.history import roll_back
from sluicegate.workflow.sealing.own_batch import batch_of_run
from sluicegate.workflow.sealing.seal import seal_into_ledger


def run_of(run_id, task_id="seal", map_index="-1"):
    ids = {"dag_id": "d", "run_id": run_id, "task_id": task_id, "map_index": map_index}
    return {"orchestrator": "airflow", **ids}


@pytest.fixture
def sealed(site):
    """Seal a table as a task of a run; returns the batch."""

    def seal(name, run, seed=None):
        place = site.root / name
        if seed is not None:
            write(rows(seed, 50), place)
        keys = {"evidence": site.evidence(), "signer": site.signer("source")}
        return seal_into_ledger(place, "src", at=AT, run=run, **keys)

    return seal


def own(site, run, **options):
    found = batch_of_run(site.evidence(), "src", run, at=AT, **options)
    return None if found is None else found.digest


def test_each_run_means_the_batch_it_sealed_whatever_was_sealed_since(site, sealed):
    first = sealed("a", run_of("r1"), 11)
    second = sealed("b", run_of("r2"), 12)
    sealed("c", RUN, 13)
    assert own(site, run_of("r1", "gate")) == first.digest
    assert own(site, run_of("r2", "gate")) == second.digest
    assert own(site, run_of("r3", "gate")) is None
    assert own(site, RUN) is None
    assert own(site, {**run_of("r1"), "dag_id": "other"}) is None


def test_task_that_sealed_again_in_its_run_means_its_newest(site, sealed):
    sealed("a", run_of("r1"), 11)
    again = sealed("a", run_of("r1"), 12)
    assert own(site, run_of("r1", "gate")) == again.digest


def test_mapped_gate_means_what_was_sealed_under_its_own_index(site, sealed):
    parts = [sealed(str(i), run_of("r1", map_index=str(i)), 20 + i) for i in range(2)]
    for index, part in enumerate(parts):
        assert own(site, run_of("r1", "gate", str(index))) == part.digest
    with pytest.raises(ConfigError, match="2 batches"):
        own(site, run_of("r1", "gate"))


def test_of_several_seals_in_a_run_the_one_before_the_gate_is_meant(site, sealed):
    raw = sealed("raw", run_of("r1", "seal_raw"), 31)
    clean = sealed("clean2", run_of("r1", "seal_clean"), 32)
    assert own(site, run_of("r1", "gate"), before={"seal_raw"}) == raw.digest
    assert own(site, run_of("r1", "gate"), before={"seal_clean"}) == clean.digest
    with pytest.raises(ConfigError, match="none is named"):
        own(site, run_of("r1", "gate"), before={"other"})


class Interrupted(Signer):
    """A key with which, each time before it signs, somebody else does something first."""

    def __init__(self, signer, *others):
        self._signer, self._others = signer, list(others)

    def __getattr__(self, name):
        return getattr(self._signer, name)

    def sign(self, data):
        if self._others:
            self._others.pop()()
        return self._signer.sign(data)


@pytest.fixture
def numbers(site):
    def read():
        found = site.evidence().ledger.find("provenance", "src", newest_first=False)
        return [site.evidence().sealed_by(record, at=AT).version for record in found]

    return read


def test_seal_that_others_overtake_takes_the_next_number(site, sealed, numbers):
    mine = write(rows(41, 50), site.root / "mine")
    others = [lambda s=seed: sealed(f"other{s}", RUN, s) for seed in (42, 43)]
    signer = Interrupted(site.signer("source"), *others)
    batch = seal_into_ledger(mine, "src", evidence=site.evidence(), signer=signer, at=AT, run=RUN)
    assert batch.version == 3
    assert batch.location.endswith("mine"), "its own batch, not the newest"
    assert numbers() == [1, 2, 3]


def test_same_bytes_that_another_process_sealed_meanwhile_are_sealed_once(site, sealed, numbers):
    mine = write(rows(41, 50), site.root / "mine")
    signer = Interrupted(site.signer("source"), lambda: sealed("mine", RUN))
    batch = seal_into_ledger(mine, "src", evidence=site.evidence(), signer=signer, at=AT, run=RUN)
    assert (batch.version, numbers()) == (1, [1])


def test_rollback_that_a_seal_overtakes_takes_the_next_number(site, sealed, numbers):
    from sluicegate.adapters.policy_file import read_policy

    good = site.seal(site.clean)
    site.gate()
    sealed("b", RUN, 51)
    signer = Interrupted(site.signer("source"), lambda: sealed("c", RUN, 52))
    policy = read_policy(site.home.policy)
    options = {"to": good.digest, "signer": signer, "run": RUN, "at": AT}
    batch = roll_back(site.evidence(), policy, "src", **options)
    assert (batch.digest, batch.version) == (good.digest, 4)
    assert numbers() == [1, 2, 3, 4]


def test_gate_command_judges_what_it_sealed_although_something_newer_came(
    site, sealed, monkeypatch, capsys
):
    from sluicegate.workflow.sealing import seal

    def overtaken(*arguments, **options):
        batch = seal_into_ledger(*arguments, **options)
        site.seal(site.clean)
        return batch

    monkeypatch.setattr(seal, "seal_into_ledger", overtaken)
    home = ["--home", str(site.home.root)]
    assert main(["gate", "src", "--seal", str(site.poisoned), *home]) == 1
    assert "FAILED  src@" in capsys.readouterr().out
