"""What docs/ledger-operations.md says about a restored backup, acted out with its own commands."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

import pytest
from tests.unit.workflow.conftest import AT, rows, write

from sluicegate.adapters.ledgers.remembered import read_memory
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import SVR
from sluicegate.attest.seal_form import read_seal
from sluicegate.errors import Outcome
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.evidence.recall import MemoryRule

BAD = Outcome.CHECKED_AND_BAD.value
DOCS = Path(__file__).resolve().parents[3] / "docs" / "ledger-operations.md"
KINDS = {"https://model_signing/signature/v1.0": "seal", SVR: "verdict"}
"""As the page says: those whose predicate type does not name them."""


def documented(section):
    """The commands of one section, as they stand there."""
    text = DOCS.read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def exported(folder):
    """Envelopes of an evidence folder in the order of their proofs: index, bytes and kind."""
    seal = next(folder.glob("seal.*")).read_bytes()
    lines = (folder / "evidence.intoto.jsonl").read_bytes().splitlines()
    by_digest = {hashlib.sha256(item).hexdigest(): item for item in (seal, *lines)}
    found = []
    for proof in (folder / "proofs").glob("*.tlog-proof"):
        index = int(proof.read_text().splitlines()[1].removeprefix("index "))
        found.append((index, by_digest[proof.stem], kind_of(by_digest[proof.stem], seal)))
    return sorted(found)


def kind_of(envelope, seal):
    signed = read_seal(seal, locator="x") if envelope == seal else Envelope.from_bytes(envelope)
    predicate = json.loads(signed.payload)["predicateType"]
    return KINDS.get(predicate) or predicate.split("/")[-2]


@pytest.fixture
def lost(stage):
    """A backup of yesterday was restored; what was sealed and judged since is in a folder."""
    stage.yesterday = stage.store.save()
    stage.gated(write(rows(9), stage.root / "newer"))
    stage.batch = admit_training(stage.home, ["src"], at=AT)["src"].batch
    stage.folder = stage.root / "evidence"
    assert stage.run("ledger", "export", "--source", "src", "--out", stage.folder) == 0
    stage.remembered = read_memory(stage.home.memory)
    stage.store.restore(stage.yesterday)
    return stage


def size(stage):
    return open_evidence(stage.home, at=AT, memory=MemoryRule.UNASKED).ledger.size()


def append_by(command, stage, envelope, kind):
    """Run the documented command on one envelope."""
    file = stage.root / "verdict.json"
    file.write_bytes(envelope)
    known = {"verdict.json": file, "verdict": kind, "flights": "src"}
    known["dirHash1:..."] = stage.batch.digest
    return stage.run(*(known.get(word, word) for word in command))


def test_missing_envelopes_are_appended_again_until_the_tree_is_what_it_was(lost, capsys):
    append, verify = documented("After a backup was restored")
    assert (append[:2], verify) == (["ledger", "append"], ["ledger", "verify"])
    start = size(lost)
    missing = [item for item in exported(lost.folder) if item[0] >= start]
    assert [index for index, _, _ in missing] == list(range(start, start + len(missing)))
    for left, (_, envelope, kind) in reversed(list(enumerate(reversed(missing)))):
        lost.require_refused("ROLLBACK")
        assert lost.run(*verify) == BAD
        capsys.readouterr()
        assert append_by(append, lost, envelope, kind) == 0
        said = capsys.readouterr().out
        assert (f"{left} leaves that are remembered are still missing" in said) == bool(left)
    assert lost.run(*verify) == 0
    ledger = open_evidence(lost.home, at=AT).ledger
    assert ledger.checkpoint() == lost.remembered.checkpoint
    assert admit_training(lost.home, ["src"], at=AT)["src"].batch.digest == lost.batch.digest


def test_other_envelope_in_place_of_a_lost_one_is_a_fork(lost, capsys):
    append, verify = documented("After a backup was restored")
    start = size(lost)
    missing = [item for item in exported(lost.folder) if item[0] >= start]
    codes = [append_by(append, lost, envelope, kind) for _, envelope, kind in missing[1:]]
    assert set(codes) == {0}
    assert append_by(append, lost, b'{"payload":"","payloadType":"x","signatures":[]}', "seal") != 0
    foreign = missing[0][1].replace(b'"', b' "', 1)
    assert append_by(append, lost, foreign, "seal") == BAD
    assert "BAD_PROOF" in capsys.readouterr().err
    assert lost.run(*verify) == BAD
    lost.require_refused("BAD_PROOF")


def test_backup_is_gone_on_with_only_on_purpose(lost, capsys):
    assert lost.run("ledger", "remember") == BAD
    lost.require_refused("ROLLBACK")
    capsys.readouterr()
    assert lost.run("ledger", "remember", "--forget", "the envelopes are lost") == 0
    said = capsys.readouterr().out
    n_lost = open_evidence(lost.home, at=AT).ledger.verify_checkpoint(lost.remembered.checkpoint)
    assert f"given up: what was remembered of {n_lost.size} leaves" in said
    assert list(lost.home.memory.parent.glob("memory.json.forgotten-*"))
    assert admit_training(lost.home, ["src"], at=AT)


def test_lost_memory_is_begun_again_by_the_documented_command(stage):
    (command,) = documented("What an installation remembers")
    stage.home.memory.unlink()
    stage.require_refused("EVIDENCE_MISSING")
    assert stage.run(*command) == 0
    assert admit_training(stage.home, ["src"], at=AT)
