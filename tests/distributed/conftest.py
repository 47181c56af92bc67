"""Sluicegate on two Celery workers that share a database, a broker and an object store."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from celery_cluster import Cluster, redis_database
from postgres_server import throwaway_database
from sqlalchemy.engine import make_url
from tests.services.conftest import BUCKET, s3_endpoint, s3_options  # noqa: F401 - fixtures
from tests.unit.workflow.conftest import (  # noqa: F401 - a fixture among them
    AT,
    Site,
    built_site,
    flipped,
    rows,
    write,
)

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.attest.trust_file import TrustFile

DAGS = Path(__file__).parent / "dags"
CHAINS = (DAGS / "chains.py",)
UNGUARDED = (DAGS / "unguarded.py", DAGS.parents[2] / "dags" / "sluicegate_canary.py")
SOURCES = ("clean", "poisoned", "ungated", "killed", "cut", "pod_clean", "pod_poisoned")
HOME = f"s3://{BUCKET}/sluice"
KEYS = ("source", "gate", "ledger")
SEAL, TRAIN = "seal.example.com", "train.example.com"


class Office:
    """The administrator's computer: keys, the directory that is published, and the commands."""

    def __init__(self, root, environ, ledger):
        self.site, self._environ = Site(root / "site"), {**environ, "SLUICEGATE_LEDGER": ledger}
        self._root_key = root / "root" / "key.pem"

    def run(self, *arguments, password=""):
        """Run a command as the administrator; returns the finished process."""
        program = Path(sys.executable).with_name("sluicegate")
        command = [program, *map(str, arguments), "--home", self.site.home.root]
        env = {**self._environ, "SLUICEGATE_AIRFLOW_PASSWORD": password}
        options = {"capture_output": True, "text": True, "timeout": 300}
        return subprocess.run(command, env=env, check=False, **options)

    def required(self, *arguments):
        """Run a command that must succeed; returns what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def publish(self):
        """Publish the home; returns the pin."""
        said = self.required("home", "push", HOME, "--root-key", self._root_key, "--json")
        (pin,) = (pin for pin in json.loads(said)["pins"] if pin.startswith("trust:"))
        return pin

    def sign_trust(self):
        """Let root keys sign the trust policy: a home in a store needs that."""
        root = generate(Algorithm.ED25519)
        write_key_pair(root, self._root_key.parent)
        public = {
            Role(role): [self.site.signer(role).public_key] for role in (*KEYS, "baseline")
        } | {Role.ROOT: [root.public_key]}
        policy = trust_policy(public, version=1, expires=AT + timedelta(days=365))
        self.site.home.trust.write_bytes(TrustFile(policy).signed_by(root).to_bytes())

    def share_baseline(self, source):
        """Say of the one baseline that it judges another source; building again takes 5 s."""
        home = self.site.home
        shutil.copytree(home.baseline_dir("src"), home.baseline_dir(source))
        signed = home.baseline_dir(source) / "baseline.intoto.json"
        payload = dsse.Envelope.from_bytes(signed.read_bytes()).payload
        for old, new in (("baseline:src", f"baseline:{source}"), ('"src"', f'"{source}"')):
            assert old.encode() in payload
            payload = payload.replace(old.encode(), new.encode())
        signed.write_bytes(dsse.sign(payload, self.site.signer("baseline")).to_bytes())


@contextmanager
def ledger_database():
    """A database for the ledger, and a role of the server that may only log in."""
    with throwaway_database() as server:
        reader = f"{server.database}_reader"
        server.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'reader'")
        try:
            yield server, reader
        finally:
            server.execute(f"DROP OWNED BY {reader}", f"DROP ROLE {reader}")


def allow_reading(server, reader):
    server.execute(
        f"GRANT USAGE ON SCHEMA sluicegate TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA sluicegate TO {reader}",
    )
    url = make_url(server.url()).set(username=reader, password="reader")
    return url.render_as_string(hide_password=False)


def entries(office, source):
    """Return kind and envelope of what the ledger holds about a source, in its order."""
    found = office.server.execute(
        "SELECT kind, envelope FROM leaf JOIN stream ON stream = stream.id "
        f"WHERE source = '{source}' ORDER BY idx"
    )
    return [(kind, f"sha256:{bytes(envelope).hex()}") for kind, envelope in found]


def verdicts(office, source):
    """Return the envelopes of a source's verdicts."""
    return [envelope for kind, envelope in entries(office, source) if kind == "verdict"]


def tries(office, source):
    """Return which try of a gate issued each verdict of a source, in the order of the ledger."""
    found = office.server.execute(
        "SELECT body FROM leaf JOIN stream ON stream = stream.id JOIN envelope USING (idx) "
        f"WHERE source = '{source}' AND kind = 'verdict' ORDER BY idx"
    )
    payloads = [dsse.Envelope.from_bytes(bytes(body)).payload.decode() for (body,) in found]
    return [re.search(r'"try_number":"(\d+)"', payload)[1] for payload in payloads]


