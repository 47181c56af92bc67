"""The ledger over a store that lies: what is appended is proven, what is edited is found."""

from __future__ import annotations

import copy

import pytest
from tests.unit.ledger.conftest import fill

from sluicegate.errors import (
    BadProof,
    ConfigError,
    EvidenceMissing,
    LedgerConflict,
    LedgerCorrupt,
    Rollback,
    UntrustedKey,
)
from sluicegate.ledger.checkpoint import Checkpoint, sign_checkpoint
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.frontier import Frontier
from sluicegate.ledger.growth import MAX_ENVELOPE_BYTES
from sluicegate.ledger.keys import CallableSigner
from sluicegate.ledger.log import Ledger
from sluicegate.ledger.merkle import EMPTY_ROOT, verify_consistency
from sluicegate.ledger.proof import verify_proof

# -- append


def test_receipts_count_up_and_each_proof_verifies(ledger, signer, item):
    for number in range(20):
        entry, envelope = item(number)
        receipt = ledger.append(entry, envelope)
        assert (receipt.index, receipt.size) == (number, number + 1)
        checkpoint = verify_proof(receipt.proof, entry.to_bytes(), [signer.public_key])
        assert ledger.verify_checkpoint(receipt.checkpoint) == checkpoint


def test_batch_shares_one_checkpoint_and_equals_single_appends(ledger, store, item):
    receipts = ledger.append_many([item(number) for number in range(13)])
    assert [receipt.index for receipt in receipts] == list(range(13))
    assert {receipt.checkpoint for receipt in receipts} == {store.state.note}
    single = Frontier()
    for number in range(13):
        single.append(item(number)[0].hashed())
    assert ledger.verify_checkpoint(receipts[0].checkpoint).root == single.root()


def test_append_after_a_leaf_that_is_the_newest_no_more_writes_nothing(ledger, item):
    """Only leaves of the same kind and source count; any other may have come meanwhile."""
    (first,) = ledger.append_after(None, "seal", "flights", [item(0)])
    ledger.append(*item(1, kind="verdict"))
    ledger.append(*item(2, source="other"))
    assert ledger.append_after(first.index, "seal", "flights", [item(3)])[0].index == 3
    for overtaken in (None, first.index):
        with pytest.raises(LedgerConflict, match="another seal of flights"):
            ledger.append_after(overtaken, "seal", "flights", [item(4)])
    assert ledger.size() == 4


def test_batch_on_top_of_any_size_is_proven(ledger, signer, item):
    number = 0
    for size in (1, 2, 3, 5, 8, 13):
        items = [item(number + offset) for offset in range(size)]
        for receipt, (entry, _) in zip(ledger.append_many(items), items, strict=True):
            verify_proof(receipt.proof, entry.to_bytes(), [signer.public_key])
        number += size


def test_repeated_append_returns_the_first_index_under_the_newest_checkpoint(ledger, signer, item):
    fill(ledger, item, 6)
    entry, envelope = item(2)
    receipt = ledger.append(entry, envelope)
    assert (receipt.index, receipt.size) == (2, 6)
    verify_proof(receipt.proof, entry.to_bytes(), [signer.public_key])


def test_batch_of_known_new_and_doubled_entries_logs_the_new_ones_once(ledger, item):
    fill(ledger, item, 3)
    receipts = ledger.append_many([item(1), item(3), item(3), item(4)])
    assert [receipt.index for receipt in receipts] == [1, 3, 3, 4]
    assert ledger.size() == 5


def test_replayed_old_seal_does_not_become_the_newest(ledger, item):
    fill(ledger, item, 3)
    ledger.append(*item(0))
    assert ledger.latest("seal", "flights").index == 2


def test_one_envelope_under_two_kinds_is_two_leaves(ledger, item):
    _, envelope = item(0)
    seal, waiver = item(0)[0], Entry.of("waiver", "flights", item(0)[0].subject, envelope)
    assert [ledger.append(entry, envelope).index for entry in (seal, waiver)] == [0, 1]
    assert ledger.by_envelope(seal.envelope).index == 0


def test_entry_of_another_envelope_is_refused(ledger, item):
    with pytest.raises(ConfigError, match="another envelope"):
        ledger.append(item(0)[0], b"other")


@pytest.mark.parametrize("n_bytes", [0, MAX_ENVELOPE_BYTES + 1])
def test_envelope_of_no_or_too_many_bytes_is_refused(ledger, item, n_bytes):
    envelope = bytes(n_bytes)
    with pytest.raises(ConfigError, match="cannot be logged"):
        ledger.append(Entry.of("seal", "flights", item(0)[0].subject, envelope), envelope)


