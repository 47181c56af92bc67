"""Keys as Kubernetes, Docker and systemd mount them: used, or the message names a way."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from sluicegate.adapters.keys.sources import KeyPlaces, open_signer
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.errors import ConfigError

SIGNER = generate(Algorithm.ED25519)
PEM = SIGNER.private_pem()


def opened(reference, **environ):
    return open_signer(str(reference), KeyPlaces(environ=environ, role="source"))


def volume(root, mode=0o400, data=PEM, version="..2026_01_01"):
    """A volume as the kubelet writes it: a version, a link to it, and a link for each key."""
    place = root / "secret" / version
    place.mkdir(parents=True)
    (place / "source.pem").write_bytes(data)
    (place / "source.pem").chmod(mode)
    swapped = root / "secret" / "..data_tmp"
    swapped.symlink_to(version)
    swapped.rename(root / "secret" / "..data")
    named = root / "secret" / "source.pem"
    if not named.is_symlink():
        named.symlink_to("..data/source.pem")
    return named


def plain(root, mode=0o400, data=PEM, name="source.pem"):
    path = root / name
    path.write_bytes(data)
    path.chmod(mode)
    return path


def rotated(root):
    volume(root, data=generate(Algorithm.ED25519).private_pem())
    return volume(root, version="..2026_01_02")


def projected(root):
    """Sources of a projected volume lie in directories of their own."""
    (root / "all").mkdir()
    (root / "all" / "keys").symlink_to(volume(root).parent)
    return root / "all" / "keys" / "source.pem"


USED = {
    "secret volume, 0400": volume,
    "secret volume, 0600": lambda root: volume(root, 0o600),
    "secret volume of root with fsGroup, 0440": lambda root: volume(root, 0o440),
    "rotated while the pod runs": rotated,
    "projected volume": projected,
    "subPath: a file without links": plain,
    "systemd's LoadCredential": lambda root: plain(root, 0o400, name="source"),
    "no line end": lambda root: volume(root, data=PEM.rstrip()),
    "Windows line ends": lambda root: volume(root, data=PEM.replace(b"\n", b"\r\n")),
    "immutable image layer, 0600": lambda root: plain(root, 0o600),
    "base64, as data of a secret is written": lambda root: volume(root, data=base64.b64encode(PEM)),
    "base64 twice, by kubectl and by hand": lambda root: volume(
        root, data=base64.b64encode(base64.b64encode(PEM))
    ),
}


@pytest.mark.parametrize("name", USED)
def test_mounted_key_is_used(tmp_path, name):
    if "of root" in name and os.geteuid():
        pytest.skip("only root can make a file that is root's")
    key = USED[name](tmp_path)
    for reference in (key, f"file:{key}"):
        assert opened(reference).public_key.key_id == SIGNER.public_key.key_id


def directory(root):
    """What a subPath becomes whose key the secret lacks."""
    (root / "source.pem").mkdir()
    return root / "source.pem"


def dangling(root):
    key = volume(root)
    (root / "secret" / "..data").unlink()
    return key


def pipe(root):
    os.mkfifo(root / "source.pem")
    return root / "source.pem"


REFUSED = {
    "default mode of a secret, 0644": (lambda r: volume(r, 0o644), ("every user", "defaultMode")),
    "default mode of the CSI driver, 0644": (lambda r: plain(r, 0o644), ("every user", "env:NAME")),
    "Docker's secret, 0444": (lambda r: plain(r, 0o444), ("every user", "env:NAME")),
    "writable by the group, 0660": (lambda r: volume(r, 0o660), ("group", "defaultMode")),
    "fsGroup and not read-only, 0640": (lambda r: volume(r, 0o640), ("group", "defaultMode")),
    "subPath of a key that is not there": (directory, ("not a regular file",)),
    "optional secret that is not there": (
        lambda r: r / "secret" / "source.pem", ("cannot be read",),
    ),
    "volume between two versions": (dangling, ("cannot be read",)),
    "empty key": (lambda r: volume(r, data=b""), ("PEM",)),
    "half a key": (lambda r: volume(r, data=PEM[: len(PEM) // 2]), ("PEM",)),
    "public key in its place": (
        lambda r: volume(r, data=SIGNER.public_key.to_pem()), ("PEM",),
    ),
    "a pipe": (pipe, ("not a regular file",)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_names_the_file_and_a_way_out(tmp_path, name):
    make, words = REFUSED[name]
    key = make(tmp_path)
    with pytest.raises(ConfigError) as caught:
        opened(key)
    said = str(caught.value)
    assert [word for word in words if word not in said] == []
    assert (caught.value.locator, bool(caught.value.next_step)) == (str(key), True)
    assert base64.b64encode(PEM).decode()[40:56] not in said
    assert PEM.decode().splitlines()[1][:8] not in said


FROM_SECRETS = {
    "PEM": PEM.decode(),
    "PEM without its last line end": PEM.decode().rstrip(),
    "line ends as backslash n": PEM.decode().replace("\n", r"\n"),
    "path of a mounted file": "file",
}


@pytest.mark.parametrize("name", FROM_SECRETS)
def test_key_of_a_variable_is_used(tmp_path, name):
    held = FROM_SECRETS[name]
    held = str(Path(volume(tmp_path))) if held == "file" else held
    assert opened("env:KEY", KEY=held).public_key.key_id == SIGNER.public_key.key_id