@contextmanager
def held_ledger(office):
    """Nobody can write a leaf meanwhile: who appends is in the middle of it, and waits."""
    with office.server.raw() as connection:
        connection.autocommit = False
        connection.cursor().execute("LOCK TABLE leaf IN EXCLUSIVE MODE")
        try:
            yield
        finally:
            connection.rollback()


def waiting(office, *, any_state=False):
    """Return the server's processes that wait for a lock of the ledger, or all of them."""
    waits = "" if any_state else "AND wait_event_type = 'Lock'"
    mine = f"datname = '{office.server.database}' AND pid <> pg_backend_pid() {waits}"
    return [
        pid for (pid,) in office.server.execute(f"SELECT pid FROM pg_stat_activity WHERE {mine}")
    ]


def unacknowledged(broker, dag_id):
    """Return a message of a DAG that a worker took and has not acknowledged."""
    for value in broker[1].hvals("unacked"):
        message, _exchange, _queue = json.loads(value)
        if f'"{dag_id}"' in base64.b64decode(message["body"]).decode().replace("\\", ""):
            return message
    raise AssertionError(f"no worker holds a message of {dag_id}")


def redeliver(cluster, broker, message, answer):
    """Put a message back as the broker does, and wait for what its worker says."""
    worker = cluster.workers["seal"]
    before = worker.said(answer)
    broker[1].lpush("seal", json.dumps(message))
    cluster.wait_for(lambda: worker.said(answer) > before, f"{answer} of a message that came twice")


def connection_with(key):
    """An Airflow connection whose password is a key, as its environment holds one."""
    return json.dumps({"conn_type": "generic", "password": key.read_text()})


@pytest.fixture(scope="session")
def office(built_site, s3_options, tmp_path_factory):  # noqa: F811 - the fixtures imported above
    """An installation whose ledger is in PostgreSQL and whose data and home are in S3."""
    import s3fs

    root = tmp_path_factory.mktemp("office")
    shutil.copytree(built_site, root / "site")
    shutil.rmtree(root / "site" / "sluice.remembered", ignore_errors=True)
    (root / "site" / "sluice" / "ledger.db").unlink()
    environ = {
        **{key: value for key, value in os.environ.items() if "SLUICEGATE" not in key},
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL": s3_options["endpoint_url"],
        "SLUICEGATE_HOME_CACHE": str(root / "cache"),
    }
    store = s3fs.S3FileSystem(**s3_options)
    store.mkdir(BUCKET)
    for seed, source in enumerate(SOURCES, start=20):
        table = flipped(rows(seed), "c1") if source.endswith("poisoned") else rows(seed)
        part = write(table, root / "data" / source) / "part.parquet"
        store.put(str(part), f"{BUCKET}/data/{source}/part.parquet")
    with ledger_database() as (server, reader):
        office = Office(root, environ, server.url())
        office.server, office.reader = server, reader
        office.environ = {key: value for key, value in environ.items() if key.startswith("AWS_")}
        office.sign_trust()
        for source in SOURCES:
            office.share_baseline(source)
        office.required("ledger", "init")
        office.reader_url = allow_reading(server, reader)
        office.pin = office.publish()
        yield office


@pytest.fixture(scope="session")
def broker():
    with redis_database() as (url, client):
        yield url, client


@pytest.fixture(scope="session")
def cluster(broker, office, tmp_path_factory):
    """Worker `seal` has keys and may write; worker `train` has no key and may only read."""
    settings = {
        "HOME": HOME,
        "HOME_PIN": office.pin,
        "LEDGER": office.reader_url,
        "GUARDED_QUEUES": "train,pods",
        "CANARY_QUEUES": "train",
    }
    env = {f"AIRFLOW__SLUICEGATE__{name}": value for name, value in settings.items()}
    env |= {**office.environ, "SOURCES": ",".join(SOURCES)}
    of_a_gate = {
        "AIRFLOW__SLUICEGATE__LEDGER": office.server.url(),
        "AIRFLOW__SLUICEGATE__PRELOAD": "gate,postgres",
    }
    for role in KEYS:
        of_a_gate[f"AIRFLOW__SLUICEGATE__KEY_{role.upper()}"] = f"airflow-connection:{role}"
        key = connection_with(office.site.home.key(role))
        of_a_gate[f"AIRFLOW_CONN_{role.upper()}"] = key
    with throwaway_database() as metadata:
        address = make_url(metadata.url()).set(query={}).render_as_string(hide_password=False)
        database = address.partition("://")[2]
        root, dags = tmp_path_factory.mktemp("cluster"), (*CHAINS, *UNGUARDED)
        made = Cluster(root, dags, database, broker[0], env)
        made.add_worker("seal", "seal", CHAINS, of_a_gate).start()
        of_training = {"AIRFLOW__SLUICEGATE__PRELOAD": "guard,postgres"}
        made.add_worker("train", "train", dags, of_training).start()
        with made:
            yield made
