"""Machines that share no disk: home in S3, ledger in PostgreSQL, copies and memories their own."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
from tests.attacks.rollback.conftest import SchemaStore, Stage, opened, postgres  # noqa: F401
from tests.unit.workflow.conftest import (  # noqa: F401 - fixtures
    AT,
    RUN,
    built_site,
    evaluate_once,
    flipped,
    rows,
    write,
)

from sluicegate import load_verified
from sluicegate.adapters.sources.open import open_source
from sluicegate.attest.keys import Algorithm, generate, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.attest.trust_file import TrustFile
from sluicegate.cli.main import main
from sluicegate.errors import (
    ConfigError,
    EvidenceMissing,
    GateBlocked,
    Rollback,
    SystemTrouble,
)
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.evidence.home import ENV_HOME, ENV_HOME_CACHE, ENV_HOME_PIN, SluiceHome
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.sealing.seal import seal_into_ledger

URL = "s3://training/sluice"


class Cluster:
    """An administrator's directory and machines that know only the settings."""

    def __init__(self, office, s3, root):
        self.office, self.s3, self.root = office, s3, root
        self.pin = ""

    def push(self, capsys):
        key = str(self.root / "root" / "key.pem")
        capsys.readouterr()
        arguments = ["home", "push", URL, "--home", str(self.office.home.root), "--root-key", key]
        assert main([*arguments, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["exclusive"]
        (self.pin,) = (pin for pin in said["pins"] if pin.startswith("trust:"))
        return said

    def machine(self, name):
        """The home as a process on another machine finds it."""
        settings = {
            ENV_HOME: URL,
            ENV_HOME_PIN: self.pin,
            ENV_HOME_CACHE: str(self.root / name),
            "SLUICEGATE_LEDGER": self.office.ledger_url,
        }
        return SluiceHome.from_environ(settings)

    def gate(self, machine, table):
        write(table, self.root / "batch")
        place = "training/data/month=04/part.parquet"
        self.s3.put(str(self.root / "batch" / "part.parquet"), place)
        home, keys = self.machine(machine), self.office.signer
        sealed = seal_into_ledger(
            open_source("s3://training/data", filesystem=self.s3),
            "src",
            evidence=open_evidence(home, at=AT, ledger_signer=keys("ledger")),
            signer=keys("source"),
            at=AT,
            run=RUN,
        )
        issued, _ = gate_source(
            self.machine(machine),
            "src",
            signers=GateSigners(keys("gate"), keys("ledger")),
            at=AT,
            run={**RUN, "batch": str(sealed.digest)},
            runner=evaluate_once,
            filesystem=self.s3,
        )
        return issued.verdict

    def train(self, machine):
        return len(load_verified("src", home=self.machine(machine), at=AT, filesystem=self.s3))


@pytest.fixture
def credentials(s3_options, tmp_path, monkeypatch):
    monkeypatch.setenv(ENV_HOME_CACHE, str(tmp_path / "office cache"))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL": s3_options["endpoint_url"],
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def cluster(credentials, stage_of_postgres, s3, capsys):
    found = Cluster(stage_of_postgres, s3, stage_of_postgres.root.parent)
    found.push(capsys)
    return found


@pytest.fixture
def stage_of_postgres(built_site, tmp_path, monkeypatch, postgres, opened):  # noqa: F811
    """An office whose trust policy root keys signed, and whose ledger machines can share."""
    shutil.copytree(built_site, tmp_path / "site")
    for left in (tmp_path / "site").glob("sluice.remembered*"):
        shutil.rmtree(left)
    office = Stage(tmp_path / "site")
    for left in office.home.root.glob("ledger.db*"):
        left.unlink()
    root = generate(Algorithm.ED25519)
    write_key_pair(root, tmp_path / "root")
    public = {Role(role): [office.signer(role).public_key] for role in ("source", "gate")}
    public |= {Role(role): [office.signer(role).public_key] for role in ("baseline", "ledger")}
    policy = trust_policy(
        {**public, Role.ROOT: [root.public_key]}, version=1, expires=AT + timedelta(days=365)
    )
    office.home.trust.write_bytes(TrustFile(policy).signed_by(root).to_bytes())
    schema = f"t{abs(hash(tmp_path)):x}"
    object.__setattr__(office, "ledger_url", postgres.url(schema))
    object.__setattr__(office, "store", SchemaStore(postgres, schema))
    monkeypatch.setenv("SLUICEGATE_LEDGER", office.ledger_url)
    office.accept_extra_columns()
    assert office.run("ledger", "init") == 0
    return office


def test_machines_without_a_common_disk_seal_gate_and_train(cluster):
    assert cluster.gate("gate", rows(2)).result is not Status.FAILED
    assert cluster.train("training") == 3000
    copies = {p.name for p in (cluster.root / "training").rglob("*") if p.is_file()}
    assert not {name for name in copies if name.endswith(".pem")}
    assert "baseline.json" not in copies
    assert cluster.gate("gate", flipped(rows(3), "c1")).result is Status.FAILED
    with pytest.raises(GateBlocked):
        cluster.train("training")


def test_new_policy_counts_everywhere_at_once(cluster, capsys):
    cluster.gate("gate", rows(2))
    before = cluster.machine("training").policy.read_bytes()
    text = cluster.office.home.policy.read_text()
    cluster.office.home.policy.write_text(text + "# stricter\n")
    home = str(cluster.office.home.root)
    assert main(["home", "diff", URL, "--home", home, "--pin", cluster.pin]) == 1
    assert "~ policy.yaml" in capsys.readouterr().out
    assert cluster.push(capsys)["version"] == 2
    assert main(["home", "diff", URL, "--home", home, "--pin", cluster.pin]) == 0
    assert cluster.machine("training").policy.read_bytes() == before + b"# stricter\n"


def test_rollback_of_the_ledger_before_the_release_is_found_by_a_new_machine(cluster, capsys):
    old = cluster.office.store.save()
    cluster.gate("gate", rows(2))
    assert cluster.office.run("ledger", "remember") == 0
    capsys.readouterr()
    cluster.push(capsys)
    cluster.office.store.restore(old)
    with pytest.raises(Rollback):
        cluster.train("new")


def test_rollback_after_the_release_is_found_by_a_machine_that_saw_it(cluster):
    cluster.gate("gate", rows(2))
    old = cluster.office.store.save()
    cluster.gate("gate", flipped(rows(3), "c1"))
    with pytest.raises(GateBlocked):
        cluster.train("training")
    cluster.office.store.restore(old)
    with pytest.raises(Rollback):
        cluster.train("training")


def test_machine_without_memory_and_without_a_floor_could_not_check(cluster, capsys):
    shutil.rmtree(cluster.office.home.memory.parent)
    assert not cluster.push(capsys)["remembered"]
    with pytest.raises(EvidenceMissing, match="remember"):
        cluster.train("new")


def test_store_that_is_gone_could_not_be_checked(cluster, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(SystemTrouble):
        cluster.machine("training")
    s3fs.S3FileSystem.clear_instance_cache()


def test_second_administrator_is_told(cluster, capsys):
    copy = str(cluster.root / "copy")
    assert main(["home", "pull", URL, "--home", copy, "--pin", cluster.pin, "--json"]) == 0
    assert "policy.yaml" in json.loads(capsys.readouterr().out)["removed"]
    cluster.office.home.policy.write_text(cluster.office.home.policy.read_text() + "# mine\n")
    cluster.push(capsys)
    key = str(cluster.root / "root" / "key.pem")
    assert main(["home", "push", URL, "--home", copy, "--root-key", key]) == 64
    assert "version 2" in capsys.readouterr().err


def test_what_a_task_would_write_into_the_home_is_refused_with_the_way_out(cluster):
    with pytest.raises(ConfigError, match="home push"):
        cluster.machine("gate").require_directory("a proposed baseline")
