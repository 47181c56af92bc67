"""`sluicegate witness` and `ledger cosign`, over HTTP on loopback and by files."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading

import pytest

from sluicegate.cli.administration.witness import _witness
from sluicegate.cli.administration.witness_server import build_server
from sluicegate.cli.main import main


@pytest.fixture(params=["ed25519", "ml-dsa-44"])
def site(request, tmp_path, monkeypatch, capsys):
    """A ledger of three leaves and a witness that its trust policy names."""
    monkeypatch.delenv("SLUICEGATE_HOME", raising=False)
    home = tmp_path / "home"
    for role in ("ledger", "witness", "source"):
        folder = tmp_path / role
        alg = request.param if role == "witness" else "ed25519"
        assert main(["keygen", "--out", str(folder), "--alg", alg]) == 0
    home.mkdir()
    (home / "keys").mkdir(mode=0o700)
    (tmp_path / "ledger" / "key.pem").rename(home / "keys" / "ledger.pem")
    keys = [
        part
        for role in ("ledger", "witness", "source")
        for part in ("--key", f"{role}={tmp_path / role / 'key.pub.pem'}")
    ]
    assert main(["trust", "init", *keys, "--out", str(home / "trust.json")]) == 0
    assert main(["ledger", "init", "--home", str(home)]) == 0
    capsys.readouterr()
    assert main(["ledger", "vkey", "--home", str(home)]) == 0
    vkey = capsys.readouterr().out.strip()
    options = ["--key", str(tmp_path / "witness" / "key.pem"), "--log", vkey]
    options += ["--state", str(tmp_path / "seen.db")]
    return tmp_path, home, options


@pytest.fixture
def url(site):
    server = build_server(_witness(_arguments(site[2])), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def _arguments(options):
    from sluicegate.cli.main import build_parser

    return build_parser().parse_args(["witness", "serve", *options, "--port", "0"])


def test_verify_fails_without_the_quorum_and_passes_with_it(site, url, capsys):
    _, home, _ = site
    verify = ["ledger", "verify", "--witnessed", "--home", str(home)]
    assert main(verify) == 1
    assert "witness quorum is missing" in capsys.readouterr().err
    assert main(["ledger", "cosign", "--witness", url, "--home", str(home), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["witnesses"]) == 1
    assert main(verify) == 0
    assert main(["ledger", "cosign", "--witness", url, "--home", str(home)]) == 0


def test_edited_cosignature_is_found(site, url, capsys):
    _, home, _ = site
    assert main(["ledger", "cosign", "--witness", url, "--home", str(home)]) == 0
    note = (home / "cosigned").read_bytes()
    (home / "cosigned").write_bytes(
        note[:-9] + (b"AAAA" if note[-9:-5] != b"AAAA" else b"BBBB") + note[-5:]
    )
    assert main(["ledger", "verify", "--witnessed", "--home", str(home)]) == 1
    assert "BAD_SIGNATURE" in capsys.readouterr().err


def test_monitor_gets_the_newest_checkpoint(site, url, capsys):
    _, home, options = site
    origin = options[3].partition("+")[0]
    place = f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", place)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 404
    assert main(["ledger", "cosign", "--witness", url, "--home", str(home)]) == 0
    connection.request("GET", place)
    assert connection.getresponse().read() == (home / "cosigned").read_bytes()
    for path, body, status in (("/other", b"", 404), ("/add-checkpoint", b"nonsense", 400)):
        connection.close()
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_files_carry_the_same_where_there_is_no_network(site, capsys):
    place, home, options = site
    ask = ["ledger", "cosign", "--home", str(home), "--request", str(place / "request")]
    sign = ["witness", "cosign", str(place / "request"), *options, "--out", str(place / "lines")]
    take = ["ledger", "cosign", "--home", str(home), "--response", str(place / "lines")]
    assert main(ask) == main(sign) == main(take) == 0
    assert main(["ledger", "verify", "--witnessed", "--home", str(home)]) == 0


def test_stranger_does_not_count(site, capsys):
    place, home, options = site
    (place / "witness" / "key.pem").unlink()
    (place / "witness" / "key.pub.pem").unlink()
    assert main(["keygen", "--out", str(place / "witness"), "--alg", "ed25519"]) == 0
    ask = ["ledger", "cosign", "--home", str(home), "--request", str(place / "request")]
    sign = ["witness", "cosign", str(place / "request"), *options, "--out", str(place / "lines")]
    assert main(ask) == main(sign) == 0
    assert main(["ledger", "cosign", "--home", str(home), "--response", str(place / "lines")]) == 1
    assert "no witness of the trust policy" in capsys.readouterr().err


@pytest.mark.parametrize("algorithm", ["ml-dsa-65", "ecdsa-p256"])
def test_key_of_another_kind_cannot_witness(site, capsys, algorithm):
    place, home, options = site
    assert main(["keygen", "--out", str(place / "other"), "--alg", algorithm]) == 0
    assert main(["ledger", "cosign", "--home", str(home), "--request", str(place / "asked")]) == 0
    options = ["--key", str(place / "other" / "key.pem"), *options[2:]]
    out = ["--out", str(place / "lines")]
    assert main(["witness", "cosign", str(place / "asked"), *options, *out]) == 64
    assert "must be Ed25519 or ML-DSA-44" in capsys.readouterr().err


def test_quorum_of_both_kinds_of_witness(site, capsys):
    """One witness of each kind, and a policy that asks for both."""
    place, home, options = site
    other = "ml-dsa-44" if _algorithm(place) == "ed25519" else "ed25519"
    assert main(["keygen", "--out", str(place / "second"), "--alg", other]) == 0
    keys = [place / name / "key.pub.pem" for name in ("witness", "second")]
    policy = ["trust", "init", "--out", str(home / "trust.json"), "--threshold", "witness=2"]
    for role in ("ledger", "source"):
        policy += ["--key", f"{role}={place / role / 'key.pub.pem'}"]
    policy += [part for key in keys for part in ("--key", f"witness={key}")]
    (home / "trust.json").unlink()
    assert main(policy) == 0
    verify = ["ledger", "verify", "--witnessed", "--home", str(home)]
    lines = b""
    for name in ("witness", "second"):
        own = ["--key", str(place / name / "key.pem"), "--state", str(place / f"{name}.db")]
        ask = ["ledger", "cosign", "--home", str(home), "--request", str(place / "asked")]
        sign = ["witness", "cosign", str(place / "asked"), *own, *options[2:4]]
        assert main(ask) == main([*sign, "--out", str(place / name / "lines")]) == 0
        assert main(verify) == 1
        lines += (place / name / "lines").read_bytes()
    (place / "both").write_bytes(lines)
    assert main(["ledger", "cosign", "--home", str(home), "--response", str(place / "both")]) == 0
    assert main(verify) == 0


def _algorithm(place):
    from sluicegate.attest.keys import load_public_key

    pem = (place / "witness" / "key.pub.pem").read_bytes()
    return load_public_key(pem, locator="witness").algorithm.value


def test_witness_that_is_not_there_could_not_be_asked(site, capsys):
    cosign = ["ledger", "cosign", "--home", str(site[1]), "--witness"]
    assert main([*cosign, "http://127.0.0.1:1"]) == 2
    assert main([*cosign, "file:///etc/passwd"]) == 64


def test_audit_asks_for_the_quorum(site, url, capsys):
    place, home, _ = site
    audit = ["audit", "--home", str(home), "--json"]
    assert main(audit) == 1
    assert json.loads(capsys.readouterr().out)["counts"] == {"WITNESS_QUORUM": 1}
    assert main(["ledger", "cosign", "--witness", url, "--home", str(home)]) == 0
    assert main(audit) == 0
    assert main([*audit, "--cosigned", str(home / "cosigned"), "--witness-lag", "0"]) == 0
    assert main([*audit, "--cosigned", str(place / "absent")]) == 64
    assert main([*audit, "--witness-lag", "-1"]) == 64
    (home / "cosigned").write_bytes(b"damaged")
    assert main(audit) == 1
