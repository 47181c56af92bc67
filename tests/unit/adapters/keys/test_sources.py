"""Keys from files, variables, and a real PKCS #11 token; and no key in anything that is shown."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from sluicegate.adapters.keys.sources import KeyPlaces, RemoteSigner, open_signer
from sluicegate.attest.keys import Algorithm, generate, load_public_key, write_key_pair
from sluicegate.errors import ConfigError

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
)
HSM = next((path for path in LIBRARIES if Path(path).exists()), None)


def opened(reference, environ=None, **more):
    return open_signer(reference, KeyPlaces(environ=environ or {}, role="source", **more))


@pytest.fixture
def key(tmp_path):
    signer = generate(Algorithm.ECDSA_P256)
    write_key_pair(signer, tmp_path)
    return signer


def test_path_and_file_reference_name_the_same_key(key, tmp_path):
    path = tmp_path / "key.pem"
    for reference in (str(path), f"file:{path}"):
        assert opened(reference).public_key == key.public_key


def test_loose_key_file_is_refused_by_reference_too(key, tmp_path):
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(ConfigError, match="accessible to others"):
        opened(f"file:{tmp_path / 'key.pem'}")


def test_variable_holds_a_pem_or_a_reference(key, tmp_path):
    pem = key.private_pem().decode()
    assert opened("env:K", {"K": pem}).public_key == key.public_key
    assert opened("env:K", {"K": f"file:{tmp_path / 'key.pem'}"}).public_key == key.public_key


def test_passphrase_comes_from_the_roles_variable(key):
    pem = key.private_pem(b"secret").decode()
    found = opened("env:K", {"K": pem, "SLUICEGATE_PIN_SOURCE": "secret"})
    assert found.public_key == key.public_key
    with pytest.raises(ConfigError, match="passphrase"):
        opened("env:K", {"K": pem})


def test_store_is_asked_once_and_not_followed_in_circles(key):
    pem = key.private_pem().decode()
    stores = {"store": {"a": pem, "b": "store:a"}.__getitem__}
    assert opened("store:a", stores=stores).public_key == key.public_key
    with pytest.raises(ConfigError, match="unknown place"):
        opened("store:b", stores=stores)


@pytest.mark.parametrize("reference", ["env:NOTHING", "ftp:key", "awskms:arn", "hsm:2"])
def test_reference_that_leads_nowhere_is_refused(reference):
    with pytest.raises(ConfigError):
        opened(reference)


def body(pem: str) -> str:
    """Return the middle of a PEM: what must show up nowhere."""
    return "".join(pem.split("\n")[1:-2])[8:40]


def everything_shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + json.dumps(error.to_dict())


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_pasted_key_is_in_no_message(algorithm):
    pem = generate(algorithm).private_pem().decode()
    for reference, environ in (
        (pem, {}),
        ("env:K", {"K": pem.replace("END", "XXX")}),
        (f"ftp:{pem}", {}),
        ("env:K", {"K": "store:" + pem[:-40]}),
    ):
        with pytest.raises(ConfigError) as caught:
            opened(reference, environ)
        assert body(pem) not in everything_shown(caught.value)


def test_signer_shows_nothing_of_its_key(key, capsys, caplog):
    import logging

    pem = key.private_pem().decode()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("%r %s", key, key)
    print(key, [key], {"key": key}, f"{key!r}")  # noqa: T201 - what must show nothing
    shown = capsys.readouterr().out + caplog.text + repr(vars(type(key)))
    assert body(pem) not in shown
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(key, protocol)


class Backend:
    """A key service that answers with whatever it is given."""

    def __init__(self, answer):
        self.answer = answer

    def sign(self, data):
        if isinstance(self.answer, Exception):
            raise self.answer
        return type("Answer", (), {"signature": self.answer(data).hex()})


def test_answer_of_a_key_service_is_checked(key):
    other = generate(Algorithm.ECDSA_P256)
    assert RemoteSigner(Backend(key.sign), key.public_key, "kms").sign(b"x")
    with pytest.raises(ConfigError, match="another key"):
        RemoteSigner(Backend(other.sign), key.public_key, "kms").sign(b"x")


def test_error_of_a_key_service_is_not_quoted(key):
    failing = RemoteSigner(Backend(RuntimeError("token=hunter2")), key.public_key, "kms")
    with pytest.raises(ConfigError, match="RuntimeError") as caught:
        failing.sign(b"x")
    assert "hunter2" not in everything_shown(caught.value)
    assert caught.value.__cause__ is None


def test_remote_key_is_neither_exported_nor_pickled(key):
    remote = RemoteSigner(Backend(key.sign), key.public_key, "kms")
    with pytest.raises(ConfigError, match="cannot be exported"):
        remote.private_pem()
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(remote)


def test_securesystemslib_signs_with_a_key_file(tmp_path):
    """The same path as a KMS takes, with the library's own signer of files."""
    pytest.importorskip("securesystemslib")
    for algorithm in (Algorithm.ECDSA_P256, Algorithm.ED25519):
        signer = generate(algorithm)
        directory = tmp_path / algorithm.value
        private, _ = write_key_pair(signer, directory)
        remote = opened(f"file2:{private}", public_key=signer.public_key)
        assert isinstance(remote, RemoteSigner)
        signer.public_key.verify(remote.sign(b"data"), b"data")
    with pytest.raises(ConfigError, match="P-256 or Ed25519"):
        opened("file2:x", public_key=generate(Algorithm.ML_DSA_65).public_key)


TOKEN = """
import pkcs11, sys
from pkcs11.util.ec import encode_named_curve_parameters
from securesystemslib.signer import HSMSigner
token = pkcs11.lib(sys.argv[1]).get_token(token_label="sluicegate")
with token.open(rw=True, user_pin="1234") as session:
    curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    made = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    made.generate_keypair(id=bytes([2]), label="sluicegate", store=True)
print(HSMSigner.import_(2, "sluicegate")[1].keyval["public"])
"""


@pytest.mark.skipif(
    not (HSM and shutil.which("softhsm2-util") and importlib.util.find_spec("pkcs11")),
    reason="needs SoftHSM and python-pkcs11",
)
def test_seal_with_a_key_in_a_pkcs11_token_verifies(tmp_path):
    """In processes of their own: a PKCS #11 library keeps its state for as long as one lives."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "hsm.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    (tmp_path / "data").write_text("one")
    environ = {
        **os.environ,
        "SOFTHSM2_CONF": str(tmp_path / "hsm.conf"),
        "PYKCS11LIB": HSM,
        "SLUICEGATE_PIN_SOURCE": "1234",
    }

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    label = ["--label", "sluicegate", "--so-pin", "1234", "--pin", "1234"]
    run("softhsm2-util", "--init-token", "--free", *label)
    pem = run(sys.executable, "-c", TOKEN, HSM)
    assert load_public_key(pem.encode(), locator="hsm").algorithm is Algorithm.ECDSA_P256
    (tmp_path / "hsm.pub.pem").write_text(pem)
    sluicegate = (sys.executable, "-m", "sluicegate.cli.main")
    keys = ["--key", "hsm:2?label=sluicegate", "--public-key", "hsm.pub.pem"]
    run(*sluicegate, "trust", "init", "--key", "source=hsm.pub.pem", "--out", "trust.json")
    run(*sluicegate, "seal", "data", "--name", "flights", *keys, "--out", "evidence")
    assert "VALID" in run(*sluicegate, "verify", "evidence", "data", "--trust", "trust.json")