def test_empty_batch_is_refused(ledger):
    with pytest.raises(ConfigError, match="nothing to append"):
        ledger.append_many([])


def test_reader_without_private_key_cannot_append(store, verifier, item):
    with pytest.raises(ConfigError, match="only for reading"):
        Ledger(store, verifier).append(*item(0))


def test_signer_with_another_key_or_name_is_refused(store, verifier, signer, other_signer):
    renamed = CallableSigner("example.com/other", signer.public_key, signer.sign)
    for wrong in (other_signer, renamed):
        with pytest.raises(ConfigError, match="not the key"):
            Ledger(store, verifier, wrong)


def test_lost_race_is_tried_again(ledger, store, item, monkeypatch):
    losses = iter([True, True, False])
    writing = store.writing

    def contested():
        if next(losses):
            raise LedgerConflict(0, "another writer was first")
        return writing()

    monkeypatch.setattr(store, "writing", contested)
    assert ledger.append(*item(0)).index == 0


def test_race_that_is_lost_for_ever_is_reported_with_the_size(ledger, store, item, monkeypatch):
    def contested():
        raise LedgerConflict(7, "another writer was first")

    monkeypatch.setattr(store, "writing", contested)
    with pytest.raises(LedgerConflict, match=r"\[LEDGER_CONFLICT\].*size 7") as caught:
        ledger.append(*item(0))
    assert caught.value.known_size == 7


def test_nothing_is_signed_on_top_of_an_edited_tree(ledger, store, item):
    fill(ledger, item, 4)
    store.state.nodes[2] = bytes(32)
    note = store.state.note
    with pytest.raises(LedgerCorrupt, match=r"\[LEDGER_CORRUPT\].*not the one that was signed"):
        ledger.append(*item(4))
    assert store.state.note == note


def test_nothing_is_signed_on_top_of_a_foreign_checkpoint(ledger, store, other_signer, item):
    store.state.note = sign_checkpoint(Checkpoint(other_signer.name, 0, EMPTY_ROOT), other_signer)
    with pytest.raises(UntrustedKey):
        ledger.append(*item(0))


# -- read


def test_found_leaves_come_newest_first_or_in_order(ledger, item):
    ledger.append_many([item(n, "seal" if n % 2 else "verdict", f"s{n % 3}") for n in range(12)])
    assert [r.index for r in ledger.find("seal", "s1")] == [7, 1]
    assert [r.index for r in ledger.find("seal", "s1", newest_first=False)] == [1, 7]
    assert [r.index for r in ledger.find(source="s0", limit=2)] == [9, 6]
    assert [r.index for r in ledger.find(subject=item(5)[0].subject)] == [5]
    assert [r.index for r in ledger.find(limit=0)] == []
    assert [r.index for r in ledger.find("waiver")] == []


def test_finding_pages_through_many_leaves(ledger, item):
    ledger.append_many([item(number) for number in range(450)])
    for newest_first in (True, False):
        indexes = [r.index for r in ledger.find(newest_first=newest_first)]
        assert indexes == sorted(range(450), reverse=newest_first)
    assert len(list(ledger.find(limit=250))) == 250


def test_lookups_that_find_nothing_return_none(ledger, item):
    fill(ledger, item, 2)
    assert ledger.latest("verdict", "flights") is None
    assert ledger.latest("seal", "trains") is None
    assert ledger.by_envelope(item(9)[0].envelope) is None


def test_lookups_return_entry_and_envelope(ledger, item):
    fill(ledger, item, 3)
    entry, envelope = item(2)
    for record in (ledger.latest("seal", "flights"), ledger.by_envelope(entry.envelope)):
        assert (record.index, record.entry, record.envelope) == (2, entry, envelope)
    assert ledger.get(2) == ledger.get_verified(2) == record


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_leaf_that_is_not_there_is_missing_evidence(ledger, item, index):
    fill(ledger, item, 3)
    for read in (ledger.get, ledger.get_verified, ledger.proof):
        with pytest.raises(EvidenceMissing, match=r"\[EVIDENCE_MISSING\]"):
            read(index)


def test_closing_releases_the_store(ledger, store):
    with ledger as same:
        assert same is ledger
    assert store.closed


# -- consistency


def test_every_older_checkpoint_is_extended(ledger, item):
    receipts = fill(ledger, item, 17)
    head = ledger.verify_checkpoint(ledger.checkpoint())
    for receipt in receipts:
        assert ledger.require_extends(receipt.checkpoint) == head
        old = ledger.verify_checkpoint(receipt.checkpoint)
        proof = ledger.prove_consistency(old.size)
        verify_consistency(old.size, old.root, head.size, head.root, proof)


