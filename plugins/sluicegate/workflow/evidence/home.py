"""Where one installation keeps its state: ledger, trust, policy, keys and baselines."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.attest.secret import Secret
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from sluicegate.workflow.evidence.published import Published, Snapshot

ENV_HOME = "SLUICEGATE_HOME"
"""Environment variable of the command line and of everything outside Airflow."""

ENV_AIRFLOW_HOME_SETTING = "AIRFLOW__SLUICEGATE__HOME"
"""Airflow's spelling of ``[sluicegate] home``. Two names with different values are an error, so
that the two halves of a deployment cannot read two ledgers."""

ENV_LEDGER = "SLUICEGATE_LEDGER"
"""URL of a ledger in PostgreSQL; if it is not set, the ledger is a file in the home directory."""

ENV_AIRFLOW_LEDGER_SETTING = "AIRFLOW__SLUICEGATE__LEDGER"
"""Airflow's spelling of ``[sluicegate] ledger``."""

ENV_REMEMBERED = "SLUICEGATE_REMEMBERED"
"""File of what is remembered of the ledger; if it is not set, a file beside the home directory."""

ENV_AIRFLOW_REMEMBERED_SETTING = "AIRFLOW__SLUICEGATE__REMEMBERED"
"""Airflow's spelling of ``[sluicegate] remembered``."""

ENV_HOME_PIN = "SLUICEGATE_HOME_PIN"
"""What vouches for a home in a store: ``trust:HEX`` or ``index:HEX``."""

ENV_HOME_CACHE = "SLUICEGATE_HOME_CACHE"
"""Directory for copies of a home in a store."""

_NAMES = {
    ENV_HOME: ENV_AIRFLOW_HOME_SETTING,
    ENV_LEDGER: ENV_AIRFLOW_LEDGER_SETTING,
    ENV_REMEMBERED: ENV_AIRFLOW_REMEMBERED_SETTING,
    ENV_HOME_PIN: "AIRFLOW__SLUICEGATE__HOME_PIN",
    ENV_HOME_CACHE: "AIRFLOW__SLUICEGATE__HOME_CACHE",
}
"""Our name of each setting, and Airflow's name of it."""

_INDIRECT = ("_CMD", "_SECRET")
"""Endings of names whose value only Airflow finds: by a command, or in a secrets backend."""

