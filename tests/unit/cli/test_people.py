"""Each act of a response, tried with the key of every role, as people at terminals hold them.

A key of another role does nothing: the command refuses, the ledger stays as it was, and what the
right person then does is clean to the audit.
"""

from __future__ import annotations

import pytest
from tests.support.waiver_site import name_approvers
from tests.unit.workflow.conftest import AT, RUN, built_site, site  # noqa: F401 - fixtures

from sluicegate.cli.main import main
from sluicegate.workflow.response.quarantine import quarantine_batch

ROLES = ("source", "gate", "baseline", "waiver_alice")


@pytest.fixture
def place(site, capsys):  # noqa: F811 - the fixture imported above
    """An installation in which a batch passed and a poisoned one after it failed."""
    site.once(_judge)
    return site


def _judge(site):  # noqa: F811 - a value, not the fixture
    name_approvers(site, "alice", "bob")
    site.seal(site.clean)
    site.gate()


def poisoned(place):
    place.seal(place.poisoned)
    place.gate()


def aside(place):
    batch = place.evidence().latest_seal("src", at=AT)
    quarantine_batch(
        place.home,
        place.evidence(),
        batch,
        reason="odd",
        signer=place.signer("gate"),
        run=RUN,
        at=AT,
    )


def key(place, role):
    return str(place.home.key(role))


ACTS = {
    "quarantine": (
        "gate",
        None,
        lambda place, who: ["quarantine", "src", "--reason", "odd", "--key", f"gate={who}"],
    ),
    "release": ("gate", aside, lambda place, who: ["release", "src", "--key", f"gate={who}"]),
    "rollback": (
        "source",
        poisoned,
        lambda place, who: ["rollback", "src", "--key", f"source={who}"],
    ),
    "promote": (
        "baseline",
        None,
        lambda place, who: ["baseline", "promote", "src", "--last", "1", "--key", who],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
def test_only_the_key_of_its_role_acts_and_the_audit_finds_nothing(place, act, capsys):
    right, before, command = ACTS[act]
    if before is not None:
        before(place)
    home = ["--home", str(place.home.root)]
    size = place.evidence().ledger.size()
    for role in ROLES:
        if role != right:
            assert main([*command(place, key(place, role)), *home]) == 1, role
            assert "UNTRUSTED_KEY" in capsys.readouterr().err
            assert place.evidence().ledger.size() == size, role
    assert main([*command(place, key(place, right)), *home]) == 0
    assert place.evidence().ledger.size() > size
    assert main(["audit", *home]) == 0, capsys.readouterr().out


def test_waiver_takes_two_people_with_keys_of_their_own(place, tmp_path, capsys):
    poisoned(place)
    home = ["--home", str(place.home.root)]
    size = place.evidence().ledger.size()
    out = tmp_path / "waiver.json"
    ask = ["waive", "src", "--signal", "LABEL_FLIPS"]
    ask += ["--reason", "relabelled", "--out", str(out), "--by", "alice", *home]
    for role in ("source", "gate", "baseline"):
        assert main([*ask, "--key", key(place, role)]) == 1, role
    assert main([*ask, "--key", key(place, "waiver_alice")]) == 0
    confirm = ["waive", "--confirm", str(out), *home]
    for role, name in (("gate", "bob"), ("waiver_alice", "bob"), ("waiver_bob", "alice")):
        assert main([*confirm, "--key", key(place, role), "--by", name]) != 0, (role, name)
    assert place.evidence().ledger.size() == size
    assert main([*confirm, "--key", key(place, "waiver_bob"), "--by", "bob"]) == 0
    assert place.evidence().ledger.size() == size + 1
    assert main(["audit", *home]) == 0, capsys.readouterr().out
