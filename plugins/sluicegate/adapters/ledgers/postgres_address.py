"""Where a PostgreSQL ledger is: a URL that is safe to print."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sluicegate.errors import ConfigError

DEFAULT_SCHEMA: Final = "sluicegate"
"""Schema of a ledger whose URL names none. It is not `public`, to which others write too."""

_DIALECTS: Final = ("postgresql", "postgres", "postgresql+pg8000")
_OPTIONS: Final = {"schema", "sslmode", "sslrootcert"}
_MODES: Final = ("verify-full", "disable")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
_LOOPBACK: Final = ("", "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed ledger URL.

    Attributes:
        url: For SQLAlchemy. It holds the password, so `repr` leaves it out.
        schema: PostgreSQL schema of the tables.
        sslmode: ``verify-full`` or ``disable``.
        sslrootcert: File of the certificates to trust; empty for the system's.
        locator: The URL for messages, without password.
    """

    url: URL = field(repr=False)
    schema: str
    sslmode: str
    sslrootcert: str
    locator: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ``postgresql://user:password@host:port/database?schema=name``.

        Args:
            text: Options are `schema`, `sslmode` (`verify-full` or `disable`, which is the
                default on loopback only) and `sslrootcert` (a file).

        Raises:
            ConfigError: The URL is unusable, or the driver is not installed. The message does
                not quote the URL, which may hold a password.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise _unusable("not a URL") from None
        if url.drivername not in _DIALECTS:
            raise _unusable("unknown kind of database")
        if not _HOST.fullmatch(url.host or "") or "@" in (url.database or ""):
            # What was parsed as host or database may be the rest of the password.
            raise _unusable("user or password hold one of @ : / # ? as they are")
        options = {key: str(value) for key, value in url.query.items()}
        if options.keys() - _OPTIONS:
            raise _unusable("unknown option")
        mode = options.get("sslmode", "disable" if _is_local(url) else "verify-full")
        if mode not in _MODES:
            raise _unusable("unknown sslmode")
        if not url.database or not url.username:
            raise _unusable("no user or no database is named")
        if find_spec("pg8000") is None:
            raise ConfigError(
                "the PostgreSQL driver is not installed",
                next_step="Run: pip install 'sluicegate[postgres]'",
            )
        schema = options.get("schema", DEFAULT_SCHEMA)
        bare = url.set(drivername="postgresql+pg8000", query={})
        shown = url.set(password=None, query={"schema": schema}).render_as_string()
        return cls(bare, schema, mode, options.get("sslrootcert", ""), shown)

    def connect_args(self) -> dict[str, Any]:
        """Return the driver's arguments that the URL does not hold, TLS among them.

        Raises:
            ConfigError: The certificates cannot be read.
        """
        arguments: dict[str, Any] = {"application_name": "sluicegate"}
        if self.sslmode == "verify-full":
            try:
                context = ssl.create_default_context(cafile=self.sslrootcert or None)
            except OSError as error:
                raise ConfigError(
                    "sslrootcert cannot be read", locator=self.locator, got=error.strerror or ""
                ) from None
            arguments["ssl_context"] = context
        elif _is_local(self.url):
            # Without this the driver offers TLS that trusts anybody, and first loads every
            # certificate authority of the system: half of what a guarded start takes.
            arguments["ssl_context"] = False
        return arguments


def _is_local(url: URL) -> bool:
    return (url.host or "") in _LOOPBACK


def _unusable(what: str) -> ConfigError:
    # The message quotes no part of the URL: a password that is not encoded can end up anywhere.
    return ConfigError(
        what,
        locator="ledger URL",
        expected="postgresql://user@host/database, then ?schema=NAME, "
        f"sslmode={' or '.join(_MODES)}, sslrootcert=FILE",
        next_step="Correct [sluicegate] ledger, or SLUICEGATE_LEDGER; encode @ : / # ? in a "
        "password as %40 %3A %2F %23 %3F.",
    )
