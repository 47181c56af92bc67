"""A home in a store is believed as far as its pin reaches; what else changes there is found."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sluicegate.adapters.home_store import HomeStore
from sluicegate.attest.home_index import HomeIndex
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.attest.trust_file import TrustFile
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import (
    BadSignature,
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    Expired,
    MalformedEnvelope,
    ManifestMismatch,
    Rollback,
    SystemTrouble,
    UntrustedKey,
)
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.orchestration.settings import Settings
from sluicegate.workflow.admission.admitted import Admitted
from sluicegate.workflow.admission.read import _same_home
from sluicegate.workflow.evidence import published
from sluicegate.workflow.evidence.home import ENV_HOME, SluiceHome
from sluicegate.workflow.evidence.large import PartStore
from sluicegate.workflow.evidence.published import Published
from sluicegate.workflow.evidence.publishing import (
    difference,
    documents_of,
    pins_of,
    pull,
    push,
)

AT = datetime.now(UTC).replace(microsecond=0)
DAYS = timedelta(days=90)
ROOT, THIEF, LEDGER, NEXT_ROOT = (generate(Algorithm.ED25519) for _ in range(4))
LEDGER_URL = "postgresql://reader@127.0.0.1:1/evidence"


def trust_file(version=1, root=ROOT, signers=None, ledger=LEDGER):
    keys = {Role.LEDGER: [ledger.public_key], Role.ROOT: [root.public_key]}
    policy = trust_policy(keys, version=version, expires=AT + timedelta(days=365))
    return TrustFile(policy).signed_by(*(signers or [root]))


def successor(store):
    number, data = store.newest()
    index = HomeIndex.from_bytes(data, locator="x")
    return replace(index, version=number + 1, previous=sha256_bytes(data))


class Office:
    """An administrator's directory, the store, and a worker's cache."""

    def __init__(self, root):
        self.home = SluiceHome(root / "office" / "sluice")
        self.home.root.mkdir(parents=True)
        self.home.trust.write_bytes(trust_file().to_bytes())
        self.home.policy.write_text(DEFAULT_POLICY, encoding="utf-8")
        baseline = self.home.baseline_dir("src")
        baseline.mkdir(parents=True)
        (baseline / "baseline.json").write_bytes(b"{}")
        self.home.keys.mkdir()
        self.home.key("root").write_text("a private key")
        self.url = f"file://{root}/store"
        self.store = HomeStore.open(self.url)
        self.cache = root / "worker"

    def push(self, signers=(ROOT,), **options):
        options = {"at": AT, "ttl": DAYS, **options}
        done = push(self.home, self.store, signers=signers, **options)
        self.pins = [pin for pin, _ in pins_of(done)]
        return done

    def say(self, text):
        self.home.policy.write_text(DEFAULT_POLICY + f"# {text}\n", encoding="utf-8")

    def worker(self, pin=None, at=AT, cache=None):
        cache = str(cache or self.cache)
        return Published(self.url, pin or self.pins[0], cache).open(at)

    def path(self, name):
        return self.cache.parent / "store" / name


@pytest.fixture
def office(tmp_path):
    found = Office(tmp_path)
    found.push()
    return found


def test_worker_sees_what_the_administrator_published_and_no_key(office):
    for pin in office.pins:
        root = office.worker(pin).root
        assert (root / "trust.json").read_bytes() == office.home.trust.read_bytes()
        assert (root / "policy.yaml").read_bytes() == office.home.policy.read_bytes()
        assert not (root / "keys").exists()
    assert b"a private key" not in b"".join(
        path.read_bytes() for path in office.path("").rglob("*") if path.is_file()
    )


def test_training_fetches_no_baseline_and_a_gate_does(office):
    snapshot = office.worker()
    assert not (snapshot.root / "baselines").exists()
    home = SluiceHome(snapshot.root, snapshot=snapshot)
    assert (home.baseline_dir("src") / "baseline.json").read_bytes() == b"{}"


@pytest.mark.parametrize("text", ["", "trust", "sha256:" + "0" * 64, "trust:ABC", "index:"])
def test_without_a_pin_nothing_is_read(office, text):
    with pytest.raises(ConfigError, match="not pinned"):
        Published("nosuch://at/all", text).open(AT)


def test_wrong_pin_is_not_there(office):
    for pin in ("trust:", "index:"):
        with pytest.raises(EvidenceMissing, match="home_pin"):
            office.worker(pin + "0" * 64)


def test_home_of_other_root_keys_is_refused(office):
    """Whoever writes the store can publish a home of his own, but not under this pin."""
    pin = office.pins[0]
    office.home.trust.write_bytes(trust_file(version=2, root=THIEF).to_bytes())
    office.push([THIEF])
    with pytest.raises(UntrustedKey):
        office.worker(pin)


def test_root_keys_may_follow_one_another(office):
    pin = office.pins[0]
    both = trust_file(version=2, root=NEXT_ROOT, signers=[ROOT, NEXT_ROOT])
    office.home.trust.write_bytes(both.to_bytes())
    office.push([NEXT_ROOT])
    assert office.worker(pin).index.version == 2


def test_index_that_the_root_keys_did_not_sign_is_refused(office):
    office.store.release(2, successor(office.store).signed([THIEF]))
    with pytest.raises(UntrustedKey):
        office.worker()


def test_unsigned_index_is_admitted_by_its_own_pin_only(tmp_path):
    office = Office(tmp_path)
    keys = {Role.LEDGER: [LEDGER.public_key]}
    policy = trust_policy(keys, version=1, expires=AT + timedelta(days=365))
    office.home.trust.write_bytes(policy.to_bytes())
    done = office.push([])
    assert office.pins == [f"index:{done.digest.hex}"]
    assert office.worker().index.version == 1
    with pytest.raises(ConfigError, match="no root keys"):
        office.worker(f"trust:{done.trust.hex}")


def test_edited_index_is_bad(office):
    number, data = office.store.newest()
    envelope = json.loads(data)
    place = office.path(f"index/{number:08}.json")
    signature = envelope["signatures"][0]["sig"]
    envelope["signatures"][0]["sig"] = signature[::-1].lstrip("=") + "=="
    place.write_text(json.dumps(envelope))
    with pytest.raises((BadSignature, MalformedEnvelope)):
        office.worker()


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_truncated_index_is_bad(office, keep):
    place = office.path("index/00000001.json")
    place.write_bytes(place.read_bytes()[:keep])
    with pytest.raises(MalformedEnvelope):
        office.worker()


def test_changed_document_in_the_store_is_bad(office):
    index = HomeIndex.from_bytes(office.store.newest()[1], locator="x")
    office.path(f"objects/{index.documents['policy.yaml'].hex}").write_text("mode: shadow\n")
    with pytest.raises(DigestMismatch, match=r"policy\.yaml"):
        office.worker()


def test_changed_document_in_the_cache_is_fetched_again(office):
    root = office.worker().root
    (root / "policy.yaml").chmod(0o600)
    (root / "policy.yaml").write_text("mode: shadow\n")
    assert (office.worker().root / "policy.yaml").read_text() == DEFAULT_POLICY


def test_further_file_in_the_cache_is_bad(office):
    root = office.worker().root
    (root / "certificates").mkdir()
    (root / "certificates" / "mine.pem").write_text("x")
    with pytest.raises(ManifestMismatch):
        office.worker()


def test_missing_document_could_not_be_checked(office):
    index = HomeIndex.from_bytes(office.store.newest()[1], locator="x")
    office.path(f"objects/{index.documents['policy.yaml'].hex}").unlink()
    with pytest.raises(EvidenceMissing, match=r"policy\.yaml"):
        office.worker()


def test_nothing_published_could_not_be_checked(office):
    office.path("index/00000001.json").unlink()
    with pytest.raises(EvidenceMissing, match="no home is published"):
        office.worker()


def test_store_that_does_not_answer_could_not_be_checked(office, monkeypatch):
    def refuse(*_args, **_options):
        raise TimeoutError("token=hunter2")

    monkeypatch.setattr(type(office.store.filesystem), "cat_file", refuse)
    with pytest.raises(SystemTrouble) as error:
        office.worker()
    assert "hunter2" not in str(error.value)


def test_older_release_is_a_rollback_where_a_newer_one_was_used(office):
    office.say("second")
    office.push()
    assert office.worker().index.version == 2
    office.path("index/00000002.json").unlink()
    with pytest.raises(Rollback):
        office.worker()


def test_one_process_at_a_time_compares_and_notes_what_was_seen(office, monkeypatch):
    """Or a slow one would note an older release over the newer one of a faster process."""
    read, entered = published._content, []

    def reading(path):
        if path.name == "seen.json":
            lock = path.with_name(".seen.json.lock").open("wb")
            with lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            entered.append(path)
        return read(path)

    monkeypatch.setattr(published, "_content", reading)
    office.worker()
    assert entered


def test_store_that_answers_nothing_refuses_nothing(office, monkeypatch):
    number, data = office.store.newest()
    assert office.store.refuses_to_overwrite(number, data)

    def silent(*_arguments, **_more):
        raise TimeoutError

    monkeypatch.setattr(office.store.filesystem, "pipe_file", silent)
    monkeypatch.setattr(office.store.filesystem, "cat_file", silent)
    with pytest.raises(SystemTrouble, match="does not answer"):
        office.store.refuses_to_overwrite(number, data)


def test_older_release_under_a_newer_number_is_a_rollback(office):
    data = office.store.newest()[1]
    office.store.release(2, data)
    with pytest.raises(Rollback, match="another number"):
        office.worker()


def test_new_machine_takes_an_older_release_until_it_expires(office):
    """What a machine without a memory cannot know; a pin of the index can."""
    office.say("second")
    pins = office.push(), office.pins
    office.path("index/00000002.json").unlink()
    fresh = office.cache.with_name("fresh")
    assert office.worker(cache=fresh).index.version == 1
    with pytest.raises(Expired):
        office.worker(at=AT + DAYS, cache=fresh.with_name("later"))
    assert office.worker(pins[1][1], cache=fresh).index.version == 2


def test_older_trust_policy_in_a_newer_release_is_a_rollback(office):
    office.home.trust.write_bytes(trust_file(version=2).to_bytes())
    office.push()
    pin = office.pins[0]
    office.home.trust.write_bytes(trust_file(version=1).to_bytes())
    office.push()
    with pytest.raises(Rollback):
        office.worker(pin)


def test_second_administrator_is_refused_and_changes_nothing(office, tmp_path):
    other = SluiceHome(tmp_path / "other")
    store, index, data, _ = Published(office.url, office.pins[0], str(office.cache)).release(AT)
    pull(other, store, index, data, discard=False)
    office.say("first")
    office.push()
    other.policy.write_text(DEFAULT_POLICY + "# second\n")
    with pytest.raises(ConfigError, match="version 2"):
        push(other, store, signers=[ROOT], at=AT, ttl=DAYS)
    assert store.newest()[0] == 2
    assert push(other, store, signers=[ROOT], at=AT, ttl=DAYS, over=2).index.version == 3


def test_two_administrators_at_one_moment_make_one_release(office, monkeypatch):
    """The other one publishes between our look and our release."""
    keep = HomeStore.keep
    other = []

    def keep_and_be_overtaken(store, data):
        if not other:
            other.append(True)
            assert store.release(2, successor(store).signed([ROOT]))
        return keep(store, data)

    office.say("ours")
    monkeypatch.setattr(HomeStore, "keep", keep_and_be_overtaken)
    with pytest.raises(ConfigError, match="version 2"):
        office.push()
    assert office.store.newest()[0] == 2


def test_push_needs_the_root_keys(office):
    office.say("x")
    with pytest.raises(UntrustedKey):
        office.push([THIEF])
    with pytest.raises(UntrustedKey):
        office.push([])
    assert office.store.newest()[0] == 1


def test_pull_gives_the_directory_back_and_keeps_what_was_never_published(office, tmp_path):
    copy = SluiceHome(tmp_path / "copy")
    release = Published(office.url, office.pins[0], str(office.cache)).release(AT)[:3]
    pull(copy, *release, discard=False)
    assert documents_of(copy) == documents_of(office.home)
    assert not difference(documents_of(copy), release[1])
    copy.policy.write_text("version: 1\n")
    assert difference(documents_of(copy), release[1]).changed == ("policy.yaml",)
    with pytest.raises(ConfigError, match="never published"):
        pull(copy, *release, discard=False)
    assert copy.policy.read_text() == "version: 1\n"
    pull(copy, *release, discard=True)
    assert copy.policy.read_text() == DEFAULT_POLICY


def test_pull_of_a_newer_release_overwrites_a_copy_of_the_older_one(office, tmp_path):
    copy = SluiceHome(tmp_path / "copy")
    published = Published(office.url, office.pins[0], str(office.cache))
    pull(copy, *published.release(AT)[:3], discard=False)
    office.say("second")
    (office.home.baseline_dir("src") / "baseline.json").unlink()
    office.push()
    different = pull(copy, *published.release(AT)[:3], discard=False)
    assert different.changed == ("policy.yaml",)
    assert different.added == ("baselines/src/baseline.json",)
    assert documents_of(copy) == documents_of(office.home)


def test_settings_open_a_published_home_and_name_it_again(office):
    options = {"ledger": LEDGER_URL, "pin": office.pins[0], "cache": str(office.cache)}
    home = SluiceHome.from_text(office.url, **options)
    assert home.trust.read_bytes() == office.home.trust.read_bytes()
    assert home.environ[ENV_HOME] == office.url
    again = SluiceHome.from_environ(home.environ)
    assert (again.root, again.published) == (home.root, home.published)
    with pytest.raises(ConfigError, match="home push"):
        home.require_directory("a timestamp")


def test_published_home_needs_a_ledger_that_machines_share(office):
    with pytest.raises(ConfigError, match="PostgreSQL"):
        SluiceHome.from_text(office.url, pin=office.pins[0], cache=str(office.cache))


@pytest.mark.parametrize("secret", ["key:hunter2", "AKIA/hunter2", "user name"])
def test_password_in_the_url_is_refused_and_not_shown(secret):
    with pytest.raises(ConfigError) as error:
        HomeStore.open(f"s3://{secret}@bucket/sluice")
    assert "hunter2" not in str(error.value)


def test_manifest_in_parts_is_not_written_into_a_copy(office, tmp_path):
    """It would be a file that no release names, and so refuse the home from then on."""
    with pytest.raises(ConfigError, match="published home"):
        PartStore(office.worker().root / "manifests", published=True).build(tmp_path)
    office.worker()


def test_guard_and_verified_read_open_the_same_published_home(office):
    """What the guard leaves for the read names the store and the pin, not a copy."""
    place = {"home": office.url, "home_pin": office.pins[0], "home_cache": str(office.cache)}
    settings = Settings.read({**place, "ledger": LEDGER_URL}.get, {})
    home, environ = settings.home(), {}
    Admitted(home, {"src": "sha256:00"}).leave(environ, task={})
    found = Admitted.found(environ)
    assert found.home == home
    assert found.home.published == home.published
    office.say("meanwhile")
    office.push()
    later = Admitted.found(environ).home
    assert later.root != home.root
    assert _same_home(later, home) is later
    with pytest.raises(ConfigError, match="another installation"):
        _same_home(later, office.home)


def test_settings_with_another_pin_are_told_apart(office):
    one, two = ({"home": office.url, "home_pin": pin} for pin in office.pins)
    assert Settings.read(one.get, {}).digest != Settings.read(two.get, {}).digest
