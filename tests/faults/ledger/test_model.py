"""The ledger on each store beside a plain list; the whole tree is verified after every step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable  # noqa: TC003 - the annotation of a class attribute

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger_stores import PUBLIC, PostgresSite, SqliteSite, make_item

from sluicegate.ledger.frontier import Frontier
from sluicegate.ledger.proof import verify_proof


class Machine(RuleBasedStateMachine):
    """The ledger beside a plain list; the whole tree is verified again after every step."""

    make_site: Callable[[], object]

    @initialize()
    def start(self):
        self.site = type(self).make_site()
        self.ledger = self.site.opened()
        self.model = []
        self.checkpoints = [self.ledger.checkpoint()]
        self.next = 0

    def new_item(self, kind, source):
        self.next += 1
        return make_item(self.next, kind, source)

    kinds = st.sampled_from(["seal", "verdict", "waiver"])
    sources = st.sampled_from(["a", "b"])

    @rule(kind=kinds, source=sources)
    def append(self, kind, source):
        entry, envelope = self.new_item(kind, source)
        receipt = self.ledger.append(entry, envelope)
        assert receipt.index == len(self.model)
        verify_proof(receipt.proof, entry.to_bytes(), [PUBLIC])
        self.model.append((entry, envelope))
        self.checkpoints.append(receipt.checkpoint)

    @rule(kinds_=st.lists(kinds, min_size=1, max_size=9), source=sources)
    def append_batch(self, kinds_, source):
        items = [self.new_item(kind, source) for kind in kinds_]
        receipts = self.ledger.append_many(items)
        assert [r.index for r in receipts] == [len(self.model) + n for n in range(len(items))]
        self.model += items
        self.checkpoints.append(receipts[0].checkpoint)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def append_again(self, data):
        entry, envelope = data.draw(st.sampled_from(self.model))
        assert self.ledger.append(entry, envelope).index == self.model.index((entry, envelope))

    @rule()
    def reopen(self):
        self.ledger.close()
        self.ledger = self.site.opened()

    @rule(kind=kinds | st.none(), source=sources | st.none(), newest=st.booleans())
    def find(self, kind, source, newest):
        expected = [
            index
            for index, (entry, _) in enumerate(self.model)
            if kind in (None, entry.kind) and source in (None, entry.source)
        ]
        found = [r.index for r in self.ledger.find(kind, source, newest_first=newest)]
        assert found == (expected[::-1] if newest else expected)
        if kind and source:
            latest = self.ledger.latest(kind, source)
            assert (latest and latest.index) == (expected[-1] if expected else None)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def read(self, data):
        index = data.draw(st.integers(0, len(self.model) - 1))
        record = self.ledger.get_verified(index)
        assert (record.entry, record.envelope) == self.model[index]

    @rule(data=st.data())
    def look_back(self, data):
        self.ledger.require_extends(data.draw(st.sampled_from(self.checkpoints)))

    @invariant()
    def holds(self):
        if not hasattr(self, "model"):
            return
        report = self.ledger.audit(self.checkpoints[len(self.checkpoints) // 2])
        frontier = Frontier()
        for entry, _ in self.model:
            frontier.append(entry.hashed())
        assert (report.size, report.root) == (len(self.model), frontier.root())

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close()


@pytest.fixture(params=["sqlite", "postgres"])
def make_site(request, tmp_path):
    numbers = itertools.count()
    if request.param == "sqlite":
        return lambda: SqliteSite(tmp_path / f"{next(numbers)}.db")
    server = request.getfixturevalue("postgres")
    name = os.urandom(4).hex()
    return lambda: PostgresSite(server, f"m{name}_{next(numbers)}")


def test_ledger_behaves_as_a_list_and_verifies_after_every_step(make_site):
    machine = type("Machine", (Machine,), {"make_site": staticmethod(make_site)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("SLUICEGATE_TEST_EXAMPLES", "8")),
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
