"""An audit over several pages says the same as one leaf by leaf, and still names the place."""

from __future__ import annotations

import copy

import pytest

from sluicegate.errors import BadProof, LedgerCorrupt
from sluicegate.ledger import walk
from sluicegate.ledger.frontier import position
from sluicegate.ledger.merkle import Node
from sluicegate.ledger.subtree import N_LEAVES

N = 2 * N_LEAVES + 100
PLACES = [0, 1, N_LEAVES - 1, N_LEAVES, N_LEAVES + 7, 2 * N_LEAVES - 1, 2 * N_LEAVES, N - 1]


@pytest.fixture(scope="module")
def filled(request):
    """The state of a store of two pages and a part."""
    return {}


@pytest.fixture
def long(ledger, store, item, filled):
    """A ledger of two pages and a part; made once, copied for each test."""
    if not filled:
        for begin in range(0, N, 500):
            ledger.append_many([item(number) for number in range(begin, min(begin + 500, N))])
        filled["state"] = copy.deepcopy(store.state)
    store.state = copy.deepcopy(filled["state"])
    return ledger


@pytest.fixture
def leaf_by_leaf(monkeypatch):
    """Let no page be compared as a whole."""
    monkeypatch.setattr(walk.Walk, "_is_sound", lambda *_: False)


def _texts(report):
    return [str(finding) for finding in report.findings]


def test_pages_are_compared_as_a_whole_where_nothing_is_wrong(long, monkeypatch):
    through = []
    slow = walk.Walk._go_through

    def counted(self, page):
        through.append(len(page))
        return slow(self, page)

    monkeypatch.setattr(walk.Walk, "_go_through", counted)
    assert long.audit().n_checked == N
    assert through == [100]


EDITS = {
    "envelope exchanged": lambda state, at: state.bodies.__setitem__(at, b"forged"),
    "envelope deleted": lambda state, at: state.bodies.pop(at),
    "leaf replaced": lambda state, at: state.leaves.__setitem__(at, state.leaves[(at + 2) % N]),
    "leaf deleted": lambda state, at: state.leaves.pop(at),
}


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_edit_in_a_page_is_found_and_named_as_leaf_by_leaf(long, store, edit, at, monkeypatch):
    edit(store.state, at)
    report = long.examine()
    assert any(f"#{at}" in text for text in _texts(report)) or at == N - 1
    with pytest.raises((LedgerCorrupt, BadProof)):
        report.require_clean()
    monkeypatch.setattr(walk.Walk, "_is_sound", lambda *_: False)
    slow = long.examine()
    # Whole pages may leave out what only repeats an earlier finding, nothing else.
    assert set(_texts(report)) <= set(_texts(slow))
    assert _texts(report)[0] == _texts(slow)[0]


@pytest.mark.parametrize("node", [Node(1, 0), Node(10, 0), Node(10, 1), Node(11, 0), Node(1, 1060)])
@pytest.mark.parametrize("gone", [False, True])
def test_edited_or_missing_node_is_named(long, store, node, gone):
    """Inside a page, its root, above it, and in the last part."""
    if gone:
        store.state.nodes.pop(position(node))
    else:
        store.state.nodes[position(node)] = bytes(32)
    (finding,) = long.examine().findings
    assert f"level {node.level}, index {node.index}" in str(finding)


@pytest.mark.parametrize("size", [1, N_LEAVES - 1, N_LEAVES, N_LEAVES + 1, 2 * N_LEAVES, N])
def test_fork_is_found_at_a_checkpoint_of_any_place_in_a_page(long, signer, size):
    from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint

    forked = sign_checkpoint(Checkpoint(signer.name, size, bytes(32)), signer)
    (finding,) = long.examine(forked).findings
    assert isinstance(finding, BadProof)
    assert "forked" in str(finding)


@pytest.mark.parametrize("size", [1, N_LEAVES - 1, N_LEAVES, 2 * N_LEAVES + 1])
def test_audit_of_what_is_new_reads_from_any_place_in_a_page(long, size, signer):
    from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint
    from sluicegate.ledger.lookup import stored_frontier

    with long._store.reading() as snapshot:
        root = stored_frontier(snapshot, size, "test").root()
    remembered = sign_checkpoint(Checkpoint(signer.name, size, root), signer)
    assert long.audit(remembered, only_new=True).n_checked == N - size
    assert long.audit(remembered).n_checked == N
