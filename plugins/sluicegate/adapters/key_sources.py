"""Where a private key may be: file, environment, KMS or HSM. Specified in docs/keys.md.

A reference says where; it is no secret and may stand in a configuration. Keys in a KMS or an
HSM never leave it: `RemoteSigner` sends what is to be signed, through securesystemslib.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sluicegate.adapters.key_settings import ENV_PIN
from sluicegate.attest.keys import (
    Algorithm,
    PublicKey,
    Signer,
    load_public_key,
    load_signer,
    read_signer,
)
from sluicegate.errors import BadSignature, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REMOTE_SCHEMES: Final = ("awskms", "azurekms", "gcpkms", "hsm", "file2")

_SCHEMES: Final = {
    Algorithm.ECDSA_P256: ("ecdsa", "ecdsa-sha2-nistp256"),
    Algorithm.ED25519: ("ed25519", "ed25519"),
}

# A scheme of one letter is a drive; a path never holds a scheme of two or more here.
_REFERENCE: Final = re.compile(r"([a-z][a-z0-9+-]+):(.*)", re.DOTALL)


class RemoteSigner(Signer):
    """A key that signs elsewhere.

    Args:
        remote: securesystemslib signer.
        public_key: What verifies its signatures.
        locator: For messages; never holds a secret.
    """

    __slots__ = ("_locator", "_remote")

    def __init__(self, remote: Any, public_key: PublicKey, locator: str) -> None:
        # Not super().__init__: there is no private key here to hold.
        self._public_key = public_key
        self._remote = remote
        self._locator = locator

    def sign(self, data: bytes) -> bytes:
        """Sign bytes where the key is, and check what comes back.

        Raises:
            ConfigError: The KMS or HSM refuses, or holds another key than the public one says.

        Cost: one request.
        """
        try:
            signature = bytes.fromhex(self._remote.sign(data).signature)
        except Exception as error:  # noqa: BLE001 - each backend raises its own kinds
            # Only the kind: texts of foreign errors may quote credentials.
            refuse("the key service did not sign", self._locator, type(error).__name__)
        try:
            self._public_key.verify(signature, data)
        except BadSignature:
            refuse("the key service holds another key", self._locator, self._public_key.short)
        return signature

    def private_pem(self, passphrase: bytes | None = None) -> NoReturn:  # noqa: ARG002 - as its base
        """Refuse: the key does not leave its place.

        Raises:
            ConfigError: Always.
        """
        refuse("the private key cannot be exported", self._locator, "")


def open_signer(
    reference: str,
    *,
    environ: Mapping[str, str],
    role: str,
    public_key: PublicKey | None = None,
    stores: Mapping[str, Callable[[str], str]] | None = None,
) -> Signer:
    """Return the signer that a reference names.

    Args:
        reference: Path, ``file:PATH``, ``env:NAME``, a URI of `REMOTE_SCHEMES`, or a scheme of
            ``stores``.
        environ: Environment.
        role: Whose key it is; names the variable of its passphrase.
        public_key: Of a remote key, unless the reference names its file behind ``#``.
        stores: Further schemes, each a lookup that returns a PEM or a reference; a reference
            that comes out of one is followed once.

    Raises:
        ConfigError: Nothing there, no key, an unknown scheme, or a missing public key.
    """
    passphrase = environ.get(f"{ENV_PIN}{role.upper()}")
    secret = None if passphrase is None else passphrase.encode()
    if is_pem(reference):
        # Neither followed nor shown: on a command line it would stand in process lists.
        refuse("a private key was given instead of its place", f"key of role {role}", "")
    match = _REFERENCE.fullmatch(reference)
    scheme, rest = match.groups() if match else ("file", reference)
    if scheme == "file":
        return read_signer(Path(rest), passphrase=secret)
    if scheme in REMOTE_SCHEMES:
        return _remote(reference, scheme, public_key, passphrase)
    lookups = {"env": lambda name: environ.get(name, ""), **(stores or {})}
    if scheme not in lookups:
        known = " ".join(("file", *lookups, *REMOTE_SCHEMES))
        # The reference is not shown: somebody may have pasted the key itself.
        refuse("unknown place of a key", f"key of role {role}", "", f"one of {known}")
    held = lookups[scheme](rest).strip()
    if not held:
        refuse("there is no key", f"{scheme}:{rest}", "nothing", "a PEM or a reference")
    if is_pem(held):
        return load_signer(held.encode(), locator=f"{scheme}:{rest}", passphrase=secret)
    return open_signer(held, environ=environ, role=role, public_key=public_key)


def is_pem(text: str) -> bool:
    """Return whether a text is key material rather than a reference to it."""
    return text.lstrip().startswith("-----BEGIN")


def refuse(what: str, locator: str, got: str, expected: str = "") -> NoReturn:
    """Raise ConfigError about where a key is; never with a cause that could quote it."""
    raise ConfigError(
        what,
        locator=locator,
        expected=expected,
        got=got,
        next_step="See docs/keys.md for where keys may be.",
    ) from None


def read_public_key(path: Path) -> PublicKey:
    """Read a public key.

    Raises:
        ConfigError: Missing, or no public key.
    """
    try:
        return load_public_key(path.read_bytes(), locator=str(path))
    except OSError as error:
        refuse("the public key cannot be read", str(path), error.strerror or "")


def _remote(
    uri: str, scheme: str, public_key: PublicKey | None, passphrase: str | None
) -> RemoteSigner:
    locator = f"{scheme}: key"
    uri, _, path = uri.partition("#")
    if path:
        public_key = read_public_key(Path(path))
    if public_key is None:
        refuse("a remote key needs its public key", locator, "", "REFERENCE#PUB.pem")
    if public_key.algorithm not in _SCHEMES:
        refuse("remote keys are P-256 or Ed25519", locator, public_key.algorithm.value)
    try:
        # By name: the package is optional, and does not export what it documents.
        backends: Any = import_module("securesystemslib.signer")
        keytype, name = _SCHEMES[public_key.algorithm]
        public = _verification_text(public_key)
        key = backends.SSlibKey(public_key.key_id, keytype, name, {"public": public})
        backend = backends.Signer.from_priv_key_uri(uri, key, lambda _purpose: passphrase or "")
    except ImportError as error:
        refuse("a package is missing", locator, error.name or "", "pip install sluicegate[kms]")
    except Exception as error:  # noqa: BLE001 - each backend raises its own kinds
        refuse("the key service cannot be used", locator, type(error).__name__)
    return RemoteSigner(backend, public_key, locator)


def _verification_text(public_key: PublicKey) -> str:
    """Return a public key as securesystemslib writes it: PEM, but hex for Ed25519."""
    if public_key.algorithm is not Algorithm.ED25519:
        return public_key.to_pem().decode("ascii")
    from cryptography.hazmat.primitives import serialization

    raw = serialization.load_pem_public_key(public_key.to_pem()).public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return raw.hex()
