"""The keys that a role signs with: one, or several that sign together.

The first of these that is set counts: what the caller names, the variable
``SLUICEGATE_KEY_<ROLE>``, the option ``key_<role>``, the file ``ROLE.pem`` of the home's keys.
Further keys come the same way, from ``SLUICEGATE_COSIGN_<ROLE>``, ``cosign_<role>`` and the
files ``ROLE.cosign*.pem``. docs/keys.md specifies it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.adapters.keys.settings import ENV_COSIGN, ENV_KEY
from sluicegate.adapters.keys.sources import (
    KeyPlaces,
    open_file,
    open_held,
    open_signer,
    read_public_key,
    refuse,
)
from sluicegate.attest.keys import JointSigner, Signer
from sluicegate.attest.secret import Secret
from sluicegate.attest.trust_rules import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def role_signer(
    role: str,
    *,
    directory: Path | None,
    environ: Mapping[str, str],
    option: Callable[[str], str | None],
    stores: Mapping[str, Callable[[str], str]] | None = None,
    given: Sequence[str] = (),
    public_key: Path | None = None,
) -> Signer:
    """Return what a role signs with.

    Args:
        role: One of `SIGNING_ROLES`.
        directory: The home's keys; None if there is no home.
        environ: Environment variables.
        option: Returns the configured text of ``key_<role>`` and ``cosign_<role>``, or None.
        stores: Schemes of further places, each with the function that looks a name up there.
        given: References to all keys of the role. They replace what is configured.
        public_key: PEM file of the first key; needed if that key signs remotely.

    Returns:
        The role's key, or a joint signer if there are several.

    Raises:
        ConfigError: A key is missing or unusable, or the ledger has several keys.
    """
    public = public_key or _public_file(directory, role)
    named = [_Named(text, f"key of role {role}") for text in given]
    signers = [
        _opened(
            one,
            KeyPlaces(
                environ=environ,
                # The second key has its own passphrase, such as SLUICEGATE_PIN_GATE_2.
                role=role if number == 1 else f"{role}_{number}",
                public_key=read_public_key(public) if public and number == 1 else None,
                stores=stores or {},
            ),
        )
        for number, one in enumerate(named or _configured(role, directory, environ, option), 1)
    ]
    if len(signers) == 1:
        return signers[0]
    if role == Role.LEDGER:
        # Witnesses give a checkpoint its second signature.
        refuse("the ledger has one key", f"key of role {role}", f"{len(signers)} keys")
    return JointSigner(*signers)


@dataclass(frozen=True, slots=True)
class _Named:
    """A reference to a key, and the name of the setting that holds it."""

    text: str = field(repr=False)
    setting: str


def _opened(named: _Named | Secret | Path, places: KeyPlaces) -> Signer:
    if isinstance(named, Secret):
        return open_held(named, places)
    if isinstance(named, Path):
        return open_file(named, places)
    return open_signer(named.text, places, setting=named.setting)


def _configured(
    role: str,
    directory: Path | None,
    environ: Mapping[str, str],
    option: Callable[[str], str | None],
) -> list[_Named | Secret | Path]:
    first, further = _first(role, directory, environ, option), f"{ENV_COSIGN}{role.upper()}"
    listed, setting = environ.get(further), further
    if not listed:
        listed, setting = option(f"cosign_{role}"), f"[sluicegate] cosign_{role}"
    if listed:
        parts = [part.strip() for part in listed.split(",")]
        return [first, *(_Named(part, setting) for part in parts if part)]
    return [first, *(_cosigning_files(directory, role) if directory else [])]


def _first(
    role: str,
    directory: Path | None,
    environ: Mapping[str, str],
    option: Callable[[str], str | None],
) -> _Named | Secret | Path:
    name = f"{ENV_KEY}{role.upper()}"
    if held := environ.get(name):
        return Secret(held, f"env:{name}")
    # Airflow shows its configuration in logs and on a page, so a key must not stand there.
    if reference := option(f"key_{role}"):
        return _Named(reference, f"[sluicegate] key_{role}")
    if directory is None:
        refuse("no key is named", f"key of role {role}", "", f"--key, or {name}")
    return directory / f"{role}.pem"


def _cosigning_files(directory: Path, role: str) -> list[Path]:
    found = sorted(directory.glob(f"{role}.cosign*.pem"))
    return [path for path in found if not path.name.endswith(".pub.pem")]


def _public_file(directory: Path | None, role: str) -> Path | None:
    path = None if directory is None else directory / f"{role}.pub.pem"
    # Path.is_file would raise if this user may not look; opening the key says so better.
    return path if path is not None and os.path.isfile(path) else None  # noqa: PTH113
