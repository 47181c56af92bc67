"""The life of a trust policy on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.unit.attest.test_certificates import chain, issue
from tests.unit.attest.test_certificates import key as ec_key

from sluicegate.cli import main as cli

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"source": "ecdsa-p256", "next": "ecdsa-p256", "root": "ed25519", "root2": "ed25519"}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, algorithm in KEYS.items():
        assert cli.main(["keygen", "--out", name, "--alg", algorithm]) == 0
    return tmp_path


def trust(action: str, *options: str) -> int:
    return cli.main(["trust", action, *options])


def key_id(name: str) -> str:
    from pathlib import Path

    from sluicegate.attest.keys import load_public_key

    return load_public_key(Path(name, "key.pub.pem").read_bytes(), locator=name).key_id


def begin(*more: str) -> int:
    return trust("init", "--key", "source=source/key.pub.pem", *more, "--out", "trust.json")


def show(capsys, name: str = "trust.json") -> dict:
    capsys.readouterr()
    trust("show", "--trust", name, "--json")
    return json.loads(capsys.readouterr().out)


def test_unsigned_policy_says_that_only_its_place_vouches_for_it(work, capsys):
    assert begin() == 0
    assert show(capsys)["signed"].startswith("no: pinned")


def test_policy_is_signed_rotated_and_accepted_where_it_was_pinned(work, capsys):
    root = ("--root-key", "root/key.pem")
    assert begin(*root) == 0
    assert show(capsys)["signed"] == "yes"
    change = ("--key", "source=next/key.pub.pem", "--remove", key_id("source")[:12])
    assert trust("rotate", "--trust", "trust.json", *change, *root, "--out", "next.json") == 0
    assert trust("accept", "--trust", "trust.json", "--next", "next.json") == 0
    found = show(capsys)
    assert found["version"] == 2
    assert [key["key_id"] for key in found["roles"]["source"]["keys"]] == [key_id("next")]
    # The pinned file is version 2 now, so the same step cannot be taken again.
    assert trust("accept", "--trust", "trust.json", "--next", "next.json") == 1


def test_new_root_key_needs_the_signature_of_the_old_one(work, capsys):
    assert begin("--root-key", "root/key.pem") == 0
    change = ("--key", "root=root2/key.pub.pem", "--remove", key_id("root")[:12])
    rotate = ("rotate", "--trust", "trust.json", *change, "--out", "next.json")
    assert trust(*rotate, "--root-key", "root2/key.pem") == 0
    assert "not yet" in capsys.readouterr().out
    assert trust("accept", "--trust", "trust.json", "--next", "next.json") == 1
    add = ("--root-key", "root/key.pem", "--out", "next.json")
    assert trust("sign", "--trust", "next.json", *add) == 0
    assert trust("accept", "--trust", "trust.json", "--next", "next.json") == 0


def test_revoked_key_verifies_nothing_any_more(work, capsys):
    assert begin("--root-key", "root/key.pem") == 0
    (work / "data").write_text("one", encoding="utf-8")
    seal = ["seal", "data", "--name", "src", "--key", "source/key.pem", "--out", "evidence"]
    verify = ["verify", "evidence", "data", "--trust", "trust.json"]
    assert cli.main(seal) == 0
    assert cli.main(verify) == 0
    revoke = ("--trust", "trust.json", "--key-id", key_id("source")[:12], "--out", "trust.json")
    assert trust("revoke", *revoke, "--root-key", "root/key.pem") == 0
    capsys.readouterr()
    assert cli.main(verify) == 1
    assert "UNTRUSTED_KEY" in capsys.readouterr().out


def test_threshold_of_root_keys_is_met_by_two_people_after_each_other(work, capsys):
    keys = ("--key", "root=root/key.pub.pem", "--key", "root=root2/key.pub.pem")
    assert begin(*keys, "--threshold", "root=2", "--root-key", "root/key.pem") == 0
    assert show(capsys)["signed"].startswith("not valid")
    add = ("--root-key", "root2/key.pem", "--out", "trust.json")
    assert trust("sign", "--trust", "trust.json", *add) == 0
    assert show(capsys)["signed"] == "yes"


@pytest.mark.parametrize(
    "options",
    [
        ("--key", "gate=next/key.pub.pem", "--key", "waiver=next/key.pub.pem"),
        ("--threshold", "source=2"),
        ("--threshold", "source=-1"),
        ("--require", "source=rsa"),
        ("--require", "gate=ml-dsa-65"),
        ("--key", "admin=next/key.pub.pem"),
        ("--days", "0"),
    ],
)
def test_policy_that_makes_no_sense_is_never_written(work, options):
    assert begin(*options) == 64
    assert not (work / "trust.json").exists()


def test_signed_policy_is_not_begun_again_in_its_place(work):
    assert begin("--root-key", "root/key.pem") == 0
    assert begin() == 64


def test_role_is_never_left_without_a_key(work):
    assert begin() == 0
    gone = ("--remove", key_id("source")[:12], "--out", "next.json")
    assert trust("rotate", "--trust", "trust.json", *gone) == 64


def test_edited_signed_policy_stops_every_command(work, capsys):
    assert begin("--root-key", "root/key.pem") == 0
    value = json.loads((work / "trust.json").read_text())
    value["signatures"][0]["sig"] = "AAAA"
    (work / "trust.json").write_text(json.dumps(value))
    (work / "evidence").mkdir()
    assert cli.main(["verify", "evidence", "--trust", "trust.json"]) == 1
    assert "BAD_SIGNATURE" in capsys.readouterr().err
    revoke = ("--trust", "trust.json", "--key-id", key_id("source"), "--out", "next.json")
    assert trust("revoke", *revoke) == 1


def test_authorities_are_shown_and_survive_a_rotation(work, capsys):
    certificates = {"ca": 31, "tsa": 32}
    for name, number in certificates.items():
        own = ec_key(number)
        (work / f"{name}.pem").write_bytes(chain(issue(name, own, name, own, ca=True)))
    assert begin("--authority", "source=ca.pem", "--timestamp-authority", "tsa.pem") == 0
    more = ["--key", "source=next/key.pub.pem", "--out", "next.json"]
    assert trust("rotate", "--trust", "trust.json", *more) == 0
    for name in ("trust.json", "next.json"):
        shown = show(capsys, name)
        (vouches,) = shown["roles"]["source"]["authorities"]
        assert vouches["subject"] == "CN=ca"
        assert [item["subject"] for item in shown["timestamp_authorities"]] == ["CN=tsa"]
    assert trust("show", "--trust", "next.json") == 0
    text = capsys.readouterr().out
    assert "authority for keys of source: CN=ca" in text
    assert "authority for timestamps: CN=tsa" in text
    (work / "none.pem").write_text("no certificate", encoding="utf-8")
    bad = ["--key", "source=source/key.pub.pem", "--timestamp-authority", "none.pem"]
    assert trust("init", *bad, "--out", "bad.json") == 64
    assert not (work / "bad.json").exists()
