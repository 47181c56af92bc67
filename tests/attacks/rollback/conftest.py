"""The installation that the commands make by default, on each store, and who edits the store."""

from __future__ import annotations

import shutil
import sqlite3

import pytest
from postgres_server import throwaway_database
from tests.unit.workflow.conftest import AT, Site, built_site  # noqa: F401 - a fixture

from sluicegate.attest.secret import Secret
from sluicegate.cli.main import main
from sluicegate.errors import SluicegateError
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.admission.read import load_verified
from sluicegate.workflow.evidence import opening as evidence
from sluicegate.workflow.evidence.home import ENV_LEDGER, SluiceHome


class FileStore:
    """A ledger in a file, as whoever may write to it sees it."""

    def __init__(self, site) -> None:
        self.path = site.home.ledger

    def save(self):
        copy = self.path.with_name("copy.db")
        copy.unlink(missing_ok=True)
        with sqlite3.connect(self.path) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        source.close()
        target.close()
        return copy.read_bytes()

    def restore(self, saved):
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        fresh = self.path.with_name("restored.db")
        fresh.write_bytes(saved)
        fresh.replace(self.path)  # as a restore does: who has the old file open keeps that one

    def delete(self, index):
        connection = sqlite3.connect(self.path)
        with connection:
            for table in ("leaf", "envelope"):
                connection.execute(f"DELETE FROM {table} WHERE idx = {index}")
        connection.close()


class SchemaStore:
    """A ledger in PostgreSQL, as the owner of its schema sees it."""

    def __init__(self, server, schema) -> None:
        self.server, self.schema, self.n_saved = server, schema, 0

    def _tables(self):
        query = "SELECT tablename FROM pg_tables WHERE schemaname = '{}'"
        found = self.server.execute(query.format(self.schema), schema=self.schema)
        return [name for (name,) in found]

    def save(self):
        self.n_saved += 1
        saved = f"{self.schema}_{self.n_saved}"
        self.server.execute(
            f"CREATE SCHEMA {saved}",
            *(f"CREATE TABLE {saved}.{name} AS TABLE {name}" for name in self._tables()),
            schema=self.schema,
        )
        return saved

    def restore(self, saved):
        names = self._tables()
        self.server.execute(
            "SET session_replication_role = replica",
            "TRUNCATE " + ", ".join(names) + " CASCADE",
            *(f"INSERT INTO {name} SELECT * FROM {saved}.{name}" for name in names),
            schema=self.schema,
        )

    def delete(self, index):
        self.server.execute(
            *(f"DELETE FROM {name} WHERE idx = {index}" for name in ("leaf", "envelope")),
            schema=self.schema,
        )


class Stage(Site):
    """The installation, its store, and the commands a person would use."""

    ledger_url = ""
    store = None

    @property
    def home(self):
        return SluiceHome(self.root / "sluice", Secret(self.ledger_url, "ledger URL"))

    def run(self, *arguments):
        return main([*map(str, arguments), "--home", str(self.home.root)])

    def gated(self, path):
        self.seal(path)
        return self.gate()

    def set_aside(self):
        assert self.run("quarantine", "src", "--reason", "odd") == 0

    def others(self, n_leaves):
        """Leaves of another source, so that no proof of ours passes by what is hidden."""
        log = self.evidence()
        subject = log.latest_seal("src", at=AT).digest
        size = log.ledger.size()
        leaves = [("verdict", b"%d" % (size + number)) for number in range(n_leaves)]
        log.append("other", subject, leaves)

    def readers(self):
        """Everything that lets training at data: guard, verified read, gate and commands."""
        return {
            "guard": lambda: admit_training(self.home, ["src"], at=AT),
            "read": lambda: load_verified("src", home=self.home, at=AT),
            "seal": lambda: self.evidence().latest_seal("src", at=AT),
            "gate": self.gate,
        }

    def require_refused(self, *codes, among=("guard", "read", "seal", "gate")):
        said = {}
        for name in among:
            with pytest.raises(SluicegateError) as caught:
                self.readers()[name]()
            said[name] = caught.value
        assert {error.code for error in said.values()} <= set(codes), said
        return said


@pytest.fixture(scope="session")
def postgres():
    with throwaway_database() as server:
        yield server


@pytest.fixture
def opened(monkeypatch):
    """Close every ledger that a test opened; in production a process ends with each task."""
    ledgers, open_ledger = [], evidence._open_ledger

    def recorded(*arguments, **options):
        ledgers.append(open_ledger(*arguments, **options))
        return ledgers[-1]

    monkeypatch.setattr(evidence, "_open_ledger", recorded)
    yield recorded
    for ledger in ledgers:
        ledger.close()


@pytest.fixture(params=["sqlite", "postgres"])
def stage(request, built_site, tmp_path, monkeypatch, opened):  # noqa: F811 - the imported fixture
    """Keys, trust, policy and a baseline, and the ledger that `sluicegate ledger init` makes."""
    shutil.copytree(built_site, tmp_path / "site")
    for left in (tmp_path / "site").glob("sluice.remembered*"):
        shutil.rmtree(left)
    stage = Stage(tmp_path / "site")
    for left in stage.home.root.glob("ledger.db*"):
        left.unlink()
    if request.param == "sqlite":
        object.__setattr__(stage, "store", FileStore(stage))
    else:
        server, schema = request.getfixturevalue("postgres"), f"t{abs(hash(tmp_path)):x}"
        object.__setattr__(stage, "ledger_url", server.url(schema))
        object.__setattr__(stage, "store", SchemaStore(server, schema))
        monkeypatch.setenv(ENV_LEDGER, stage.ledger_url)
    assert stage.run("ledger", "init") == 0
    stage.gated(stage.clean)
    stage.others(9)
    assert admit_training(stage.home, ["src"], at=AT)
    return stage