ENV_ADMITTED = "SLUICEGATE_ADMITTED"
"""JSON object that the guard leaves for the verified read, see
`sluicegate.workflow.admission.admitted`. It is only a pointer: the read verifies it again."""

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A source is a directory name, a URI authority and a ledger field at once. So it holds nothing
that one of the three would rewrite: no slash, no colon, no space, no leading dot."""

_NO_LEDGER = Secret("", "ledger URL")

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
        ledger_url: Ledger in PostgreSQL; empty for the file in `root`. May hold a password.
        remembered_at: Absolute path of what is remembered of the ledger; None for the default,
            see `memory`.
        published: Settings of the store that the home is published in; None for a directory.
        snapshot: The release that `root` is a copy of.
    """

    root: Path
    ledger_url: Secret = _NO_LEDGER
    remembered_at: Path | None = None
    published: Published | None = None
    snapshot: Snapshot | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_text(
        cls,
        value: str | None,
        *,
        ledger: str | Secret | None = None,
        remembered: str | None = None,
        pin: str = "",
        cache: str = "",
    ) -> SluiceHome:
        """Return the home that settings name; one in a store is verified and copied here first.

        Args:
            value: The directory, or the URL of a store.
            ledger: URL of the ledger, if it is not the file in the directory.
            remembered: File of what is remembered, if not beside the home directory.
            pin: For a store: what vouches for it.
            cache: For a store: directory for copies.

        Raises:
            ConfigError: No directory is set; or a path is relative, which would mean another
                ledger in each working directory.
            SluicegateError: As `Published.open`, for a store.
        """
        if not value or not value.strip():
            raise ConfigError("no home directory is set", next_step=_SET_HOME)
        url = ledger if isinstance(ledger, Secret) else Secret((ledger or "").strip(), "ledger URL")
        place = _remembered(remembered)
        if "://" not in value:
            return cls(_absolute(value, "the home directory", _SET_HOME), url, place)
        from sluicegate.workflow.evidence.published import Published, remember_at_least

        published = Published(value.strip(), pin, cache)
        snapshot = published.open(datetime.now(UTC))
        if not url:
            raise ConfigError(
                "a home in a store needs a ledger in PostgreSQL, which many machines share",
                next_step=f"Set [sluicegate] ledger, or {ENV_LEDGER}.",
            )
        home = cls(snapshot.root, url, place, published, snapshot)
        remember_at_least(snapshot, home.memory)
        return home

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> SluiceHome:
        """Return the home that environment variables name.

        Raises:
            ConfigError: See ``from_text``; two names of a setting contradict each other; or
                only Airflow can find the value.
        """
        home, ledger, remembered, pin, cache = (_named(name, environ) for name in _NAMES)
        return cls.from_text(home, ledger=ledger, remembered=remembered, pin=pin, cache=cache)

    @property
    def environ(self) -> dict[str, str]:
        """Variables from which `from_environ` makes this home again."""
        found = {ENV_HOME: self.place, ENV_LEDGER: self.ledger_url.reveal()}
        if self.published is not None:
            found |= {ENV_HOME_PIN: self.published.pin, ENV_HOME_CACHE: self.published.cache}
        found[ENV_REMEMBERED] = str(self.remembered_at or "")
        return {name: value for name, value in found.items() if value}

    def export(self, environ: MutableMapping[str, str]) -> None:
        """Set every name of every setting to this home, so that no name can mean another.

        Args:
            environ: The process's environment, which its children inherit.
        """
        for name in setting_names():
            environ.pop(name, None)
        for ours, value in self.environ.items():
            environ[ours] = environ[_NAMES[ours]] = value

    @property
    def place(self) -> str:
        """What a setting says of the home: its directory, or the URL of its store."""
        return str(self.root) if self.published is None else self.published.url

    def require_directory(self, what: str) -> None:
        """Return if this home is a directory that may be written.

        Args:
            what: What is about to be kept there, for the message.

        Raises:
            ConfigError: It is a copy of a published one, which changes by `sluicegate home push`.
        """
        if self.published is not None:
            raise ConfigError(
                f"{what} cannot be kept in a published home",
                locator=self.place,
                next_step="Run the command on a home directory, then `sluicegate home push`.",
            )

    @property
    def ledger(self) -> Path:
        """File of the SQLite ledger; it does not exist if `ledger_url` names another ledger."""
        return self.root / "ledger.db"

    @property
    def memory(self) -> Path:
        """File of what is remembered of the ledger.

        It lies outside the home, so that a restored home does not bring back an old one. Every
        process finds it from the home directory alone; nothing needs to be configured.

        Raises:
            ConfigError: The home is the root of a file system, so nothing can lie beside it.
        """
        if self.remembered_at is not None:
            return self.remembered_at
        if self.published is not None:
            return self.root.parent / "remembered" / "memory.json"
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
        """Directory of every checkpoint that witnesses cosigned; says when the ledger held what."""
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
        """Directory of manifests in parts, of very large sources; only their roots are signed."""
        return self.root / "manifests"

    @property
    def trust(self) -> Path:
        """File of the trust policy: which keys may sign what."""
        return self.root / "trust.json"

    @property
    def policy(self) -> Path:
        """File of the gate policy."""
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
            SluicegateError: As `Snapshot.fetch`, for a published home.
        """
        place = f"baselines/{check_source_name(source)}"
        if self.snapshot is not None:
            self.snapshot.fetch(f"{place}/")
        return self.root / place


def setting_names() -> Iterator[str]:
    """Yield every environment variable that may say where an installation is."""
    for ours, airflows in _NAMES.items():
        yield from (ours, airflows, *(airflows + ending for ending in _INDIRECT))


def one_value(setting: str, airflows: str | None, ours: str | None) -> str:
    """Return the value that the names of a setting agree on; "" if neither has one.

    Args:
        setting: Our name of the setting, for the message.
        airflows: The value in Airflow's configuration.
        ours: The value of our environment variable.

    Raises:
        ConfigError: They contradict each other. The values stay out of the message: a ledger's
            URL may hold a password.
    """
    values = {text.strip().rstrip("/"): text.strip() for text in (airflows, ours) if text}
    values.pop("", None)
    if len(values) > 1:
        raise ConfigError(
            "two names of one setting have different values",
            locator=f"{setting} and {_NAMES[setting]}",
            next_step="Set only one of them, or both to the same value.",
        )
    return next(iter(values.values()), "")


def _named(ours: str, environ: Mapping[str, str]) -> str:
    airflows = _NAMES[ours]
    value = one_value(ours, environ.get(airflows), environ.get(ours))
    indirect = [airflows + ending for ending in _INDIRECT if environ.get(airflows + ending)]
    if indirect and not value:
        raise ConfigError(
            "only Airflow can find the value of this setting",
            locator=indirect[0],
            next_step=f"Set {ours} too, where no Airflow reads it.",
        )
    return value


def _remembered(value: str | None) -> Path | None:
    if not value or not value.strip():
        return None
    step = f"Set [sluicegate] remembered, or {ENV_REMEMBERED}."
    return _absolute(value, "the place of the remembered checkpoint", step)


def _absolute(value: str, what: str, next_step: str) -> Path:
    """Return an absolute path. Any other text may be a secret, so the error does not show it.

    A base64 key may begin with a slash. So a path with such a part must exist, or at least the
    directory that it would be made in.
    """
    from sluicegate.adapters.keys.reference import may_be_key

    try:
        path = Path(value.strip()).expanduser()
        if b"\0" not in os.fsencode(path) and path.is_absolute() and not may_be_key(path):
            return path
    except (RuntimeError, ValueError):  # a user that is not there; characters that no path has
        pass
    raise ConfigError(
        f"{what} is not an absolute path",
        expected="an absolute path",
        next_step=next_step,
    )
