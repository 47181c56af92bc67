"""Where one installation keeps its state: ledger, trust, policy, keys and baselines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_HOME = "SLUICEGATE_HOME"
"""Environment variable of the command line and of everything outside Airflow."""

ENV_AIRFLOW_HOME_SETTING = "AIRFLOW__SLUICEGATE__HOME"
"""Airflow's spelling of ``[sluicegate] home``; it wins, so that both halves of one
deployment cannot read two different ledgers."""

ENV_LEDGER = "SLUICEGATE_LEDGER"
"""URL of a ledger in PostgreSQL; without it the ledger is a file in the home directory."""

ENV_AIRFLOW_LEDGER_SETTING = "AIRFLOW__SLUICEGATE__LEDGER"
"""Airflow's spelling of ``[sluicegate] ledger``; it wins, as with the home."""

ENV_REMEMBERED = "SLUICEGATE_REMEMBERED"
"""File of what is remembered of the ledger; without it one beside the home directory."""

ENV_AIRFLOW_REMEMBERED_SETTING = "AIRFLOW__SLUICEGATE__REMEMBERED"
"""Airflow's spelling of ``[sluicegate] remembered``; it wins, as with the home."""

ENV_ADMITTED = "SLUICEGATE_ADMITTED"
"""JSON object, source to verdict envelope digest, that the guard leaves for the verified
read. A pointer: it is verified again there."""

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A source is a directory name, a URI authority and a ledger field at once, so it holds
nothing that one of the three would rewrite: no slash, no colon, no space, no leading dot."""

_SET_HOME = f"Set [sluicegate] home in Airflow's configuration, or {ENV_HOME}."


def check_source_name(source: str) -> str:
    """Return ``source`` unchanged if it may name a source.

    Args:
        source: 1 to 128 of ASCII letters, digits, ``.``, ``_`` and ``-``; the first is a
            letter or digit.

    Raises:
        ConfigError: Any other string.
    """
    if not SOURCE_NAME.fullmatch(source):
        raise ConfigError(
            "not a source name",
            locator=repr(source[:160]),
            expected="1 to 128 of letters, digits, '.', '_', '-', first a letter or digit",
            next_step="Rename the source.",
        )
    return source


@dataclass(frozen=True, slots=True)
class SluiceHome:
    """Paths below one home directory; none of them needs to exist yet.

    Attributes:
        root: The directory itself.
        ledger_url: Ledger in PostgreSQL; empty for the file in `root`. May hold a password,
            so it is left out of the representation.
        remembered_at: Absolute path of what is remembered of the ledger; None for the default,
            see `memory`.
    """

    root: Path
    ledger_url: str = field(default="", repr=False)
    remembered_at: Path | None = None

    @classmethod
    def from_text(
        cls, value: str | None, *, ledger: str | None = None, remembered: str | None = None
    ) -> SluiceHome:
        """Return the home that settings name.

        Args:
            value: The directory.
            ledger: URL of the ledger, if it is not the file in the directory.
            remembered: File of what is remembered, if not beside the home directory.

        Raises:
            ConfigError: Nothing set, or a relative path, which would mean another ledger
                in each working directory.
        """
        if not value or not value.strip():
            raise ConfigError("no home directory is set", next_step=_SET_HOME)
        root = Path(value.strip()).expanduser()
        if not root.is_absolute():
            raise ConfigError(
                "the home directory is a relative path",
                locator=value,
                expected="an absolute path",
                next_step=_SET_HOME,
            )
        return cls(root, (ledger or "").strip(), _remembered(remembered))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> SluiceHome:
        """Return the home that environment variables name; Airflow's own wins.

        Raises:
            ConfigError: See ``from_text``.
        """
        return cls.from_text(
            environ.get(ENV_AIRFLOW_HOME_SETTING) or environ.get(ENV_HOME),
            ledger=environ.get(ENV_AIRFLOW_LEDGER_SETTING) or environ.get(ENV_LEDGER),
            remembered=environ.get(ENV_AIRFLOW_REMEMBERED_SETTING) or environ.get(ENV_REMEMBERED),
        )

    @property
    def environ(self) -> dict[str, str]:
        """Variables from which `from_environ` makes this home again.

        None is left out: what a variable held before may be somebody else's, and an empty one
        means the default.
        """
        return {
            ENV_HOME: str(self.root),
            ENV_LEDGER: self.ledger_url,
            ENV_REMEMBERED: str(self.remembered_at or ""),
        }

    @property
    def ledger(self) -> Path:
        """SQLite ledger; not there when `ledger_url` names another."""
        return self.root / "ledger.db"

    @property
    def memory(self) -> Path:
        """What is remembered of the ledger: outside the home, so that no restore puts it back.

        Every process finds it from the home directory alone, with nothing to configure.

        Raises:
            ConfigError: The home is a root directory, which has no place beside it.
        """
        if self.remembered_at is not None:
            return self.remembered_at
        home = self.root.resolve()  # `--home` resolves links, the settings do not
        if not home.name:
            raise ConfigError(
                "there is no place beside the home directory for what is remembered",
                locator=str(home),
                next_step=f"Set [sluicegate] remembered, or {ENV_REMEMBERED}.",
            )
        return home.with_name(f"{home.name}.remembered") / "memory.json"

    @property
    def cosigned(self) -> Path:
        """Newest checkpoint that witnesses cosigned."""
        return self.root / "cosigned"

    @property
    def witnessed(self) -> Path:
        """Directory of every checkpoint that witnesses cosigned: when the ledger held what."""
        return self.root / "witnessed"

    @property
    def certificates(self) -> Path:
        """Directory of chains of signers that an authority vouches for."""
        return self.root / "certificates"

    @property
    def timestamps(self) -> Path:
        """Directory of RFC 3161 answers, by SHA-256 of the envelope."""
        return self.root / "timestamps"

    @property
    def manifests(self) -> Path:
        """Manifests in parts of very large sources; their roots are signed, they are not."""
        return self.root / "manifests"

    @property
    def trust(self) -> Path:
        """Trust policy: which keys may sign what."""
        return self.root / "trust.json"

    @property
    def policy(self) -> Path:
        """Gate policy."""
        return self.root / "policy.yaml"

    @property
    def keys(self) -> Path:
        """Directory of private keys; training tasks must not be able to read it."""
        return self.root / "keys"

    def key(self, role: str) -> Path:
        """Private key of one role, e.g. ``source``, ``gate``, ``baseline``, ``ledger``."""
        return self.keys / f"{role}.pem"

    def baseline_dir(self, source: str) -> Path:
        """Directory of ``baseline.json`` and ``baseline.intoto.json`` of one source.

        Raises:
            ConfigError: ``source`` is not a source name.
        """
        return self.root / "baselines" / check_source_name(source)


def _remembered(value: str | None) -> Path | None:
    if not value or not value.strip():
        return None
    path = Path(value.strip()).expanduser()
    if not path.is_absolute():
        raise ConfigError(
            "the place of what is remembered is a relative path",
            locator=value,
            expected="an absolute path",
            next_step=f"Set [sluicegate] remembered, or {ENV_REMEMBERED}.",
        )
    return path
