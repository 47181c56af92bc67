"""Where a PostgreSQL ledger is: a URL that is safe to print."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sluicegate.errors import ConfigError

DEFAULT_SCHEMA: Final = "sluicegate"
"""Schema of a ledger whose URL names none; not `public`, which others write too."""

_DIALECTS: Final = ("postgresql", "postgres", "postgresql+pg8000")
_OPTIONS: Final = {"schema", "sslmode", "sslrootcert"}
_MODES: Final = ("verify-full", "disable")
_LOOPBACK: Final = ("", "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed ledger URL.

    Attributes:
        url: For SQLAlchemy; holds the password, so it is left out of the representation.
        schema: PostgreSQL schema of the tables.
        sslmode: ``verify-full`` or ``disable``.
        sslrootcert: Certificates to believe; empty for the system's.
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
            text: Options are `schema`, `sslmode` (`verify-full`, the default but on
                loopback; or `disable`) and `sslrootcert` (a file).

        Raises:
            ConfigError: Unusable, or the driver is not installed. The text is not quoted: it
                may hold a password.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise _unusable("not a URL") from None
        if url.drivername not in _DIALECTS:
            raise _unusable("unknown kind of database", got=url.drivername[:30])
        options = {key: str(value) for key, value in url.query.items()}
        if unknown := sorted(options.keys() - _OPTIONS):
            raise _unusable("unknown option", got=unknown[0][:30])
        mode = options.get("sslmode", "disable" if _is_local(url) else "verify-full")
        if mode not in _MODES:
            raise _unusable("unknown sslmode", got=mode[:30])
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
        """Return the driver's further arguments.

        Raises:
            ConfigError: The certificates cannot be read.
        """
        arguments: dict[str, Any] = {"application_name": "sluicegate"}
        if self.sslmode == "verify-full":
            try:
                context = ssl.create_default_context(cafile=self.sslrootcert or None)
            except OSError as error:
                raise ConfigError("sslrootcert cannot be read", locator=self.locator) from error
            arguments["ssl_context"] = context
        return arguments


def _is_local(url: URL) -> bool:
    return (url.host or "") in _LOOPBACK


def _unusable(what: str, got: str = "") -> ConfigError:
    return ConfigError(
        what,
        locator="ledger URL",
        expected="postgresql://user@host/database?schema=sluicegate",
        got=got,
        next_step="Correct [sluicegate] ledger, or SLUICEGATE_LEDGER.",
    )
