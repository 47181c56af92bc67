"""What the administrator configured, read once before any DAG file runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.attest.secret import Secret
from sluicegate.errors import ConfigError
from sluicegate.workflow.admission.protected import ASSET_SCHEME
from sluicegate.workflow.evidence.home import (
    ENV_HOME,
    ENV_HOME_CACHE,
    ENV_HOME_PIN,
    ENV_LEDGER,
    ENV_REMEMBERED,
    SluiceHome,
    one_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECTION = "sluicegate"
DEFAULT_PROTECT_TAGS = "training"
_NO_LEDGER = Secret("", "ledger URL")


def _named(value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def _listed(value: str | None, default: str) -> tuple[str, ...]:
    """Split a comma list; an empty one means the default.

    There is no off switch: a list that is emptied, by accident or on purpose, must not stop the
    guard without a trace. To try the gate without blocking, use the policy's shadow mode, which is
    signed into every verdict.
    """
    return _named(value) or _named(default)


def _places(
    get: Callable[[str], str | None], environ: Mapping[str, str]
) -> tuple[dict[str, str], ConfigError | None]:
    """Return the value of each place, and the error if two names of one have two values."""
    places, contradiction = {}, None
    for name in (ENV_HOME, ENV_LEDGER, ENV_REMEMBERED, ENV_HOME_PIN, ENV_HOME_CACHE):
        option = name.removeprefix(f"{SECTION.upper()}_").lower()
        try:
            places[name] = one_value(name, get(option), environ.get(name))
        except ConfigError as error:
            places[name], contradiction = "", error
    return places, contradiction


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Configuration of everything that runs in Airflow.

    Attributes:
        home_text: ``[sluicegate] home`` as written, or "" if nothing is set. It is kept as text,
            because a missing home must refuse the protected task that needs it, and must not break
            every other task.
        ledger_text: ``[sluicegate] ledger``: URL of a ledger in PostgreSQL; may hold a password.
        remembered_text: ``[sluicegate] remembered``: file of what was seen of ledger and trust
            policy, or "" for the default.
        pin_text: ``[sluicegate] home_pin``: what vouches for a home in a store, or "".
        cache_text: ``[sluicegate] home_cache``: directory for copies of it, or "" for the default.
        contradiction: The error if two names of a setting have two values; kept for the same
            reason.
        protect_tags: DAG tags whose tasks are guarded.
        protect_assets: Asset URI prefixes whose consumers are guarded; always holds
            ``sluicegate://``.
        guarded_queues: Queues on which protected tasks are kept; () leaves them where they are.
        preload: What every process of this Airflow loads when it starts, for the tasks that it
            forks; no part of `digest`, because it decides nothing.
    """

    home_text: str = ""
    ledger_text: Secret = _NO_LEDGER
    remembered_text: str = ""
    pin_text: str = ""
    cache_text: str = ""
    contradiction: ConfigError | None = None
    protect_tags: frozenset[str] = frozenset({DEFAULT_PROTECT_TAGS})
    protect_assets: tuple[str, ...] = (ASSET_SCHEME,)
    guarded_queues: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()

    @classmethod
    def read(cls, get: Callable[[str], str | None], environ: Mapping[str, str]) -> Settings:
        """Build settings from a lookup of options of the section ``[sluicegate]``.

        Args:
            get: Returns the value of ``home``, ``ledger``, ``remembered``, ``home_pin``,
                ``home_cache``, ``protect_tags``, ``protect_assets``, ``guarded_queues`` or
                ``preload``, or None if it is not set.
            environ: Environment; ``SLUICEGATE_HOME`` is another name of ``home``, and so on.
        """
        prefixes = _listed(get("protect_assets"), ASSET_SCHEME)
        places, contradiction = _places(get, environ)
        return cls(
            home_text=places[ENV_HOME],
            ledger_text=Secret(places[ENV_LEDGER], "ledger URL"),
            remembered_text=places[ENV_REMEMBERED],
            pin_text=places[ENV_HOME_PIN],
            cache_text=places[ENV_HOME_CACHE],
            contradiction=contradiction,
            protect_tags=frozenset(_listed(get("protect_tags"), DEFAULT_PROTECT_TAGS)),
            protect_assets=prefixes if ASSET_SCHEME in prefixes else (*prefixes, ASSET_SCHEME),
            guarded_queues=_named(get("guarded_queues")),
            preload=_named(get("preload")),
        )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Build settings from environment variables alone; imports no Airflow."""
        prefix = f"AIRFLOW__{SECTION.upper()}__"
        return cls.read(lambda option: environ.get(prefix + option.upper()), environ)

    @classmethod
    def from_airflow(cls, environ: Mapping[str, str]) -> Settings:
        """Build settings from Airflow's configuration, which includes its environment."""
        from airflow.configuration import conf

        return cls.read(lambda option: conf.get(SECTION, option, fallback=None), environ)

    @property
    def digest(self) -> str:
        """Digest of these settings, to compare workers; 12 hex digits.

        The ledger's URL is left out: it may hold a password, which could be guessed from a digest.
        """
        named = (sorted(self.protect_tags), self.protect_assets, self.home_text)
        text = repr((*named, self.remembered_text)) + self.pin_text
        if self.guarded_queues:
            text += repr(self.guarded_queues)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def home(self) -> SluiceHome:
        """Return the home; one in a store is verified and copied here first.

        Raises:
            ConfigError: No home is set, it is relative, or two names of a setting disagree.
            SluicegateError: As `SluiceHome.from_text`, for a store.
        """
        if self.contradiction is not None:
            raise self.contradiction
        return SluiceHome.from_text(
            self.home_text,
            ledger=self.ledger_text,
            remembered=self.remembered_text,
            pin=self.pin_text,
            cache=self.cache_text,
        )
