"""Where a private key may be: file, environment, KMS or HSM. docs/keys.md specifies it.

A reference says where a key is. It is no secret and may stand in a configuration. What its place
holds is a `Secret`. A key in a KMS or an HSM never leaves it: `RemoteSigner` sends it the bytes
to sign, through securesystemslib.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sluicegate.adapters.keys.reference import (
    REMOTE_SCHEMES,
    Reference,
    is_path,
    reference_in,
)
from sluicegate.adapters.keys.settings import ENV_PIN
from sluicegate.attest.key_text import private_key_in
from sluicegate.attest.keys import (
    Algorithm,
    PublicKey,
    Signer,
    load_public_key,
    load_signer,
    read_signer,
)
from sluicegate.attest.secret import Secret
from sluicegate.errors import BadSignature, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SCHEMES: Final = {
    Algorithm.ECDSA_P256: ("ecdsa", "ecdsa-sha2-nistp256"),
    Algorithm.ED25519: ("ed25519", "ed25519"),
}


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
            ConfigError: The KMS or HSM refuses, or its key does not match the public key.

        Cost: one request to the KMS or HSM.
        """
        try:
            signature = bytes.fromhex(self._remote.sign(data).signature)
        except Exception as error:  # noqa: BLE001 - each backend raises its own kinds
            # Only the kind is shown: texts of foreign errors may quote credentials.
            refuse("the key service did not sign", self._locator, type(error).__name__)
        try:
            self._public_key.verify(signature, data)
        except BadSignature:
            refuse("the key service holds another key", self._locator, self._public_key.short)
        return signature

    def private_pem(self, passphrase: bytes | None = None) -> NoReturn:  # noqa: ARG002 - as its base
        """Refuse to export the key, which never leaves its place.

        Raises:
            ConfigError: Always.
        """
        refuse("the private key cannot be exported", self._locator, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlaces:
    """Places that may hold the key of a role.

    Attributes:
        environ: Environment variables.
        role: Whose key it is; part of the name of its passphrase's variable.
        public_key: Public part of a remote key, unless the reference names its file after ``#``.
        stores: Schemes beside ``env``, ``file`` and those of remote keys, each with a function
            that looks a name up and returns a key or a reference.
    """

    environ: Mapping[str, str] = field(repr=False)
    role: str
    public_key: PublicKey | None = None
    stores: Mapping[str, Callable[[str], str]] = field(default_factory=dict)

    @property
    def passphrase(self) -> Secret | None:
        """Passphrase of an encrypted key, or PIN of a token; None if its variable is not set."""
        name = f"{ENV_PIN}{self.role.upper()}"
        return Secret(self.environ[name], f"env:{name}") if name in self.environ else None

    @property
    def lookups(self) -> dict[str, Callable[[str], str]]:
        """The functions that look up a secret, by scheme."""
        return {"env": lambda name: self.environ.get(name, ""), **self.stores}


def open_signer(reference: str, places: KeyPlaces, *, setting: str = "") -> Signer:
    """Return the signer that a configured text names.

    Args:
        reference: Path, ``file:PATH``, ``env:NAME``, a URI of `REMOTE_SCHEMES`, or a scheme of
            the places' stores and a name in that store.
        places: Where the key may be, and its passphrase.
        setting: Name of the setting that holds the text, for messages.

    Raises:
        ConfigError: The text is not a reference, its place is empty or holds no key, or a remote
            key has no public key. The message shows the text only if it is certainly a place:
            somebody may have pasted the key itself.
    """
    given = Secret(reference, setting or f"key of role {places.role}")
    return _at(reference_in(given, places.lookups), places)


def open_held(held: Secret, places: KeyPlaces) -> Signer:
    """Return the signer that a secret holds or names.

    Args:
        held: A key, however it was pasted, or a reference as `open_signer` takes it.
        places: Where the key may be, and its passphrase.

    Raises:
        ConfigError: As `open_signer`.
    """
    return _in(held, places, places.lookups)


def open_file(path: Path, places: KeyPlaces) -> Signer:
    """Return the signer in a file of the installation.

    Args:
        path: PEM of a private key.
        places: Gives the key's passphrase.

    Raises:
        ConfigError: As `read_signer`: the file cannot be read or holds no usable key.
    """
    return read_signer(path, passphrase=_bytes(places))


def _in(held: Secret, places: KeyPlaces, lookups: Mapping[str, Callable[[str], str]]) -> Signer:
    if not held:
        refuse("there is no key", held.place, "nothing", "a key or a reference")
    if private_key_in(held.reveal_bytes()) is None:
        return _at(reference_in(held, lookups), places)
    return load_signer(held.reveal_bytes(), locator=held.place, passphrase=_bytes(places))


def _at(reference: Reference, places: KeyPlaces) -> Signer:
    if reference.scheme == "file":
        return open_file(Path(reference.rest), places)
    if reference.scheme in REMOTE_SCHEMES:
        return _remote(reference, places)
    try:
        text = places.lookups[reference.scheme](reference.rest)
    except Exception as error:  # noqa: BLE001 - secrets backends raise their own kinds
        refuse(f"the {reference.scheme} cannot be read", reference.place, type(error).__name__)
    # The result of a lookup is not looked up again: two of them could name each other.
    return _in(Secret(text, reference.place), places, {})


def _bytes(places: KeyPlaces) -> bytes | None:
    return None if places.passphrase is None else places.passphrase.reveal_bytes()


def refuse(what: str, locator: str, got: str, expected: str = "") -> NoReturn:
    """Raise ConfigError about where a key is, without a cause, which could quote the key.

    Args:
        what: What is wrong, one clause.
        locator: Where the key is said to be: a place, or a setting's name.
        got: What is there, never a text that may be a secret; empty for nothing to say.
        expected: What should be there.

    Raises:
        ConfigError: Always.
    """
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
        ConfigError: The file is missing or holds no public key. The message shows the path only
            if it is certainly a path.
    """
    shown = str(path) if is_path(str(path)) else "public key"
    try:
        return load_public_key(path.read_bytes(), locator=shown)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        refuse("the public key cannot be read", shown, getattr(error, "strerror", None) or "")


def _remote(reference: Reference, places: KeyPlaces) -> RemoteSigner:
    locator, public_key = reference.place, places.public_key
    rest, _, path = reference.rest.partition("#")
    if path:
        public_key = read_public_key(Path(path))
    if public_key is None:
        refuse("a remote key needs its public key", locator, "", "REFERENCE#PUB.pem")
    if public_key.algorithm not in _SCHEMES:
        refuse("remote keys are P-256 or Ed25519", locator, public_key.algorithm.value)
    pin = places.passphrase
    try:
        # Imported by name: the package is optional, and does not export what it documents.
        backends: Any = import_module("securesystemslib.signer")
        keytype, name = _SCHEMES[public_key.algorithm]
        public = _verification_text(public_key)
        key = backends.SSlibKey(public_key.key_id, keytype, name, {"public": public})
        uri = f"{reference.scheme}:{rest}"
        backend = backends.Signer.from_priv_key_uri(
            uri, key, lambda _purpose: "" if pin is None else pin.reveal()
        )
    except ImportError as error:
        refuse("a package is missing", locator, error.name or "", "pip install sluicegate[kms]")
    except Exception as error:  # noqa: BLE001 - each backend raises its own kinds
        refuse("the key service cannot be used", locator, type(error).__name__)
    return RemoteSigner(backend, public_key, locator)


def _verification_text(public_key: PublicKey) -> str:
    """Return a public key as securesystemslib writes it: hexadecimal for Ed25519, otherwise PEM."""
    if public_key.algorithm is not Algorithm.ED25519:
        return public_key.to_pem().decode("ascii")
    from cryptography.hazmat.primitives import serialization

    raw = serialization.load_pem_public_key(public_key.to_pem()).public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return raw.hex()