def test_empty_ledger_is_extended_by_everything(ledger, item):
    empty = ledger.checkpoint()
    fill(ledger, item, 3)
    assert ledger.require_extends(empty).size == 3


def test_consistency_from_a_larger_size_is_refused(ledger, item):
    fill(ledger, item, 2)
    with pytest.raises(BadProof):
        ledger.prove_consistency(3)


def test_older_copy_is_a_rollback(ledger, store, item):
    fill(ledger, item, 3)
    yesterday = copy.deepcopy(store.state)
    remembered = fill(ledger, item, 5)[-1].checkpoint
    store.state = yesterday
    for check in (ledger.require_extends, ledger.audit):
        with pytest.raises(Rollback, match=r"\[ROLLBACK\].*at least 5 leaves, got 3.*Recovery"):
            check(remembered)
    ledger.audit()  # without a remembered checkpoint yesterday's copy looks well


@pytest.mark.parametrize("extra", [0, 1, 4])
def test_rewritten_history_signed_by_the_real_key_is_a_fork(ledger, store, item, extra):
    """Whoever holds the ledger's key is caught by anybody who kept a checkpoint."""
    empty = copy.deepcopy(store.state)
    remembered = fill(ledger, item, 5)[-1].checkpoint
    store.state = empty
    for number in (0, 1, 7, *range(3, 5 + extra)):
        ledger.append(*item(number))
    for check in (ledger.require_extends, ledger.audit):
        with pytest.raises(BadProof, match=r"\[BAD_PROOF\]"):
            check(remembered)
    ledger.audit()


def test_remembered_checkpoint_of_another_key_is_refused(ledger, item, other_signer):
    fill(ledger, item, 2)
    foreign = sign_checkpoint(Checkpoint(other_signer.name, 0, EMPTY_ROOT), other_signer)
    for check in (ledger.require_extends, ledger.audit):
        with pytest.raises(UntrustedKey):
            check(foreign)


# -- following the log from a remembered checkpoint


def followed(ledger, remembered, **options):
    seen = {}
    ledger.follow(remembered, seen.__setitem__, **options)
    return seen


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 21])
@pytest.mark.parametrize("more", [0, 1, 2, 5, 8])
def test_leaves_since_a_checkpoint_are_those_that_were_appended_since(ledger, item, size, more):
    fill(ledger, item, size)
    remembered = ledger.checkpoint()
    for number in range(size, size + more):
        ledger.append(*item(number))
    expected = {number: item(number)[0] for number in range(size + more)}
    assert followed(ledger, remembered, whole=True) == expected
    new = {number: expected[number] for number in range(size, size + more)}
    assert followed(ledger, remembered) == new


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("index", range(8, 13))
def test_leaf_that_is_gone_or_edited_is_not_followed_unseen(ledger, store, item, index, whole):
    fill(ledger, item, 8)
    remembered = ledger.checkpoint()
    for number in range(8, 13):
        ledger.append(*item(number))
    kept = store.state.leaves.pop(index)
    with pytest.raises(LedgerCorrupt, match="missing"):
        followed(ledger, remembered, whole=whole)
    store.state.leaves[index] = item(99)[0]
    with pytest.raises(LedgerCorrupt, match="not those that were signed"):
        followed(ledger, remembered, whole=whole)
    store.state.leaves[index] = kept
    assert index in followed(ledger, remembered, whole=whole)


@pytest.mark.parametrize("whole", [False, True])
def test_ledger_that_went_back_or_forked_is_not_followed(ledger, store, item, whole):
    fill(ledger, item, 5)
    yesterday = copy.deepcopy(store.state)
    fill(ledger, item, 9)
    remembered = ledger.checkpoint()
    store.state = yesterday
    with pytest.raises(Rollback):
        followed(ledger, remembered, whole=whole)
    for number in range(20, 30):
        ledger.append(*item(number))
    with pytest.raises(BadProof, match="forked"):
        followed(ledger, remembered, whole=whole)


def test_peak_before_the_remembered_size_that_was_edited_is_found(ledger, store, item):
    fill(ledger, item, 12)
    remembered = ledger.checkpoint()
    fill(ledger, item, 13)
    store.state.nodes = dict.fromkeys(store.state.nodes, bytes(32))
    with pytest.raises(LedgerCorrupt):
        followed(ledger, remembered)
