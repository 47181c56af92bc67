"""OpenSSF model_signing accepts our seals, and rejects what was changed."""

import base64
import json
import subprocess
import sys

import pytest

from sluicegate.attest.predicates import seal_statement
from sluicegate.attest.statement import Statement
from sluicegate.digest.manifest import build_manifest


def _verify(bundle, source, public_key):
    import model_signing.verifying

    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    config.verify(source, bundle)


def _command(bundle, source, public_key):
    return subprocess.run(
        [
            *(sys.executable, "-m", "model_signing", "verify", "key", str(source)),
            *("--signature", str(bundle), "--public_key", str(public_key)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def _edit_payload(bundle, old, new):
    value = json.loads(bundle.read_bytes())
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    assert old in payload
    value["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(old, new, 1)).decode()
    bundle.write_text(json.dumps(value))


def test_command_accepts_a_directory_and_rejects_a_flipped_byte(directory, seal, public_key_file):
    bundle = seal(directory)
    accepted = _command(bundle, directory, public_key_file)
    assert accepted.returncode == 0, accepted.stderr
    _flip(directory / "a" / "part-0.csv", 3)
    rejected = _command(bundle, directory, public_key_file)
    assert rejected.returncode != 0
    assert "Hash mismatch for 'a/part-0.csv'" in rejected.stdout + rejected.stderr


def test_command_accepts_a_single_file_and_rejects_an_edited_payload(
    directory, seal, public_key_file
):
    bundle = seal(directory / "big.bin")
    accepted = _command(bundle, directory / "big.bin", public_key_file)
    assert accepted.returncode == 0, accepted.stderr
    _edit_payload(bundle, b"flights", b"Flights")
    assert _command(bundle, directory / "big.bin", public_key_file).returncode != 0


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
@pytest.mark.parametrize("name", ["", "big.bin", "a.d"])
def test_source_is_accepted_until_a_byte_is_flipped(
    directory, seal, public_key_file, name, algorithm
):
    source = directory / name
    bundle = seal(source, algorithm)
    _verify(bundle, source, public_key_file)
    target = source if name else directory / "README.md"
    if target.stat().st_size:
        _flip(target, 0)
    else:
        target.write_bytes(b"x")
    with pytest.raises(ValueError, match="mismatch"):
        _verify(bundle, source, public_key_file)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "new.csv").write_bytes(b""),
        lambda root: (root / "a.d").unlink(),
        lambda root: (root / "README.md").rename(root / "README.txt"),
    ],
)
def test_changed_file_list_is_rejected(directory, seal, public_key_file, change):
    bundle = seal(directory)
    change(directory)
    with pytest.raises(ValueError, match="mismatch"):
        _verify(bundle, directory, public_key_file)


def test_edited_payload_and_other_key_are_rejected(
    directory, seal, public_key_file, second_signer, tmp_path
):
    from cryptography.exceptions import InvalidSignature

    bundle = seal(directory)
    other = tmp_path / "other.pem"
    other.write_bytes(second_signer.public_key.to_pem())
    with pytest.raises((ValueError, AttributeError)):
        _verify(bundle, directory, other)
    _edit_payload(bundle, b'"size":15', b'"size":16')
    with pytest.raises(InvalidSignature):
        _verify(bundle, directory, public_key_file)


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_root_digest_is_the_one_model_signing_computes(directory, tmp_path, signer, algorithm):
    """Including the order, which compares path components and not strings."""
    import model_signing.hashing
    import model_signing.signing

    key, signature = tmp_path / "key.pem", tmp_path / "theirs.json"
    key.write_bytes(signer.private_pem())
    hashing = model_signing.hashing.Config().use_file_serialization(hashing_algorithm=algorithm)
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key)
    config.set_hashing_config(hashing).sign(directory, signature)
    envelope = json.loads(signature.read_bytes())["dsseEnvelope"]
    statement = Statement.from_bytes(base64.b64decode(envelope["payload"]))
    manifest = build_manifest(directory, algorithm=algorithm)
    assert statement.predicate["serialization"]["hash_type"] == manifest.algorithm
    assert statement.subjects[0].digest["sha256"] == manifest.oms_root.hex
    assert [item["name"] for item in statement.predicate["resources"]] == [
        path for path, _, _ in manifest.oms_files()
    ]


SHARDS = "sha256-shards-100000"


def _sharded(tmp_path, signer, source, n_bytes):
    """Return the statement that model_signing itself signs with its shard serialization."""
    import model_signing.hashing
    import model_signing.signing

    key, signature = tmp_path / "key.pem", tmp_path / "theirs.json"
    key.write_bytes(signer.private_pem())
    hashing = model_signing.hashing.Config().use_shard_serialization(shard_size=n_bytes)
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key)
    config.set_hashing_config(hashing).sign(source, signature)
    envelope = json.loads(signature.read_bytes())["dsseEnvelope"]
    return Statement.from_bytes(base64.b64decode(envelope["payload"]))


@pytest.mark.parametrize("n_bytes", [1, 15, 1 << 20, 1_000_000_000])
def test_shards_are_those_of_model_signing(directory, tmp_path, signer, n_bytes):
    if n_bytes < 100:
        (directory / "big.bin").write_bytes(bytes(range(40)))
    theirs = _sharded(tmp_path, signer, directory, n_bytes)
    manifest = build_manifest(directory, algorithm=f"sha256-shards-{n_bytes}")
    ours = seal_statement("flights", manifest)
    assert ours.predicate["resources"] == theirs.predicate["resources"]
    assert ours.predicate["serialization"].items() <= theirs.predicate["serialization"].items()
    assert ours.subjects[0].digest["sha256"] == theirs.subjects[0].digest["sha256"]


@pytest.mark.parametrize("name", ["", "big.bin"])
def test_a_flipped_byte_in_any_shard_is_rejected(directory, seal, public_key_file, name):
    source = directory / name
    bundle = seal(source, SHARDS)
    _verify(bundle, source, public_key_file)
    target = source if name else directory / "big.bin"
    size = target.stat().st_size
    for position in [*range(7, size, 100_000), 99_999, 100_000, size - 1]:
        _flip(target, position)
        with pytest.raises(ValueError, match="Hash mismatch"):
            _verify(bundle, source, public_key_file)
        _flip(target, position)
    _verify(bundle, source, public_key_file)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "big.bin").write_bytes((root / "big.bin").read_bytes()[:-1]),
        lambda root: (root / "big.bin").write_bytes((root / "big.bin").read_bytes() + b"x"),
        lambda root: (root / "big.bin").rename(root / "big.txt"),
        lambda root: (root / "new.csv").write_bytes(b"1"),
    ],
)
def test_changed_files_of_a_seal_by_shards_are_rejected(directory, seal, public_key_file, change):
    bundle = seal(directory, SHARDS)
    change(directory)
    with pytest.raises(ValueError, match="mismatch"):
        _verify(bundle, directory, public_key_file)
