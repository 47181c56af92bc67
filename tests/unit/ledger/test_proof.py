"""Proof files: one spelling, and each of the four verification steps can fail."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import (
    BadProof,
    BadSignature,
    ConfigError,
    MalformedEnvelope,
    UntrustedKey,
)
from sluicegate.ledger.merkle import MAX_SIZE
from sluicegate.ledger.proof import HEADER, MAX_PROOF_BYTES, TlogProof, verify_proof

proofs = st.builds(
    TlogProof,
    index=st.integers(0, MAX_SIZE - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
    checkpoint=st.binary(max_size=60),
    extra=st.none() | st.binary(min_size=1, max_size=20),
)


@given(proofs)
def test_proof_parses_back(proof):
    assert TlogProof.parse(proof.to_bytes(), locator="test") == proof


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_a_proof_in_its_one_spelling_or_malformed(data, headed):
    data = HEADER.encode() + b"\n" + data if headed else data
    with suppress(MalformedEnvelope):
        assert TlogProof.parse(data, locator="test").to_bytes() == data


HASH = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{HEADER}\nindex 0\n",
        f"{HEADER[:-1]}2\nindex 0\n\nx",
        f"{HEADER}\n\nx",
        f"{HEADER}\nindex 01\n\nx",
        f"{HEADER}\nindex -1\n\nx",
        f"{HEADER}\nindex\n\nx",
        f"{HEADER}\nindex {MAX_SIZE}\n\nx",
        f"{HEADER}\nindex 0\nextra AAAA\n\nx",
        f"{HEADER}\nextra \nindex 0\n\nx",
        f"{HEADER}\nextra AAA\nindex 0\n\nx",
        f"{HEADER}\nextra AAAA\nextra AAAA\nindex 0\n\nx",
        f"{HEADER}\nindex 0\n{HASH[:-1]}\n\nx",
        f"{HEADER}\nindex 0\nAAAA\n\nx",
        f"{HEADER}\r\nindex 0\n\nx",
        f"{HEADER}\nindex 0\n\u00e9\n\nx",
        f"{HEADER}\nindex 0\n" + f"{HASH}\n" * 64 + "\nx",
        "x" * (MAX_PROOF_BYTES + 1),
    ],
)
def test_what_is_not_a_proof_is_malformed(text):
    with pytest.raises(MalformedEnvelope, match=r"\[MALFORMED\] test"):
        TlogProof.parse(text.encode(), locator="test")


@pytest.mark.parametrize(
    "fields",
    [
        {"index": -1},
        {"index": MAX_SIZE},
        {"hashes": (bytes(31),)},
        {"hashes": (bytes(32),) * 64},
        {"extra": b""},
    ],
)
def test_proof_that_has_no_spelling_is_refused(fields):
    with pytest.raises(ConfigError):
        TlogProof(**{"index": 0, "hashes": (), "checkpoint": b"", **fields})


@pytest.fixture
def logged(ledger, item):
    receipts = ledger.append_many([item(number) for number in range(7)])
    return item(3)[0].to_bytes(), receipts[3].proof


def test_proof_of_a_logged_leaf_verifies_to_its_checkpoint(logged, signer):
    leaf, data = logged
    checkpoint = verify_proof(data, leaf, [signer.public_key])
    assert (checkpoint.origin, checkpoint.size) == (signer.name, 7)


def test_proof_of_another_leaf_is_refused(logged, signer, item):
    with pytest.raises(BadProof, match=r"\[BAD_PROOF\]"):
        verify_proof(logged[1], item(4)[0].to_bytes(), [signer.public_key])


def test_proof_at_another_index_is_refused(logged, signer):
    leaf, data = logged
    with pytest.raises(BadProof):
        verify_proof(data.replace(b"index 3", b"index 2"), leaf, [signer.public_key])


def test_proof_under_another_key_is_untrusted(logged, other_signer):
    leaf, data = logged
    with pytest.raises(UntrustedKey):
        verify_proof(data, leaf, [other_signer.public_key])


def test_proof_for_another_origin_is_untrusted(logged, signer):
    leaf, data = logged
    with pytest.raises(UntrustedKey):
        verify_proof(data, leaf, [signer.public_key], origin="example.com/other")


def test_proof_without_any_key_is_untrusted(logged):
    leaf, data = logged
    with pytest.raises(UntrustedKey):
        verify_proof(data, leaf, [])


def test_one_of_several_keys_is_enough(logged, signer, other_signer):
    leaf, data = logged
    keys = [other_signer.public_key, signer.public_key]
    assert verify_proof(data, leaf, keys, origin=signer.name).size == 7


def test_proof_with_an_edited_checkpoint_has_a_bad_signature(logged, signer):
    leaf, data = logged
    with pytest.raises(BadSignature):
        verify_proof(data.replace(b"\n7\n", b"\n8\n"), leaf, [signer.public_key])


def test_proof_whose_origin_cannot_name_a_key_is_malformed(logged, signer):
    leaf, data = logged
    spaced = data.replace(b"\n\n" + signer.name.encode(), b"\n\n" + b"a b")
    with pytest.raises(MalformedEnvelope):
        verify_proof(spaced, leaf, [signer.public_key])


def test_every_changed_byte_of_a_proof_is_refused(logged, signer):
    leaf, data = logged
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises((BadProof, BadSignature, MalformedEnvelope, UntrustedKey)):
            verify_proof(bytes(changed), leaf, [signer.public_key])
