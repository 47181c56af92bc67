"""Timestamps of a local authority, made with openssl, over exactly the bytes that were sent."""

import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from sluicegate.adapters.timestamping import request_for, verified_time
from sluicegate.attest.certificates import load_certificates
from sluicegate.errors import BadSignature, ConfigError, MalformedEnvelope

pytest.importorskip("rfc3161_client")
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")

CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = local
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[tsa]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa_config]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    root = tmp_path_factory.mktemp("tsa")
    (root / "tsa.conf").write_text(CONFIG)
    (root / "serial").write_text("01\n")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-config", "tsa.conf"]
    signed = ["-CA", "root.pem", "-CAkey", "root.key", "-subj", "/CN=tsa"]
    for name, more in {"root": [], "tsa": signed, "other": ["-subj", "/CN=other"]}.items():
        extensions = "tsa" if name == "tsa" else "root"
        out = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-extensions", extensions]
        openssl(root, "req", "-x509", *new, *out, "-days", "30", *more)
    return root


def openssl(root, *arguments):
    done = subprocess.run(
        ["openssl", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def roots(authority, name="root"):
    return load_certificates((authority / f"{name}.pem").read_bytes(), locator=name)


@pytest.fixture(scope="module")
def response(authority):
    (authority / "q.tsq").write_bytes(request_for(b"envelope"))
    keys = ["-inkey", "tsa.key", "-signer", "tsa.pem", "-config", "tsa.conf"]
    reply = ["-reply", "-section", "tsa_config", "-queryfile", "q.tsq", "-out", "r.tsr"]
    openssl(authority, "ts", *reply, *keys)
    return (authority / "r.tsr").read_bytes()


def test_time_of_a_trusted_authority_is_returned(authority, response):
    at = verified_time(response, b"envelope", roots(authority), locator="r.tsr")
    assert abs((datetime.now(UTC) - at).total_seconds()) < 600


def test_timestamp_of_other_bytes_is_a_bad_signature(authority, response):
    with pytest.raises(BadSignature, match="timestamp does not hold"):
        verified_time(response, b"another envelope", roots(authority), locator="r.tsr")


def test_timestamp_of_another_authority_is_a_bad_signature(authority, response):
    with pytest.raises(BadSignature):
        verified_time(response, b"envelope", roots(authority, "other"), locator="r.tsr")


def test_no_authority_is_a_configuration_error(response):
    with pytest.raises(ConfigError, match="no timestamp authority"):
        verified_time(response, b"envelope", [], locator="r.tsr")


def test_any_edited_byte_is_refused_or_outside_the_signature(authority, response):
    """The token inside the response is parsed late, and its errors are ours too."""
    whole, harmless = verified_time(response, b"envelope", roots(authority), locator="x"), 0
    for position in range(len(response)):
        edited = bytearray(response)
        edited[position] ^= 1
        try:
            at = verified_time(bytes(edited), b"envelope", roots(authority), locator="r.tsr")
        except (BadSignature, MalformedEnvelope):
            continue
        assert at == whole
        harmless += 1
    assert harmless < len(response) // 20


def test_bytes_that_are_no_timestamp_are_malformed(authority):
    with pytest.raises(MalformedEnvelope):
        verified_time(b"junk", b"envelope", roots(authority), locator="r.tsr")
