"""Published vectors: the tree of RFC 6962 and the examples of the C2SP specifications."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from sluicegate.errors import BadProof
from sluicegate.ledger.checkpoint import Checkpoint
from sluicegate.ledger.entry import Entry, Kind
from sluicegate.ledger.frontier import Frontier
from sluicegate.ledger.keys import Ed25519Verifier
from sluicegate.ledger.merkle import (
    EMPTY_ROOT,
    Node,
    consistency_nodes,
    folded,
    inclusion_nodes,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from sluicegate.ledger.note import SignedNote, VerifierKey, open_note
from sluicegate.ledger.proof import verify_proof

# The eight leaves that implementations of RFC 6962 have tested with since
# google/certificate-transparency, and the roots of the trees of their first 0..8; the same
# values stand in github.com/transparency-dev/merkle, testonly/constants.go (417fb0c, 2026).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]


@pytest.fixture(scope="module")
def nodes():
    frontier, found = Frontier(), {}
    for leaf in LEAVES:
        found.update(frontier.append(leaf_hash(leaf)))
    return found


def test_roots_of_the_published_leaves():
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT == ROOTS[0]
    for leaf, root in zip(LEAVES, ROOTS[1:], strict=True):
        frontier.append(leaf_hash(leaf))
        assert frontier.root() == root


def test_inner_nodes_of_the_published_tree(nodes):
    assert nodes[Node(2, 1)].hex().startswith("6b47aaf29ee3c2af9af889bc1fb9254d")
    assert nodes[Node(1, 3)].hex().startswith("ca854ea128ed050b41b35ffc1b87b8eb")


def test_inclusion_in_the_published_trees(nodes):
    for size in range(1, 9):
        for index in range(size):
            proof = folded(inclusion_nodes(index, size), nodes.__getitem__)
            verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, ROOTS[size])


def test_consistency_of_the_published_trees(nodes):
    for new in range(9):
        for old in range(new + 1):
            proof = folded(consistency_nodes(old, new), nodes.__getitem__)
            verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)
            if old not in (0, new):
                with pytest.raises(BadProof):
                    verify_consistency(old, ROOTS[old - 1], new, ROOTS[new], proof)


# RFC 6962 section 2.1.3: the tree of seven leaves d0..d6 and its proofs in words.


def test_inclusion_proofs_of_the_rfcs_seven_leaves(nodes):
    a, b, d, f = (nodes[Node(0, n)] for n in (0, 1, 3, 5))
    c, j = nodes[Node(0, 2)], nodes[Node(0, 6)]
    g, h, i = nodes[Node(1, 0)], nodes[Node(1, 1)], nodes[Node(1, 2)]
    k = nodes[Node(2, 0)]
    tree_l = folded([[Node(1, 2), Node(0, 6)]], nodes.__getitem__)[0]
    expected = {0: (b, h, tree_l), 3: (c, g, tree_l), 4: (f, j, k), 6: (i, k)}
    for index, proof in expected.items():
        assert folded(inclusion_nodes(index, 7), nodes.__getitem__) == proof
    assert folded(consistency_nodes(3, 7), nodes.__getitem__) == (c, d, g, tree_l)
    assert folded(consistency_nodes(4, 7), nodes.__getitem__) == (tree_l,)
    assert folded(consistency_nodes(6, 7), nodes.__getitem__) == (i, j, k)
    assert a == leaf_hash(LEAVES[0])


# C2SP signed-note v1.0.0, "Verifier keys", Example.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)

# C2SP tlog-checkpoint: a note of a key that the specification does not give.
CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


def test_signed_note_of_the_specification_verifies_under_its_verifier_key():
    key = VerifierKey.parse(VKEY, locator="specification")
    assert (str(key), key.key_id.hex()) == (VKEY, "530d903a")
    verifier = Ed25519Verifier(key.name, key.public_key)
    note = open_note(NOTE.encode(), [verifier], locator="specification")
    assert note.text == "This is an example message.\n"
    assert (note.to_bytes().decode(), verifier.vkey) == (NOTE, VKEY)


def test_checkpoint_of_the_specification_parses():
    note = SignedNote.parse(CHECKPOINT.encode(), locator="specification")
    checkpoint = Checkpoint.parse(note.text, locator="specification")
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert base64.b64encode(checkpoint.root) in CHECKPOINT.encode()
    assert note.to_bytes().decode() == CHECKPOINT


# Our own specification, docs/formats/ledger.md, "Example".


def example(language):
    text = (Path(__file__).parents[2] / "docs/formats/ledger.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return block


def test_example_of_our_specification_verifies():
    key = VerifierKey.parse(example("vkey").strip(), locator="specification")
    leaf = example("leaf").strip().encode()
    entry = Entry.from_bytes(leaf, locator="specification")
    assert Entry.of("verdict", "flights", entry.subject, b'{"example":"verdict"}') == entry
    assert entry.hashed().hex() == example("hash").strip()
    proof = example("tlog-proof").encode()
    checkpoint = verify_proof(proof, leaf, [key.public_key], origin=key.name)
    assert checkpoint.size == 3


def test_kinds_of_our_specification_are_those_of_the_code():
    text = (Path(__file__).parents[2] / "docs/formats/ledger.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `kind` \| (.*) \|$", text, re.MULTILINE)
    assert set(re.findall(r"`([a-z-]+)`", row)) == set(map(str, Kind))
