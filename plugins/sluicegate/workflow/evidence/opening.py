"""Open, create and migrate the ledger of an installation, under the keys of its trust policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import read_named
from sluicegate.adapters.ledgers.remembered import REMEMBER, require_place
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.attest.trust_file import TrustFile, load_trust
from sluicegate.errors import ConfigError, EvidenceMissing
from sluicegate.file_access import require_safe
from sluicegate.workflow.evidence.certified import read_certified
from sluicegate.workflow.evidence.large import PartStore
from sluicegate.workflow.evidence.recall import MemoryRule, Recall, begin
from sluicegate.workflow.evidence.verified import Evidence

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sluicegate.attest.keys import PublicKey, Signer
    from sluicegate.ledger.log import Ledger
    from sluicegate.workflow.evidence.home import SluiceHome


def read_trust(path: Path, *, remembered_version: int | None = None) -> TrustPolicy:
    """Read the trust policy.

    Args:
        path: File of the policy: signed, or unsigned and pinned by its place.
        remembered_version: Highest version that was ever used.

    Raises:
        ConfigError: Missing, unreadable or unusable.
        VerificationError: Its root keys did not sign it, or it is older than remembered.
    """
    return load_trust(_read(path), locator=str(path), remembered_version=remembered_version)


def read_trust_file(path: Path) -> TrustFile:
    """Read the trust policy with its signatures, and verify them.

    Raises:
        ConfigError: Missing, unreadable or unusable.
        VerificationError: Its root keys did not sign it.
    """
    file = TrustFile.from_bytes(_read(path), locator=str(path))
    file.verified(locator=str(path))
    return file


def _read(path: Path) -> bytes:
    return read_named(
        path,
        "the trust policy cannot be read",
        next_step="Create one with `sluicegate trust init`.",
    )


def open_evidence(
    home: SluiceHome,
    *,
    at: datetime,
    ledger_signer: Signer | None = None,
    memory: MemoryRule = MemoryRule.REQUIRED,
    patience_ms: int | None = None,
) -> Evidence:
    """Open the ledger of ``home`` under the keys its trust policy names.

    Args:
        home: Paths of the installation.
        at: Aware UTC; keys must be valid then.
        ledger_signer: Needed to append; None to read only.
        memory: How to use what this installation remembers.
        patience_ms: How long each step waits for others that hold the ledger; as long as the store
            does by itself when None.

    Raises:
        ConfigError: The trust policy is not usable, or somebody else could replace it or the gate
            policy.
        EvidenceMissing: There is no ledger, or nothing is remembered of it.
        LedgerError: The ledger cannot be read.
        VerificationError: Trust policy or ledger went back; see `recall`.
    """
    require_safe(home.root, home.trust, home.policy)
    file = read_trust_file(home.trust)
    recall = Recall.read(home.memory, memory, appends=ledger_signer is not None)
    if recall is not None:
        recall.require_trust(file, locator=str(home.trust))
    certified = read_certified(home, file.policy)
    trust = certified.now(at)
    ledger = _open_ledger(home, ledger_key(home, trust, at), ledger_signer, patience_ms=patience_ms)
    if recall is not None:
        recall.catch_up(ledger)
    return Evidence(
        trust, ledger, PartStore(home.manifests, home.published is not None), certified, recall
    )


def ledger_key(home: SluiceHome, trust: TrustPolicy, at: datetime) -> PublicKey:
    """Return the key that the ledger of ``home`` is verified with.

    Args:
        home: Paths of the installation.
        trust: Its trust policy.
        at: Aware UTC; the key must be valid then.

    Raises:
        ConfigError: The policy names none or several.
    """
    keys = trust.keys_for(Role.LEDGER, at=at)
    if len(keys) != 1:
        raise ConfigError(
            "the trust policy must name exactly one valid ledger key",
            locator=str(home.trust),
            got=f"{len(keys)} keys",
        )
    return keys[0]


def _open_ledger(
    home: SluiceHome,
    public_key: PublicKey,
    signer: Signer | None,
    *,
    create: bool = False,
    patience_ms: int | None = None,
) -> Ledger:
    """Open the ledger in the store that the settings name."""
    if home.ledger_url:
        from sluicegate.adapters.ledgers import postgres as ledger_postgres

        return ledger_postgres.open_ledger(
            home.ledger_url.reveal(),
            public_key=public_key,
            signer=signer,
            create=create,
            patience_ms=patience_ms,
        )
    from sluicegate.adapters.ledgers import sqlite as ledger_sqlite

    return ledger_sqlite.open_ledger(
        home.ledger, public_key=public_key, signer=signer, create=create, patience_ms=patience_ms
    )


def create_ledger(
    home: SluiceHome, *, at: datetime, signer: Signer | None = None, forget: str = ""
) -> str:
    """Create an empty ledger for the keys in ``home``, and begin to remember it.

    Args:
        home: Paths of the installation.
        at: Aware UTC; the ledger key must be valid then.
        signer: The ledger's key; the file in ``home`` when None.
        forget: Why what is remembered of an earlier ledger may be given up.

    Returns:
        Where it is, for messages.

    Raises:
        ConfigError: The trust policy or the ledger key is not usable, the ledger exists, or another
            one is remembered.
    """
    from sluicegate.attest.keys import read_signer

    signer = signer or read_signer(home.key("ledger"))
    file = read_trust_file(home.trust)
    keys = file.policy.keys_for(Role.LEDGER, at=at)
    if (existing := _existing(home, keys[0])) is not None:
        raise ConfigError(
            "the ledger exists already",
            locator=existing,
            next_step="Evidence is never overwritten; choose another home for a new ledger. "
            f"To use this one here for the first time, run: {REMEMBER}.",
        )
    require_place(home.memory, may_replace=bool(forget), home=home.root)
    with _open_ledger(home, keys[0], signer, create=True) as ledger:
        begin(home, ledger, file, at=at, why=forget or "sluicegate ledger init")
        return ledger.locator


def _existing(home: SluiceHome, public_key: PublicKey) -> str | None:
    """Return where a ledger is already, whoever owns it; None if there is none."""
    if not home.ledger_url:
        return str(home.ledger) if home.ledger.exists() else None
    try:
        with _open_ledger(home, public_key, None) as ledger:
            return ledger.locator
    except EvidenceMissing:
        return None


def migrate_ledger(home: SluiceHome) -> list[int]:
    """Bring the ledger's tables up to date, and return the versions that were applied.

    Raises:
        LedgerError: The store cannot be changed.
    """
    if not home.ledger_url:
        return []  # the file's layout has had one version so far
    from sluicegate.adapters.ledgers import postgres as ledger_postgres

    return ledger_postgres.migrate_ledger(home.ledger_url.reveal())
