"""Checkpoints: one spelling, and only of the log they are opened for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import BadProof, BadSignature, ConfigError, MalformedEnvelope, UntrustedKey
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint, parse_decimal, sign_checkpoint
from sluicegate.ledger.keys import CallableSigner, Ed25519Verifier
from sluicegate.ledger.merkle import EMPTY_ROOT, MAX_SIZE
from sluicegate.ledger.note import sign_text

lines = st.text(min_size=1, max_size=30).filter(lambda text: "\n" not in text)
checkpoints = st.builds(
    Checkpoint,
    origin=lines,
    size=st.integers(1, MAX_SIZE),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(lines, max_size=3).map(tuple),
)
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@given(checkpoints)
def test_checkpoint_parses_back(checkpoint):
    assert Checkpoint.parse(checkpoint.to_text(), locator="test") == checkpoint


@given(st.text(max_size=120))
def test_random_text_is_a_checkpoint_in_its_one_spelling_or_malformed(text):
    with suppress(MalformedEnvelope):
        assert Checkpoint.parse(text, locator="test").to_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n",
        "origin\n1\n",
        f"origin\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"origin\n01\n{ROOT}\n",
        f"origin\n-1\n{ROOT}\n",
        f"origin\n+1\n{ROOT}\n",
        f"origin\n1.0\n{ROOT}\n",
        f"origin\n\u0661\n{ROOT}\n",
        f"origin\n{MAX_SIZE + 1}\n{ROOT}\n",
        f"origin\n{10**30}\n{ROOT}\n",
        f"origin\n1\n{ROOT[:-1]}\n",
        f"origin\n1\n{ROOT[4:]}\n",
        f"origin\n1\n{ROOT}\n\n",
        f"origin\n1\n{ROOT}\n\nextension\n",
    ],
)
def test_what_is_not_a_checkpoint_is_malformed(text):
    with pytest.raises(MalformedEnvelope, match=r"\[MALFORMED\] test"):
        Checkpoint.parse(text, locator="test")


def test_checkpoint_of_no_leaves_with_a_root_is_untrue_rather_than_malformed():
    """A witness answers the two with different codes (tlog-witness)."""
    with pytest.raises(BadProof, match="no leaves"):
        Checkpoint.parse(f"origin\n0\n{ROOT}\n", locator="test")


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 1, bytes(32), ()),
        ("a\nb", 1, bytes(32), ()),
        ("a", -1, bytes(32), ()),
        ("a", MAX_SIZE + 1, bytes(32), ()),
        ("a", 1, bytes(31), ()),
        ("a", 0, bytes(32), ()),
        ("a", 1, bytes(32), ("",)),
    ],
)
def test_checkpoint_that_has_no_spelling_is_refused(origin, size, root, extensions):
    with pytest.raises(ConfigError):
        Checkpoint(origin, size, root, extensions)


def test_signed_checkpoint_opens(signer, verifier):
    checkpoint = Checkpoint(signer.name, 0, EMPTY_ROOT)
    note = sign_checkpoint(checkpoint, signer)
    assert open_checkpoint(note, [verifier], locator="test") == checkpoint


def test_checkpoint_is_not_signed_in_another_logs_name(signer):
    with pytest.raises(ConfigError, match="another ledger"):
        sign_checkpoint(Checkpoint("example.com/other", 0, EMPTY_ROOT), signer)


def test_checkpoint_of_a_larger_size_has_a_bad_signature(signer, verifier):
    note = sign_checkpoint(Checkpoint(signer.name, 7, bytes(32)), signer)
    with pytest.raises(BadSignature):
        open_checkpoint(note.replace(b"\n7\n", b"\n8\n"), [verifier], locator="test")


def test_checkpoint_for_another_origin_by_our_key_is_untrusted(signer, verifier):
    """One key may sign for two logs: the text, not the key's name, says for which."""
    text = Checkpoint("example.com/other", 0, EMPTY_ROOT).to_text()
    with pytest.raises(UntrustedKey, match="another ledger"):
        open_checkpoint(sign_text(text, [signer]).to_bytes(), [verifier], locator="test")


def test_checkpoint_of_our_key_under_another_name_is_untrusted(signer):
    renamed = CallableSigner("example.com/other", signer.public_key, signer.sign)
    note = sign_checkpoint(Checkpoint(renamed.name, 0, EMPTY_ROOT), renamed)
    ours = Ed25519Verifier(signer.name, signer.public_key)
    with pytest.raises(UntrustedKey):
        open_checkpoint(note, [ours], locator="test")


def test_signed_text_that_is_no_checkpoint_is_malformed(signer, verifier):
    note = sign_text("hello\n", [signer]).to_bytes()
    with pytest.raises(MalformedEnvelope):
        open_checkpoint(note, [verifier], locator="test")


@given(st.integers(0, MAX_SIZE))
def test_decimal_parses_back(number):
    assert parse_decimal(str(number), "test") == number
