"""Whole subtrees give the hashes and the order that leaf by leaf gives."""

from __future__ import annotations

import pytest

from sluicegate.ledger.frontier import Frontier, n_positions
from sluicegate.ledger.merkle import leaf_hash
from sluicegate.ledger.subtree import LEVEL, N_LEAVES, hash_subtree

LEAVES = [b"leaf %d" % number for number in range(5 * N_LEAVES)]


@pytest.fixture(scope="module")
def one_by_one():
    """Nodes in order of position, and the root after each leaf."""
    frontier, nodes = Frontier(), []
    for leaf in LEAVES:
        nodes += frontier.extend(leaf_hash(leaf))
    return nodes, frontier


@pytest.mark.parametrize("n_pages", [1, 2, 3, 4, 5])
def test_subtrees_give_the_nodes_that_leaf_by_leaf_gives(one_by_one, n_pages):
    """Wherever the subtree stands, with the nodes above it that it completes."""
    nodes, _ = one_by_one
    frontier = Frontier()
    for number in range(n_pages):
        first = n_positions(frontier.size)
        subtree = hash_subtree(LEAVES[number * N_LEAVES : (number + 1) * N_LEAVES])
        grown = subtree.nodes + b"".join(frontier.graft(LEVEL, subtree.root))
        assert grown == b"".join(nodes[first : n_positions(frontier.size)])


def test_root_after_subtrees_is_the_root_after_leaves(one_by_one):
    frontier = Frontier()
    for number in range(5):
        subtree = hash_subtree(LEAVES[number * N_LEAVES : (number + 1) * N_LEAVES])
        frontier.graft(LEVEL, subtree.root)
    assert (frontier.size, frontier.root()) == (one_by_one[1].size, one_by_one[1].root())


def test_copy_grows_on_its_own():
    frontier = Frontier()
    frontier.extend(bytes(32))
    grown = frontier.copy()
    grown.extend(bytes(32))
    assert (frontier.size, grown.size) == (1, 2)
    assert frontier.root() == bytes(32)


@pytest.mark.parametrize("n_leaves", [0, N_LEAVES - 1, N_LEAVES + 1])
def test_other_number_of_leaves_is_refused(n_leaves):
    with pytest.raises(ValueError, match=str(n_leaves)):
        hash_subtree(LEAVES[:n_leaves])


def test_subtree_on_an_uneven_size_is_refused():
    frontier = Frontier()
    frontier.extend(bytes(32))
    with pytest.raises(ValueError, match="1"):
        frontier.graft(LEVEL, bytes(32))
