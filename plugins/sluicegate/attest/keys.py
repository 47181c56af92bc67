"""Private keys: they sign, and stay where they are.

A private key lives in a `Signer`, which signs and does nothing else. Nobody can print, copy or
pickle it, or send it through XCom. Only its owner can read its file, and nothing overwrites that
file.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from sluicegate.attest.key_text import looks_like, private_key_in
from sluicegate.attest.public_key import (
    MAX_PEM_BYTES,
    SUPPORTED,
    Algorithm,
    PublicKey,
    load_public_key,
    public_key_of,
    refuse_key,
    sensible_pem,
)
from sluicegate.errors import ConfigError
from sluicegate.file_access import Insiders, readers
from sluicegate.foreign import unwritten

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Algorithm",
    "JointSigner",
    "PublicKey",
    "Signer",
    "generate",
    "load_public_key",
    "load_signer",
    "read_signer",
    "write_key_pair",
]

PRIVATE_NAME: Final = "key.pem"
PUBLIC_NAME: Final = "key.pub.pem"

_PrivateKeys = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
)

# RFC 6979: a P-256 signature needs no randomness. So a weak generator cannot leak the key, and the
# same seal is written as the same bytes.
_SIGN_P256: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class Signer:
    """A key that signs.

    Args:
        private_key: From pyca/cryptography.

    Raises:
        ConfigError: The kind of key or its curve is not supported.
    """

    __slots__ = ("_private_key", "_public_key")

    def __init__(self, private_key: _PrivateKeys) -> None:
        self._private_key = private_key
        self._public_key = public_key_of(private_key.public_key(), locator="private key")

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return self._public_key

    @property
    def members(self) -> tuple[Signer, ...]:
        """The keys that sign a plain envelope: this one, or all keys of a joint signer."""
        return (self,)

    def sign(self, data: bytes) -> bytes:
        """Sign bytes.

        Args:
            data: Any length.

        Returns:
            DER for ECDSA, raw for the others. ML-DSA signatures differ from call to call.

        Cost: below 1 ms, plus hashing the data.
        """
        if isinstance(self._private_key, ec.EllipticCurvePrivateKey):
            return self._private_key.sign(data, _SIGN_P256)
        return self._private_key.sign(data)

    def private_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the private key as PKCS #8 PEM, only to write a new key file.

        Args:
            passphrase: Encrypts the PEM if given.
        """
        encryption = (
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption()
        )
        return self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    def __repr__(self) -> str:
        return f"Signer({self.public_key.algorithm.value}, {self.public_key.short})"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        # This also stops copy, deepcopy, multiprocessing arguments and XCom.
        raise TypeError("a Signer holds a private key and cannot be pickled or copied")


