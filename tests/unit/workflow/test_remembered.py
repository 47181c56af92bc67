"""An installation remembers its ledger and trust policy, and says so when they went back."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import sqlite3
import stat

import pytest
from tests.unit.workflow.conftest import AT, Site, judge_clean, rows, write
from tests.unit.workflow.response.test_quarantine import aside, back

from sluicegate.adapters.ledgers import remembered
from sluicegate.adapters.ledgers.remembered import (
    Memory,
    begin_memory,
    parse_memory,
    read_memory,
    remember,
)
from sluicegate.cli.main import main
from sluicegate.digest import canonical
from sluicegate.errors import (
    BadProof,
    ConfigError,
    EvidenceMissing,
    GateBlocked,
    LedgerCorrupt,
    LedgerError,
    MalformedEnvelope,
    Rollback,
    UntrustedKey,
)
from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import CallableSigner
from sluicegate.ledger.log import Ledger
from sluicegate.ledger.standing import Standing
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence
from sluicegate.workflow.evidence.recall import MemoryRule
from sluicegate.workflow.evidence.remember import remember_ledger


@pytest.fixture
def judged(site):
    """A judged batch."""
    site.once(judge_clean)
    return site


def admit(home):
    return admit_training(home, ["src"], at=AT)["src"]


def ledger_of(site):
    return open_evidence(site.home, at=AT, memory=MemoryRule.UNASKED).ledger


def leaves_read(monkeypatch):
    """Count the leaves that are read one by one."""
    seen, follow = [], Ledger.follow

    def counted(self, remembered, take, *, whole=False):
        def both(index, entry):
            seen.append(index)
            take(index, entry)

        return follow(self, remembered, both, whole=whole)

    monkeypatch.setattr(Ledger, "follow", counted)
    return seen


def test_memory_lies_beside_the_home_and_not_in_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    place = tmp_path / "real.remembered" / "memory.json"
    assert SluiceHome(tmp_path / "real").memory == place
    assert SluiceHome(tmp_path / "link").memory == place
    with pytest.raises(ConfigError, match=r"no place beside.*\[sluicegate\] remembered"):
        SluiceHome(tmp_path.parents[-1]).memory  # noqa: B018 - the property raises


def test_environment_of_a_home_leaves_no_variable_to_whoever_was_there_before(site):
    """A DAG file, or another home in this process, may have named another memory or ledger."""
    elsewhere = dataclasses.replace(site.home, remembered_at=site.root / "memory")
    for home in (site.home, elsewhere):
        environ = {
            "SLUICEGATE_REMEMBERED": "/evil",
            "AIRFLOW__SLUICEGATE__LEDGER": "postgresql://evil/x",
        }
        home.export(environ)
        assert SluiceHome.from_environ(environ) == home


def test_everything_that_is_appended_is_remembered_at_once(site):
    seen = [read_memory(site.home.memory).checkpoint]
    steps = [lambda: site.seal(site.clean), site.gate]
    steps.append(lambda: aside(site, open_evidence(site.home, at=AT).latest_seal("src", at=AT)))
    for step in steps:
        step()
        seen.append(read_memory(site.home.memory).checkpoint)
        assert seen[-1] == ledger_of(site).checkpoint()
    assert len(set(seen)) == len(seen)


def test_what_is_remembered_says_what_stands_about_the_newest_batch(judged):
    memory = read_memory(judged.home.memory)
    batch = judged.evidence().latest_seal("src", at=AT)
    (standing,) = memory.standings.values()
    assert standing.batch == str(batch.digest)
    assert set(standing.newest) >= {"verdict"}
    assert not standing.held
    aside(judged, batch)
    (standing,) = read_memory(judged.home.memory).standings.values()
    assert set(standing.held) == {str(batch.digest)}


def test_admission_reads_only_the_leaves_since_the_last_time(judged, monkeypatch):
    admit(judged.home)
    seen = leaves_read(monkeypatch)
    admit(judged.home)
    assert seen == []
    ledger = ledger_of(judged)
    size = ledger.size()
    judged.evidence().ledger.append_many([other(number) for number in range(5)])
    admit(judged.home)
    assert seen == list(range(size, size + 5))


def other(number):
    envelope = b"other %d" % number
    return Entry.of("verdict", "other", "dirHash1:" + "ab" * 32, envelope), envelope


def test_refused_admission_is_remembered(judged):
    admit(judged.home)
    before = judged.home.memory.read_bytes()
    batch = judged.evidence().latest_seal("src", at=AT)
    aside(judged, batch)
    judged.home.memory.write_bytes(before)  # as on a machine that was not told
    with pytest.raises(GateBlocked):
        admit(judged.home)
    assert read_memory(judged.home.memory).checkpoint == ledger_of(judged).checkpoint()


def test_older_batch_that_is_the_newest_again_is_looked_at_whole_once(judged, monkeypatch):
    """Its verdict is older than its newest provenance, so a newer one could be hidden."""
    first = judged.evidence().latest_seal("src", at=AT)
    judged.seal(write(rows(9), judged.root / "newer"))
    judged.gate()
    seen = leaves_read(monkeypatch)
    back(judged, to=first.digest)
    admit(judged.home)
    assert 0 in seen
    seen.clear()
    admit(judged.home)
    assert seen == []
    (standing,) = read_memory(judged.home.memory).standings.values()
    assert standing.since == 0
    assert "verdict" in standing.newest


def test_hidden_verdict_on_a_batch_that_is_the_newest_again_is_found(judged, monkeypatch):
    first = judged.evidence().latest_seal("src", at=AT)
    lenient = judged.home.policy.read_bytes()
    judged.home.policy.write_bytes(lenient + b"contributors: {max_share: 0.05}\n")
    judged.gate()
    judged.home.policy.write_bytes(lenient)
    failed = next(ledger_of(judged).find("verdict", "src", first.digest)).index
    judged.seal(write(rows(9), judged.root / "newer"))
    judged.gate()
    find = Ledger.find

    def hiding(self, *arguments, **options):
        limit = options.pop("limit", None)
        found = [item for item in find(self, *arguments, **options) if item.index != failed]
        return iter(found[:limit])

    monkeypatch.setattr(Ledger, "find", hiding)
    back(judged, to=first.digest)
    with pytest.raises(LedgerCorrupt, match="a verdict is in the log and its index does not"):
        admit(judged.home)


def test_missing_memory_could_not_check_and_nothing_makes_one(site):
    site.home.memory.unlink()
    for act in (site.evidence, lambda: admit(site.home), lambda: site.seal(site.clean)):
        with pytest.raises(EvidenceMissing, match="sluicegate ledger remember"):
            act()
    assert not site.home.memory.exists()


def test_listing_of_a_ledger_that_lies_elsewhere_needs_no_memory(judged):
    """An auditor has a copy of the ledger, and no memory of it."""
    judged.home.memory.unlink()
    for command in (("ledger", "list"), ("history", "src"), ("ledger", "verify")):
        assert main([*command, "--home", str(judged.home.root)]) == 0
    assert not judged.home.memory.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'{"began":"","checkpoint":1,"sources":{},"trust":"","v":2}'],
)
def test_damaged_memory_refuses(judged, content):
    judged.home.memory.write_bytes(content)
    for act in (lambda: admit(judged.home), lambda: remember_ledger(judged.home, at=AT)):
        with pytest.raises(MalformedEnvelope, match="sluicegate ledger remember --forget"):
            act()
    assert judged.home.memory.read_bytes() == content


def damaged(**changes):
    source = {"batch": "", "provenance": -1, "since": 0, "newest": {}, "held": {}}
    return canonical.dumps(
        {"v": 2, "began": "", "checkpoint": "", "trust": "", "sources": {"s": source | changes}}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"held": []},
        {"held": {"dirHash1:" + "ab" * 32: -1}},
        {"held": {"dirHash1:" + "ab" * 32: True}},
        {"held": {"nothing": 3}},
        {"newest": {"quarantine": 3}},
        {"newest": {"verdict": 1.5}},
        {"since": -1},
        {"provenance": -2},
        {"batch": "dirHash1:" + "ab" * 32},
        {"batch": None},
        {"more": 1},
    ],
)
def test_memory_of_a_source_is_read_strictly(changes):
    with pytest.raises(MalformedEnvelope):
        parse_memory(damaged(**changes), locator="x")
    assert parse_memory(damaged(), locator="x").standings == {"s": Standing()}


def test_memory_is_written_as_it_is_read(judged):
    aside(judged, judged.evidence().latest_seal("src", at=AT))
    data = judged.home.memory.read_bytes()
    assert parse_memory(data, locator="x").to_bytes() == data


def test_memory_of_another_ledger_refuses(judged):
    with ledger_of(judged) as ledger:
        origin = ledger.origin.encode()
    data = judged.home.memory.read_bytes()
    assert origin in data
    judged.home.memory.write_bytes(data.replace(origin, b"example.com/another"))
    with pytest.raises(UntrustedKey):
        admit(judged.home)


def test_memory_that_would_grow_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(remembered, "MAX_BYTES", 100)
    with pytest.raises(LedgerError, match="more to remember than the memory may hold"):
        Memory(b"", b"x" * 100).to_bytes()


def test_older_state_never_replaces_a_newer_one(judged):
    with ledger_of(judged) as ledger:
        older = read_memory(judged.home.memory)
        judged.seal(judged.poisoned)
        newer = read_memory(judged.home.memory)
        remember(judged.home.memory, ledger, older, appends=True)
    assert read_memory(judged.home.memory) == newer


def test_older_trust_never_replaces_a_newer_one(judged):
    memory = read_memory(judged.home.memory)
    newer = dataclasses.replace(memory, trust=memory.trust.replace(b'"version":1', b'"version":2'))
    assert newer != memory
    with ledger_of(judged) as ledger:
        remember(judged.home.memory, ledger, newer, appends=True)
        remember(judged.home.memory, ledger, memory, appends=True)
    assert read_memory(judged.home.memory) == newer


def test_two_histories_of_one_length_are_a_fork(judged):
    memory, key = read_memory(judged.home.memory), judged.signer("ledger")
    with ledger_of(judged) as ledger:
        signer = CallableSigner(ledger.origin, ledger.verifier.public_key, key.sign)
        one, two = (
            dataclasses.replace(
                memory,
                checkpoint=sign_checkpoint(Checkpoint(ledger.origin, 99, root * 32), signer),
            )
            for root in (b"a", b"b")
        )
        remember(judged.home.memory, ledger, one, appends=True)
        with pytest.raises(BadProof, match="two histories"):
            remember(judged.home.memory, ledger, two, appends=True)


def _append(root, source, numbers):
    site = Site(root)
    for number in numbers:
        evidence = site.evidence()
        subject = evidence.latest_seal("src", at=AT).digest
        evidence.append(source, subject, [("verdict", b"%s %d" % (source.encode(), number))])


def test_processes_that_append_at_once_never_move_the_memory_back(judged):
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_append, args=(judged.root, f"s{number}", range(8)))
        for number in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert read_memory(judged.home.memory).checkpoint == ledger_of(judged).checkpoint()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_reader_that_may_not_write_the_memory_obeys_it_all_the_same(judged):
    directory = judged.home.memory.parent
    mode = stat.S_IMODE(directory.stat().st_mode)
    directory.chmod(0o500)
    try:
        assert admit(judged.home)
    finally:
        directory.chmod(mode)


@pytest.fixture
def private_umask():
    """Files of this process are for its user alone."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_memory_is_shared_by_the_users_who_share_the_home(judged, private_umask):
    """Two users of one group append: the first command of one must not lock the other out."""
    shutil.rmtree(judged.home.memory.parent)
    judged.home.root.chmod(0o2775)
    remember_ledger(judged.home, at=AT)
    judged.seal(judged.clean)
    directory = judged.home.memory.parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o2775
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o664}


