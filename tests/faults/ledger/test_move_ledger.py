"""An installation whose ledger moves, is backed up and restored: nothing that it knew is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from dataclasses import dataclass, replace

import pytest
from tests.unit.workflow.auditing.test_audit import cosigned_by, with_witnesses
from tests.unit.workflow.conftest import AT, Site, built_site, judge_clean, site  # noqa: F401

from sluicegate.adapters.ledgers.postgres import PostgresStore
from sluicegate.attest.secret import Secret
from sluicegate.cli.administration import ledger as command
from sluicegate.cli.main import main
from sluicegate.errors import LedgerCorrupt, Rollback
from sluicegate.workflow.admission.admit import admit_training

NEXT = AT.replace(microsecond=0)


@dataclass(frozen=True)
class Moved(Site):
    """The same installation with its ledger elsewhere."""

    url: str = ""

    @property
    def home(self):
        return replace(Site(self.root).home, ledger_url=Secret(self.url, "ledger URL"))


@pytest.fixture(autouse=True)
def closed(monkeypatch):
    """Close what a command leaves to the end of its process."""
    opened, init = [], PostgresStore.__init__

    def kept(self, *arguments):
        init(self, *arguments)
        opened.append(self)

    monkeypatch.setattr(PostgresStore, "__init__", kept)
    yield
    for store in opened:
        store.close()


@pytest.fixture
def judged(site, monkeypatch):  # noqa: F811 - the fixture
    for name in ("SLUICEGATE_HOME", "SLUICEGATE_LEDGER", "AIRFLOW__SLUICEGATE__LEDGER"):
        monkeypatch.delenv(name, raising=False)
    site.once(judge_clean)
    return site


@pytest.fixture
def url(postgres, monkeypatch):
    """A schema for the ledger, in the variable that names it to the command."""
    url = postgres.url(f"m{uuid.uuid4().hex[:12]}")
    monkeypatch.setenv("TARGET", url)
    return url


def run(site, *arguments):  # noqa: F811
    return main(["ledger", *map(str, arguments), "--home", str(site.home.root)])


def admit(site):  # noqa: F811
    return admit_training(site.home, ["src"], at=AT)["src"].verdict


def test_moved_ledger_holds_for_memory_witnesses_and_training(judged, url, monkeypatch, capsys):
    (witness, _) = with_witnesses(judged)
    judged.home.cosigned.write_bytes(cosigned_by(judged, witness))
    note, verdict = judged.evidence().ledger.checkpoint(), admit(judged)
    memory = judged.home.memory.read_bytes()
    assert run(judged, "migrate", judged.home.ledger, "env:TARGET", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["size"] == said["copied"] == judged.evidence().ledger.size()
    assert (said["grew"], said["missing"]) == (False, 0)
    assert judged.home.memory.read_bytes() == memory, "what is remembered names no store"

    moved = Moved(judged.root, url=url)
    monkeypatch.setenv("SLUICEGATE_LEDGER", url)
    assert moved.evidence().ledger.checkpoint() == note
    assert run(judged, "verify", "--witnessed") == 0
    assert admit(moved) == verdict
    moved.seal(moved.poisoned)
    moved.gate()
    assert run(judged, "verify") == 0
    with pytest.raises(Rollback):  # whoever goes on with the old store is found out
        judged.evidence()
    monkeypatch.delenv("SLUICEGATE_LEDGER")

    # And back again: the old file is an older state of the same ledger.
    assert run(judged, "migrate", "env:TARGET", judged.home.ledger) == 0
    assert run(judged, "verify") == 0
    assert judged.evidence().ledger.checkpoint() == moved.evidence().ledger.checkpoint()


def test_a_ledger_that_went_back_is_not_moved(judged, url, capsys):
    old = judged.root / "old.db"
    assert run(judged, "backup", old) == 0
    judged.seal(judged.poisoned)
    assert run(judged, "migrate", old, "env:TARGET") == 1
    assert "[ROLLBACK]" in capsys.readouterr().err
    with pytest.raises(Exception, match="no ledger here"):
        Moved(judged.root, url=url).evidence()


def test_a_ledger_that_grows_while_it_moves_could_not_be_moved(judged, url, monkeypatch, capsys):
    monkeypatch.setattr(command, "_progress", lambda *_: judged.seal(judged.poisoned))
    assert run(judged, "migrate", judged.home.ledger, "env:TARGET") == 2
    assert "Do not switch" in capsys.readouterr().out
    monkeypatch.setattr(command, "_progress", lambda *_: None)
    assert run(judged, "migrate", judged.home.ledger, "env:TARGET") == 0
    assert "copied 2 leaves" in capsys.readouterr().out


def test_a_backup_is_made_while_others_append_and_only_grows(judged, monkeypatch, capsys):
    backup = judged.root / "backup.db"
    monkeypatch.setattr(command, "_progress", lambda *_: judged.seal(judged.poisoned))
    assert run(judged, "backup", backup) == 0
    monkeypatch.setattr(command, "_progress", lambda *_: None)
    assert run(judged, "backup", backup, "--json") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["copied"] == 2
    assert said["size"] == judged.evidence().ledger.size()


def test_restored_older_copy_is_a_rollback_until_its_leaves_are_appended_again(
    judged, url, monkeypatch, capsys
):
    """The honest way after a disaster: nothing trains until the tree is the signed one again."""
    assert run(judged, "migrate", judged.home.ledger, "env:TARGET") == 0
    judged.home.ledger.unlink()
    monkeypatch.setenv("SLUICEGATE_LEDGER", url)
    moved, backup = Moved(judged.root, url=url), judged.root / "backup.db"
    assert run(moved, "backup", backup) == 0
    n_kept = moved.evidence().ledger.size()
    moved.seal(moved.poisoned)
    moved.gate()
    note = moved.evidence().ledger.checkpoint()
    lost = list(moved.evidence().ledger.find(newest_first=False))[n_kept:]

    fresh = Moved(judged.root, url=url.replace("schema=m", "schema=r"))
    monkeypatch.setenv("SLUICEGATE_LEDGER", fresh.url)
    capsys.readouterr()
    assert run(judged, "restore", backup, "--json") == 1, "leaves are missing"
    assert json.loads(capsys.readouterr().out)["missing"] == len(lost)
    for refused in (fresh.evidence, lambda: admit(fresh), lambda: fresh.seal(fresh.clean)):
        with pytest.raises(Rollback):
            refused()
    assert run(judged, "restore", backup) == 1, "as often as one likes"
    for record in lost:
        file = judged.root / "envelope"
        file.write_bytes(record.envelope)
        entry = record.entry
        about = ["--kind", entry.kind, "--source", entry.source, "--digest", entry.subject]
        assert run(judged, "append", file, *about) == 0
    assert fresh.evidence().ledger.checkpoint() == note
    assert run(judged, "verify") == 0
    assert run(judged, "restore", backup) == 64, "the backup is older than what is there now"


def test_restoring_from_a_copy_that_is_as_new_needs_nothing_more(judged, url, monkeypatch):
    backup = judged.root / "backup.db"
    assert run(judged, "backup", backup) == 0
    monkeypatch.setenv("SLUICEGATE_LEDGER", url)
    assert run(judged, "restore", backup) == 0
    assert admit(Moved(judged.root, url=url))


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="pg_dump is not installed")
def test_a_dump_of_postgres_restores_to_the_same_ledger(judged, url, postgres, monkeypatch):
    assert run(judged, "migrate", judged.home.ledger, "env:TARGET") == 0
    monkeypatch.setenv("SLUICEGATE_LEDGER", url)
    moved, schema = Moved(judged.root, url=url), url.rpartition("=")[2]
    note = moved.evidence().ledger.checkpoint()
    plain = url.partition("?")[0]
    dump = subprocess.run(
        ["pg_dump", "--schema", schema, plain], check=True, capture_output=True
    ).stdout
    postgres.execute(f"DROP SCHEMA {schema} CASCADE", schema=schema)
    subprocess.run(
        ["psql", "--quiet", "-v", "ON_ERROR_STOP=1", plain],
        input=dump,
        check=True,
        capture_output=True,
    )
    assert run(judged, "verify") == 0
    assert moved.evidence().ledger.checkpoint() == note
    moved.seal(moved.poisoned)


def test_an_interrupted_move_says_what_to_do(judged, url, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_progress", stop)
    assert run(judged, "migrate", judged.home.ledger, "env:TARGET") == 130
    monkeypatch.setattr(command, "_progress", lambda *_: None)
    with pytest.raises(LedgerCorrupt, match="ledger migrate"):
        Moved(judged.root, url=url).evidence()
    assert run(judged, "migrate", judged.home.ledger, "env:TARGET") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["migrate", "ledger.db"], "needs a store"),
        (["backup"], "needs a store"),
        (["restore"], "needs a store"),
        (["migrate", "env:NOWHERE", "x.db"], "not set"),
        (["migrate", "x.db", "postgresql://u:hunter2@127.0.0.1/db"], "holds a password"),
        (["verify", "1", "2"], "second place"),
    ],
)
def test_what_was_called_wrongly_is_said_so(judged, capsys, arguments, said):
    assert run(judged, *arguments) == 64
    error = capsys.readouterr().err
    assert said in error
    assert "hunter2" not in error


def test_a_ledger_is_not_copied_onto_itself(judged, capsys):
    assert run(judged, "backup", judged.home.ledger) == 64
    assert "one store" in capsys.readouterr().err