class JointSigner(Signer):
    """Several keys of one role that sign each statement together.

    They serve thresholds, and hybrids of classical and post-quantum keys. If there is room for
    one signature only, as in a Sigstore bundle, the first key signs.

    Args:
        signers: At least two keys together, and each key once.

    Raises:
        ConfigError: There are fewer, or one key is there twice.
    """

    __slots__ = ("_members",)

    def __init__(self, *signers: Signer) -> None:
        # super().__init__ is not called: there is no private key to hold.
        members = tuple(member for signer in signers for member in signer.members)
        if len({member.public_key.key_id for member in members}) != len(members) or not members[1:]:
            raise ConfigError("signing together needs several keys, and each key once")
        self._members = members
        self._public_key = members[0].public_key

    @property
    def members(self) -> tuple[Signer, ...]:
        """The keys, in their order."""
        return self._members

    def sign(self, data: bytes) -> bytes:
        """Sign bytes with the first key alone."""
        return self._members[0].sign(data)

    def private_pem(self, passphrase: bytes | None = None) -> NoReturn:  # noqa: ARG002 - as its base
        """Refuse, because several keys are no PEM.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("several keys cannot be exported as one")


def generate(algorithm: Algorithm) -> Signer:
    """Make a new key from the operating system's randomness.

    Args:
        algorithm: Kind of key.

    Returns:
        Its signer.
    """
    match algorithm:
        case Algorithm.ECDSA_P256:
            return Signer(ec.generate_private_key(ec.SECP256R1()))
        case Algorithm.ED25519:
            return Signer(ed25519.Ed25519PrivateKey.generate())
        case Algorithm.ML_DSA_44:
            return Signer(mldsa.MLDSA44PrivateKey.generate())
        case Algorithm.ML_DSA_65:
            return Signer(mldsa.MLDSA65PrivateKey.generate())


def load_signer(pem: bytes, *, locator: str, passphrase: bytes | None = None) -> Signer:
    """Read a private key.

    Args:
        pem: Text that holds one private key, PKCS #8 or SEC 1, as `private_key_in` finds it.
        locator: Where it came from, for messages.
        passphrase: Passphrase of an encrypted key.

    Returns:
        Its signer.

    Raises:
        ConfigError: It is no private key, its kind is not supported, or the passphrase is
            missing, wrong, or given for a key that needs none.
    """
    encoded = private_key_in(sensible_pem(pem, locator))
    if encoded is None:
        refuse_key("is not a private key", locator, "one key in PEM", looks_like(pem))
    is_pem = encoded.startswith(b"-----")
    load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    try:
        key = load(encoded, passphrase)
    except (ValueError, UnsupportedAlgorithm, TypeError) as error:
        # In pyca/cryptography a TypeError means that a passphrase is missing or superfluous. Its
        # text quotes no key material, but it is dropped all the same.
        what = (
            "private key needs a passphrase, or needs none and got one"
            if isinstance(error, TypeError)
            else "is not a private key that can be read, or the passphrase is wrong"
        )
        refuse_key(what, locator, "PKCS #8 PEM")
    if not isinstance(key, _PrivateKeys):
        refuse_key("kind of key is not supported", locator, SUPPORTED)
    return Signer(key)


def read_signer(path: Path, *, passphrase: bytes | None = None) -> Signer:
    """Read a private key from a file that only its owner can use.

    Args:
        path: PEM file; a symlink is followed, and the mode of its target counts.
        passphrase: Passphrase of an encrypted key.

    Returns:
        The signer.

    Raises:
        ConfigError: The file is missing, not regular or accessible to others
            (`file_access.readers`), or it holds no key.
    """
    try:
        # O_NONBLOCK, because a FIFO in the key's place must not hang the task.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        _refuse_file(path, "private key cannot be read", "Check the path and the user.", error)
    try:
        # The open descriptor is checked: between a check of the path and the read, somebody could
        # swap the file.
        _check_private(os.fstat(descriptor), path)
        pem = os.read(descriptor, MAX_PEM_BYTES + 1)
    finally:
        os.close(descriptor)
    return load_signer(pem, locator=str(path), passphrase=passphrase)


def _check_private(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        _refuse_file(path, "private key is not a regular file", "Check the path.", None)
    if who := readers(status, Insiders.of_process()):
        _refuse_file(
            path,
            f"private key is accessible to others: {who} (mode {stat.S_IMODE(status.st_mode):04o})",
            f"Run: chmod 600 {path}; for a mounted secret set defaultMode: 0400, or give the key "
            "as env:NAME (docs/keys.md).",
            None,
        )


def write_key_pair(
    signer: Signer, directory: Path, *, passphrase: bytes | None = None
) -> tuple[Path, Path]:
    """Write ``key.pem`` (mode 0600) and ``key.pub.pem`` (0644) into a directory.

    Args:
        signer: A new key.
        directory: Made with mode 0700 if it is missing.
        passphrase: Encrypts the private key if given.

    Returns:
        Paths of the private and the public file.

    Raises:
        ConfigError: Either file exists (a key is never overwritten), or no directory can be there.
        SystemTrouble: The directory cannot be written; no half of a pair stays then.
    """
    private, public = directory / PRIVATE_NAME, directory / PUBLIC_NAME
    # Both are looked for first, so that no half of another pair is left behind. If somebody else
    # is faster, the exclusive creation below decides.
    if os.path.lexists(private) or os.path.lexists(public):
        _refuse_file(directory, "already holds a key", "Choose another directory.", None)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(private, signer.private_pem(passphrase), 0o600)
        try:
            _write_new(public, signer.public_key.to_pem(), 0o644)
        except OSError:
            private.unlink()  # without its public half nobody knows what it signs
            raise
    except OSError as error:
        raise unwritten(error, "the key cannot be written", str(directory)) from error
    return private, public


def _write_new(path: Path, data: bytes, mode: int) -> None:
    # The file has its final mode from the start: a key that is readable for a moment has been read.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink()  # a rerun must not find half a key and call it one
        raise


def _refuse_file(path: Path, what: str, next_step: str, cause: Exception | None) -> NoReturn:
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else ""
    raise ConfigError(what, locator=str(path), got=reason, next_step=next_step) from cause
