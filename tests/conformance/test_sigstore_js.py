"""npm @sigstore/verify accepts our bundles, and rejects what was changed."""

import base64
import json
import subprocess

import pytest


@pytest.fixture
def verify(sigstore_js, public_key_file, signer):
    def verify(bundle):
        return subprocess.run(
            ["node", "verify.mjs", bundle, public_key_file, signer.public_key.key_id],
            cwd=sigstore_js,
            capture_output=True,
            check=False,
            timeout=60,
        )

    return verify


def _edit(bundle, edit):
    value = json.loads(bundle.read_bytes())
    edit(value)
    bundle.write_text(json.dumps(value))


def _payload(value, old, new):
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    assert old in payload
    value["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(old, new, 1)).decode()


@pytest.mark.parametrize("name", ["", "big.bin"])
def test_bundle_is_accepted_with_the_exact_payload(directory, seal, verify, name):
    bundle = seal(directory / name)
    done = verify(bundle)
    assert done.returncode == 0, done.stderr
    envelope = json.loads(bundle.read_bytes())["dsseEnvelope"]
    assert done.stdout == base64.b64decode(envelope["payload"])


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda v: _payload(v, b"flights", b"Flights"), "SIGNATURE_ERROR"),
        (lambda v: v["dsseEnvelope"].update(payloadType="text/plain"), "SIGNATURE_ERROR"),
        (
            lambda v: v["verificationMaterial"]["publicKey"].update(hint="0" * 64),
            "PUBLIC_KEY_ERROR",
        ),
        (lambda v: v.update(mediaType="application/json"), "invalid bundle"),
    ],
)
def test_edited_bundle_is_rejected(directory, seal, verify, edit, reason):
    bundle = seal(directory)
    _edit(bundle, edit)
    done = verify(bundle)
    assert done.returncode == 1
    assert reason in done.stderr.decode()


def test_lock_file_names_no_download_address(request):
    lock = (request.path.parent / "sigstore_js" / "package-lock.json").read_text()
    assert "http" not in lock
    assert lock.count('"integrity": "sha512-') == 4
