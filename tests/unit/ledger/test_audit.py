"""Whatever is edited in a store, the audit finds it and no verified read returns it."""

from __future__ import annotations

import pytest
from tests.unit.ledger.conftest import fill

from sluicegate.errors import (
    BadProof,
    BadSignature,
    ConfigError,
    EvidenceMissing,
    LedgerCorrupt,
    UntrustedKey,
    VerificationError,
)
from sluicegate.ledger.entry import Entry
from sluicegate.ledger.keys import Ed25519Verifier
from sluicegate.ledger.log import Ledger


def _swap(mapping, left, right):
    mapping[left], mapping[right] = mapping[right], mapping[left]


def _edit_kind(state):
    entry = state.leaves[2]
    state.leaves[2] = Entry("waiver", entry.source, entry.subject, entry.envelope)


EDITS = {
    "leaf exchanged": lambda state: state.leaves.__setitem__(2, state.leaves[3]),
    "leaf routed elsewhere": _edit_kind,
    "leaf deleted": lambda state: state.leaves.pop(2),
    "first leaf deleted": lambda state: state.leaves.pop(0),
    "last leaf deleted": lambda state: state.leaves.pop(6),
    "leaves reordered": lambda state: _swap(state.leaves, 2, 3),
    "leaves and envelopes reordered": lambda state: (
        _swap(state.leaves, 2, 3),
        _swap(state.bodies, 2, 3),
    ),
    "leaf added": lambda state: (
        state.leaves.__setitem__(7, state.leaves[0]),
        state.bodies.__setitem__(7, state.bodies[0]),
    ),
    "envelope edited": lambda state: state.bodies.__setitem__(2, b"forged"),
    "envelope deleted": lambda state: state.bodies.pop(2),
    "envelope added": lambda state: state.bodies.__setitem__(7, b"more"),
    "node edited": lambda state: state.nodes.__setitem__(1, bytes(32)),
    "node deleted": lambda state: state.nodes.pop(0),
    "last node deleted": lambda state: state.nodes.pop(3),
    "node added": lambda state: state.nodes.__setitem__(4, bytes(32)),
    "nodes reordered": lambda state: _swap(state.nodes, 0, 1),
    "checkpoint edited": lambda state: setattr(
        state, "note", state.note.replace(b"\n7\n", b"\n6\n")
    ),
    "checkpoint replaced by text": lambda state: setattr(state, "note", b"hello"),
    "truncated with its nodes": lambda state: (
        state.leaves.pop(6),
        state.bodies.pop(6),
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_every_edit_of_the_store_is_found_by_the_audit(ledger, store, item, edit):
    fill(ledger, item, 7)
    ledger.audit()
    edit(store.state)
    with pytest.raises((VerificationError, LedgerCorrupt)):
        ledger.audit()
    assert ledger.examine().findings


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_no_edit_of_the_store_makes_a_verified_read_return_anything_else(ledger, store, item, edit):
    fill(ledger, item, 7)
    edit(store.state)
    for index in range(8):
        try:
            record = ledger.get_verified(index)
        except (VerificationError, LedgerCorrupt, EvidenceMissing):
            continue
        assert (record.entry, record.envelope) == item(index)


def test_audit_reports_all_findings_and_raises_the_gravest(ledger, store, item):
    remembered = fill(ledger, item, 7)[-1].checkpoint
    store.state.bodies[1] = b"forged"
    store.state.bodies[3] = b"forged"
    store.state.leaves[5] = store.state.leaves[4]
    report = ledger.examine(remembered)
    assert [type(finding) for finding in report.findings].count(LedgerCorrupt) >= 3
    with pytest.raises(BadProof):
        report.require_clean()


def test_audit_of_an_old_checkpoint_in_a_longer_ledger_is_a_finding(ledger, store, item):
    """An attacker with an old signed checkpoint cannot pass it off as the head."""
    old = fill(ledger, item, 3)[-1].checkpoint
    fill(ledger, item, 7)
    store.state.note = old
    with pytest.raises(LedgerCorrupt, match="another number of leaves"):
        ledger.audit()


def test_clean_report_names_the_root(ledger, item):
    receipt = fill(ledger, item, 7)[-1]
    report = ledger.audit(receipt.checkpoint)
    assert (report.size, report.n_checked, report.findings) == (7, 7, ())
    assert report.root_hex == ledger.verify_checkpoint(receipt.checkpoint).root.hex()


def test_audit_of_what_is_new_reads_only_that(ledger, store, item):
    remembered = fill(ledger, item, 5)[-1].checkpoint
    fill(ledger, item, 9)
    assert ledger.audit(remembered, only_new=True).n_checked == 4
    store.state.bodies[7] = b"forged"
    with pytest.raises(LedgerCorrupt):
        ledger.audit(remembered, only_new=True)


def test_audit_of_what_is_new_finds_a_fork_below_it(ledger, store, item):
    remembered = fill(ledger, item, 5)[-1].checkpoint
    store.state.nodes[2] = bytes(32)
    with pytest.raises(BadProof, match="forked"):
        ledger.audit(remembered, only_new=True)


def test_audit_of_what_is_new_finds_a_missing_peak(ledger, store, item):
    remembered = fill(ledger, item, 5)[-1].checkpoint
    store.state.nodes.pop(2)
    with pytest.raises(LedgerCorrupt, match="missing"):
        ledger.audit(remembered, only_new=True)


def test_audit_of_what_is_new_needs_a_checkpoint(ledger):
    with pytest.raises(ConfigError, match="checkpoint to start from"):
        ledger.audit(only_new=True)


def test_bad_signature_of_the_head_is_a_finding_not_a_crash(ledger, store, item):
    fill(ledger, item, 3)
    store.state.note = store.state.note.replace(b"\n3\n", b"\n2\n")
    report = ledger.examine()
    assert (report.size, report.root_hex) == (0, "")
    assert isinstance(report.findings[0], BadSignature)


def test_ledger_of_another_key_is_untrusted(store, other_signer, ledger, item):
    fill(ledger, item, 2)
    other = Ledger(store, Ed25519Verifier(other_signer.name, other_signer.public_key))
    for read in (other.checkpoint, other.size, lambda: other.get_verified(0), other.audit):
        with pytest.raises(UntrustedKey):
            read()
