"""Processes that are killed while they append, and processes that append at once."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger_stores import PUBLIC, PostgresSite, SqliteSite

from sluicegate.ledger.proof import verify_proof

ROUNDS = int(os.environ.get("SLUICEGATE_TEST_KILLS", "20"))
"""Kills a store; continuous integration uses 200."""

RACE_S = float(os.environ.get("SLUICEGATE_TEST_RACE_S", "0"))
"""How long concurrent writers go on, in seconds; continuous integration uses 60."""


def acknowledging(site, item, number_of_round, pipe):
    """Append for ever; write each index to the pipe after it was acknowledged."""

    def run():
        with site.opened() as ledger:
            for count in range(10_000):
                name = f"{number_of_round}/{count}"
                # Every third append is a batch, so that a kill can hit the middle of one.
                names = [f"{name}/{part}" for part in range(7)] if count % 3 == 0 else [name]
                receipts = ledger.append_many([item(each) for each in names])
                lines = zip(receipts, names, strict=True)
                text = "".join(f"{receipt.index} {each}\n" for receipt, each in lines)
                os.write(pipe, text.encode())

    return run


def test_nothing_acknowledged_is_lost_when_writers_are_killed(site, item, forked):
    """kill -9 at random points; the next start needs no repair and serves nothing half-written."""
    chance = random.Random(7)
    site.opened().close()
    acknowledged = {}
    remembered = None
    for number in range(ROUNDS):
        reading, writing = os.pipe()
        child = forked(acknowledging(site, item, number, writing))
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            first = pipe.readline()
            time.sleep(chance.random() / 50)  # where the kill lands is left to chance
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            lines = (first + pipe.read()).decode().split("\n")
        for line in filter(None, lines[:-1]):
            index, name = line.split(" ")
            acknowledged[name] = int(index)
        with site.opened() as ledger:
            report = ledger.audit(remembered)
            assert report.size > max(acknowledged.values())
            remembered = ledger.append(*item(f"after {number}")).checkpoint
    assert len(acknowledged) >= ROUNDS
    with site.opened() as ledger:
        for name, index in acknowledged.items():
            entry, envelope = item(name)
            record = ledger.get_verified(index)
            assert (record.entry, record.envelope) == (entry, envelope)
        whole = [record.index for record in ledger.find(newest_first=False)]
        assert whole == list(range(ledger.size()))


@pytest.mark.parametrize("n_appending", [2, 5])
def test_nobody_waits_for_a_writer_that_was_killed(site, item, forked, n_appending):
    """Whoever led the group dies with the lock; the others are served all the same."""
    site.opened().close()
    readings = []
    children = []
    for number in range(n_appending):
        reading, writing = os.pipe()
        children.append(forked(acknowledging(site, item, number, writing)))
        os.close(writing)
        readings.append(reading)
    for reading in readings:
        os.read(reading, 10)
    for child in children[:-1]:
        os.kill(child, signal.SIGKILL)
    with site.opened() as ledger:
        receipt = ledger.append(*item("survivor"))
        assert ledger.audit(receipt.checkpoint).size > receipt.index
    os.kill(children[-1], signal.SIGKILL)
    for child, reading in zip(children, readings, strict=True):
        os.waitpid(child, 0)
        os.close(reading)


PROCESSES, THREADS, EACH = 4, 4, 8


def appending(site, item, process, until, acknowledged):
    """Append with 4 threads until a time, at least 8 times; then write down what was said."""

    def append(ledger, thread):
        lines, number = [], 0
        # All writers also append one common item: it must become one leaf.
        names = ["common"]
        while names:
            receipts = ledger.append_many([item(name) for name in names])
            for receipt, name in zip(receipts, names, strict=True):
                if number % 16 < 8:
                    verify_proof(receipt.proof, item(name)[0].to_bytes(), [PUBLIC])
                lines.append(f"{receipt.index} {name}\n")
            number += 1
            more = number <= EACH or time.monotonic() < until
            # Now and then a batch, whose leaves must stand side by side.
            parts = range(3 if number % 5 == 0 else 1)
            names = [f"{process}.{thread}.{number}.{part}" for part in parts] if more else []
            indexes = [receipt.index for receipt in receipts]
            assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))
        return "".join(lines)

    def run():
        with site.opened() as ledger, ThreadPoolExecutor(THREADS) as pool:
            texts = list(pool.map(lambda thread: append(ledger, thread), range(THREADS)))
        acknowledged.write_text("".join(texts))

    return run


def race(sites, item, forked, directory, seconds):
    """Run 16 writers in 4 processes on each ledger at once; returns the leaves of each.

    Every proof that is looked at verifies, and every index is handed out once.
    """
    until = time.monotonic() + seconds
    files = {}
    children = []
    for site in sites:
        site.opened().close()
        files[site.kind] = [directory / f"{site.kind} {number}" for number in range(PROCESSES)]
        children += [
            forked(appending(site, item, number, until, file))
            for number, file in enumerate(files[site.kind])
        ]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert statuses == [0] * len(children)
    return {site.kind: checked(site, files[site.kind]) for site in sites}


def checked(site, files):
    """Compare a ledger with what its writers were told; returns its leaves."""
    acknowledged = {}
    for file in files:
        for line in file.read_text().splitlines():
            index, name = line.split(" ")
            assert acknowledged.setdefault(name, int(index)) == int(index)
    assert len(acknowledged) >= PROCESSES * THREADS * EACH + 1
    assert sorted(acknowledged.values()) == list(range(len(acknowledged)))
    with site.opened() as ledger:
        assert ledger.audit().size == len(acknowledged)
        for record in ledger.find(newest_first=False):
            name = record.envelope.decode().removeprefix("envelope ")
            assert acknowledged[name] == record.index
    return len(acknowledged)


def test_concurrent_writers_lose_and_double_nothing(site, item, forked, tmp_path):
    race([site], item, forked, tmp_path, 0)


@pytest.mark.skipif(not RACE_S, reason="set SLUICEGATE_TEST_RACE_S=60 for the minute's race")
def test_concurrent_writers_for_a_minute_lose_and_double_nothing(
    postgres, item, forked, tmp_path, capsys
):
    """Both stores at once, so that the minute is spent only once."""
    stores = PostgresSite(postgres, f"t{uuid.uuid4().hex[:12]}"), SqliteSite(tmp_path / "l.db")
    found = race(stores, item, forked, tmp_path, RACE_S)
    with capsys.disabled():
        sys.stdout.write(f"\nleaves by {PROCESSES * THREADS} writers, {RACE_S:g} s: {found}\n")


def test_processes_that_create_at_once_share_one_ledger(site, item, forked):
    children = [
        forked(lambda number=number: site.opened().append(*item(number)).index)
        for number in range(6)
    ]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 6
    with site.opened() as ledger:
        assert ledger.audit().size == 6
    if site.kind == "sqlite":
        assert [each.name for each in site.path.parent.iterdir() if each.is_dir()] == []