def test_replaced_memory_keeps_the_rights_that_an_administrator_gave_it(judged, private_umask):
    judged.home.memory.chmod(0o640)
    judged.evidence().ledger.append(*other(1))
    admit(judged.home)
    assert stat.S_IMODE(judged.home.memory.stat().st_mode) == 0o640


def test_nothing_is_appended_that_could_not_be_remembered(judged, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    size = ledger_of(judged).size()
    monkeypatch.setattr(remembered, "locked", denied)
    with pytest.raises(LedgerError, match="cannot be written"):
        judged.seal(judged.clean)
    assert ledger_of(judged).size() == size


def test_reader_without_the_right_to_write_is_no_reason_to_refuse(judged, monkeypatch):
    """The split of users: whoever signs writes the memory, whoever trains reads it."""

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    judged.evidence().ledger.append(*other(1))
    monkeypatch.setattr(remembered, "locked", denied)
    assert admit(judged.home)
    with pytest.raises(LedgerError, match="cannot be written"):
        judged.evidence()


def test_disk_that_is_full_refuses(judged, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    judged.evidence().ledger.append(*other(1))
    monkeypatch.setattr(remembered, "write_atomically", full)
    with pytest.raises(LedgerError, match=r"cannot be written.*No space left"):
        admit(judged.home)


class TestRemember:
    """The administrator's command."""

    def test_first_use_verifies_everything_first(self, judged):
        judged.home.memory.unlink()
        connection = sqlite3.connect(judged.home.ledger)
        with connection:
            connection.execute("DELETE FROM envelope WHERE idx = 0")
        connection.close()
        with pytest.raises(LedgerCorrupt):
            remember_ledger(judged.home, at=AT)
        assert not judged.home.memory.exists()

    def test_second_use_obeys_what_is_remembered(self, judged, capsys):
        size = ledger_of(judged).size()
        assert main(["ledger", "remember", "--home", str(judged.home.root)]) == 0
        assert f"{size} leaves verified and remembered" in capsys.readouterr().out
        assert admit(judged.home)

    def test_rollback_is_not_accepted_without_a_reason(self, judged):
        n_old = ledger_of(judged).size()
        saved = saved_ledger(judged)
        judged.seal(judged.poisoned)
        n_new = ledger_of(judged).size()
        restore(judged, saved)
        with pytest.raises(Rollback):
            remember_ledger(judged.home, at=AT)
        done = remember_ledger(judged.home, at=AT, forget="the disk died")
        assert (done.size, done.before) == (n_old, n_new)
        assert parse_memory(done.kept.read_bytes(), locator="kept").standings
        assert "the disk died" in read_memory(judged.home.memory).began
        assert admit(judged.home)

    def test_version_1_is_held_against_the_ledger_and_upgraded(self, judged):
        note = ledger_of(judged).checkpoint().decode()
        saved = saved_ledger(judged)
        value = {"v": 1, "checkpoint": note, "sources": {"src": 1}}
        judged.home.memory.write_bytes(canonical.dumps(value))
        with pytest.raises(LedgerError, match=r"older version.*sluicegate ledger remember"):
            admit(judged.home)
        remember_ledger(judged.home, at=AT)
        assert admit(judged.home)
        judged.seal(judged.poisoned)
        newer = canonical.dumps({**value, "checkpoint": ledger_of(judged).checkpoint().decode()})
        restore(judged, saved)
        judged.home.memory.write_bytes(newer)
        with pytest.raises(Rollback):
            remember_ledger(judged.home, at=AT)

    def test_new_ledger_does_not_silently_forget_the_one_before(self, judged):
        for path in judged.home.root.glob("ledger.db*"):
            path.unlink()
        with pytest.raises(ConfigError, match=r"remembered here already.*--forget"):
            create_ledger(judged.home, at=AT)
        assert not judged.home.ledger.exists()
        create_ledger(judged.home, at=AT, forget="given up")
        assert "given up" in read_memory(judged.home.memory).began

    def test_crash_between_copy_and_replacement_leaves_a_memory(self, judged, monkeypatch):
        memory, write_atomically = read_memory(judged.home.memory), remembered.write_atomically

        def dies(path, data):
            if path == judged.home.memory:
                raise OSError(28, "No space left on device")
            write_atomically(path, data)

        monkeypatch.setattr(remembered, "write_atomically", dies)
        with pytest.raises(LedgerError):
            begin_memory(judged.home.memory, memory, home=judged.home.root)
        assert read_memory(judged.home.memory) == memory


def saved_ledger(site):
    copy = site.root / "saved.db"
    copy.unlink(missing_ok=True)
    source, target = sqlite3.connect(site.home.ledger), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    return copy.read_bytes()


def restore(site, saved):
    for suffix in ("-wal", "-shm"):
        site.home.ledger.with_name(site.home.ledger.name + suffix).unlink(missing_ok=True)
    fresh = site.root / "fresh.db"
    fresh.write_bytes(saved)
    fresh.replace(site.home.ledger)
