"""The tree against a word-for-word reading of RFC 6962, for all sizes up to 256."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import BadProof, LedgerCorrupt
from sluicegate.ledger.frontier import Frontier, n_positions, position
from sluicegate.ledger.merkle import (
    EMPTY_ROOT,
    Node,
    consistency_nodes,
    folded,
    inclusion_nodes,
    leaf_hash,
    node_hash,
    subtrees,
    verify_consistency,
    verify_inclusion,
)

N = 256
LEAVES = [leaf_hash(b"leaf %d" % number) for number in range(N)]


@cache
def reference_root(begin: int, end: int) -> bytes:
    """MTH of RFC 6962 section 2.1, without any shortcut."""
    n = end - begin
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return LEAVES[begin]
    k = 1
    while k * 2 < n:
        k *= 2
    return node_hash(reference_root(begin, begin + k), reference_root(begin + k, end))


def reference_path(index: int, begin: int, end: int) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    n = end - begin
    if n == 1:
        return []
    k = 1
    while k * 2 < n:
        k *= 2
    if index < k:
        return [*reference_path(index, begin, begin + k), reference_root(begin + k, end)]
    return [*reference_path(index - k, begin + k, end), reference_root(begin, begin + k)]


def reference_subproof(m: int, begin: int, end: int, *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    n = end - begin
    if m == n:
        return [] if whole else [reference_root(begin, end)]
    k = 1
    while k * 2 < n:
        k *= 2
    if m <= k:
        rest = reference_subproof(m, begin, begin + k, whole=whole)
        return [*rest, reference_root(begin + k, end)]
    rest = reference_subproof(m - k, begin + k, end, whole=False)
    return [*rest, reference_root(begin, begin + k)]


@pytest.fixture(scope="module")
def grown():
    frontier, nodes, roots = Frontier(), {}, [EMPTY_ROOT]
    for leaf in LEAVES:
        nodes.update(frontier.append(leaf))
        roots.append(frontier.root())
    return nodes, roots


def test_root_of_every_size_is_the_reference(grown):
    assert grown[1] == [reference_root(0, size) for size in range(N + 1)]


@pytest.mark.slow
def test_inclusion_of_every_leaf_at_every_size_is_the_reference_and_verifies(grown):
    nodes, roots = grown
    for size in range(1, N + 1):
        for index in range(size):
            proof = folded(inclusion_nodes(index, size), nodes.__getitem__)
            assert list(proof) == reference_path(index, 0, size)
            verify_inclusion(LEAVES[index], index, size, proof, roots[size])


@pytest.mark.slow
def test_consistency_of_every_pair_of_sizes_is_the_reference_and_verifies(grown):
    nodes, roots = grown
    for new in range(N + 1):
        for old in range(new + 1):
            proof = folded(consistency_nodes(old, new), nodes.__getitem__)
            if old:
                assert list(proof) == reference_subproof(old, 0, new, whole=True)
            verify_consistency(old, roots[old], new, roots[new], proof)


def mutations(proof):
    """Every proof that differs from this one in one hash, added, removed, changed or swapped."""
    for place, hashed in enumerate(proof):
        yield (*proof[:place], bytes([hashed[0] ^ 1, *hashed[1:]]), *proof[place + 1 :])
        yield (*proof[:place], *proof[place + 1 :])
        yield (*proof[:place], hashed, hashed, *proof[place + 1 :])
        yield (*proof[:place], hashed[:31], *proof[place + 1 :])
    if len(proof) > 1:
        yield tuple(reversed(proof))
    yield (*proof, EMPTY_ROOT)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13, 16, 21])
def test_changed_inclusion_proof_is_refused(grown, size):
    nodes, roots = grown
    for index in range(size):
        proof = folded(inclusion_nodes(index, size), nodes.__getitem__)
        for changed in mutations(proof):
            with pytest.raises(BadProof):
                verify_inclusion(LEAVES[index], index, size, changed, roots[size])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13])
def test_inclusion_proof_of_another_leaf_index_size_or_root_is_refused(grown, size):
    nodes, roots = grown
    for index in range(size):
        proof = folded(inclusion_nodes(index, size), nodes.__getitem__)
        wrong = [
            (LEAVES[size], index, size, roots[size]),
            (LEAVES[index], index, size, roots[size + 1]),
            (LEAVES[index], size, size, roots[size]),
            (LEAVES[index], -1, size, roots[size]),
            *[(LEAVES[index], other, size, roots[size]) for other in range(size) if other != index],
        ]
        for leaf, at, of, root in wrong:
            with pytest.raises(BadProof):
                verify_inclusion(leaf, at, of, proof, root)


@pytest.mark.parametrize("new", [2, 3, 5, 7, 8, 13, 16])
def test_changed_consistency_proof_is_refused(grown, new):
    nodes, roots = grown
    for old in range(1, new):
        proof = folded(consistency_nodes(old, new), nodes.__getitem__)
        for changed in mutations(proof):
            with pytest.raises(BadProof):
                verify_consistency(old, roots[old], new, roots[new], changed)


@pytest.mark.parametrize("new", [2, 3, 5, 7, 8, 13, 16])
def test_consistency_with_another_old_or_new_root_is_refused(grown, new):
    nodes, roots = grown
    for old in range(1, new):
        proof = folded(consistency_nodes(old, new), nodes.__getitem__)
        for old_root, new_root in ((roots[old - 1], roots[new]), (roots[old], roots[new - 1])):
            with pytest.raises(BadProof):
                verify_consistency(old, old_root, new, new_root, proof)


def test_consistency_to_a_smaller_tree_is_refused(grown):
    with pytest.raises(BadProof, match="smaller"):
        verify_consistency(3, grown[1][3], 2, grown[1][2], ())


def test_trivial_consistency_accepts_no_other_root(grown):
    for old_root, new_root, size in (
        (grown[1][3], grown[1][4], 3),
        (EMPTY_ROOT, grown[1][1], 0),
        (grown[1][1], EMPTY_ROOT, 0),
    ):
        with pytest.raises(BadProof):
            verify_consistency(size, old_root, size, new_root, ())


def test_trivial_consistency_with_a_superfluous_proof_is_refused(grown):
    with pytest.raises(BadProof, match="too long"):
        verify_consistency(3, grown[1][3], 3, grown[1][3], (EMPTY_ROOT,))


@pytest.mark.parametrize("index", [-1, 4, 10])
def test_proof_of_a_leaf_outside_the_tree_is_refused(index):
    with pytest.raises(BadProof, match="no such leaf"):
        inclusion_nodes(index, 4)


@pytest.mark.parametrize(("old", "new"), [(5, 4), (-1, 4)])
def test_proof_to_a_smaller_tree_is_refused(old, new):
    with pytest.raises(BadProof, match="larger tree"):
        consistency_nodes(old, new)


@given(st.integers(0, 2**62))
def test_proofs_of_the_largest_trees_read_few_nodes(size):
    assert len(subtrees(0, size)) == size.bit_count()
    if size:
        parts = inclusion_nodes(size - 1, size)
        assert len(parts) <= 62
        assert sum(map(len, parts)) <= 2 * 62


def test_inner_nodes_are_completed_in_the_order_of_their_positions():
    frontier, expected = Frontier(), 0
    for leaf in LEAVES:
        for node, _ in frontier.append(leaf):
            if node.level:
                assert position(node) == expected
                expected += 1
        assert n_positions(frontier.size) == expected


def test_frontier_taken_up_at_any_size_grows_to_the_same_root(grown):
    nodes, roots = grown
    for size in range(N):
        frontier = Frontier(size, [nodes[node] for node in subtrees(0, size)])
        frontier.append(LEAVES[size])
        assert frontier.root() == roots[size + 1]


def test_frontier_with_another_number_of_peaks_is_refused():
    with pytest.raises(LedgerCorrupt, match="peaks"):
        Frontier(3, [EMPTY_ROOT])


def test_leaf_cannot_pose_as_a_node():
    """Second preimage: the prefixes differ (RFC 6962 section 2.1)."""
    left, right = LEAVES[0], LEAVES[1]
    assert leaf_hash(left + right) != node_hash(left, right)


def test_frontier_knows_its_peaks_by_address():
    frontier = Frontier()
    for leaf in LEAVES[:3]:
        frontier.append(leaf)
    assert frontier.nodes() == {Node(1, 0): node_hash(*LEAVES[:2]), Node(0, 2): LEAVES[2]}
