"""Open stores and databases by Airflow connections, so that credentials stay in its backends.

A seal says by which connection its data were read; whoever reads them later goes the same way.
The connection's id is no secret. What it holds goes only to the endpoint or host that an
administrator wrote into it, never to one that a location names.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote, urlsplit

from sluicegate.attest.predicates import is_connection
from sluicegate.errors import ConfigError

_log = logging.getLogger("sluicegate")


def filesystem_of(location: str, conn_id: str | None) -> Any:
    """Return the file system of a URL with the credentials of an Airflow connection.

    Args:
        location: URL such as ``s3://bucket/prefix``; paths without a protocol need none.
        conn_id: Airflow connection; None leaves credentials to the store's own library.

    Returns:
        An fsspec file system; for rows of a database its URL with user and password; None if there
        is nothing to look up.

    Raises:
        ConfigError: Airflow is not here, has no provider for this protocol, or no such connection.

    Cost:
        The import of Airflow's object storage, only with a ``conn_id``.
    """
    if conn_id is None or "://" not in location:
        return None
    if not is_connection(conn_id):
        raise ConfigError(
            "not the id of a connection",
            locator="conn_id",
            expected="1 to 128 of letters, digits, '.', '_', '-'",
        )
    from sluicegate.adapters.sources.rows import is_database

    if is_database(location):
        return _database_url(location, conn_id)
    try:
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(location, conn_id=conn_id).fs
    except Exception as error:  # noqa: BLE001 - providers and backends raise their own kinds
        raise ConfigError(
            "Airflow cannot open this store",
            locator=location,
            got=type(error).__name__,
            next_step="Install the provider of this protocol, e.g. "
            f"apache-airflow-providers-amazon[s3fs], and check the connection {conn_id}.",
        ) from None  # its text may quote the connection's URL


def filesystem_as_sealed(location: str, conn_id: str | None) -> Any:
    """Return the file system by which a batch was sealed, if it can be had here.

    Where Airflow or the connection is not there, the store's own library looks for credentials: an
    auditor has his own. Whichever are used, what is read is held against the seal.

    Args:
        location: As `filesystem_of`.
        conn_id: Connection that the seal names; None if it names none.
    """
    try:
        return filesystem_of(location, conn_id)
    except ConfigError as error:
        _log.warning("%s The store's own library looks for credentials.", error)
        return None


def _database_url(location: str, conn_id: str) -> str:
    """Return the location's own URL with the connection's user and password.

    Raises:
        ConfigError: There is no such connection, or it is of another host: a password goes only to
            the host for which an administrator wrote it down.
    """
    address = urlsplit(location.partition("#")[0])
    try:
        from airflow.sdk import Connection

        found = Connection.get(conn_id)
    except Exception as error:  # noqa: BLE001 - backends raise their own kinds
        raise ConfigError(
            "the Airflow connection cannot be read", locator=conn_id, got=type(error).__name__
        ) from None
    here = (found.host, found.port or 5432)
    if here != (address.hostname, address.port or 5432):
        raise ConfigError(
            "the connection is of another host than the rows",
            locator=conn_id,
            expected=f"{address.hostname}:{address.port or 5432}",
            got=f"{found.host}:{found.port or 5432}",
        )
    user = quote(found.login or "", safe="")
    password = f":{quote(found.password, safe='')}" if found.password else ""
    place = address.netloc.rpartition("@")[2]
    return address._replace(netloc=f"{user}{password}@{place}").geturl()
