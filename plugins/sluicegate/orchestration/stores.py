"""Open stores and databases by Airflow connections, so that credentials stay in its backends."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit


def filesystem_of(location: str, conn_id: str | None) -> Any:
    """Return the file system of a URL with the credentials of an Airflow connection.

    Args:
        location: URL such as ``s3://bucket/prefix``; paths without a protocol need none.
        conn_id: Airflow connection; None leaves credentials to the store's own library.

    Returns:
        An fsspec file system; for rows of a database its URL with user and password; None if there
        is nothing to look up.

    Raises:
        ConfigError: Airflow has no provider for this protocol, or no such connection.

    Cost:
        The import of Airflow's object storage, only with a ``conn_id``.
    """
    if conn_id is None or "://" not in location:
        return None
    from sluicegate.adapters.sources.rows import is_database

    if is_database(location):
        return _database_url(location, conn_id)
    from airflow.sdk import ObjectStoragePath

    from sluicegate.errors import ConfigError

    try:
        return ObjectStoragePath(location, conn_id=conn_id).fs
    except (ValueError, ImportError, LookupError) as error:
        raise ConfigError(
            "Airflow cannot open this store",
            locator=location,
            got=type(error).__name__,
            next_step="Install the provider of this protocol, e.g. "
            "apache-airflow-providers-amazon[s3fs], and check the connection.",
        ) from None  # its text may quote the connection's URL


def _database_url(location: str, conn_id: str) -> str:
    """Return the location's own URL with the connection's user and password.

    Raises:
        ConfigError: There is no such connection, or it is of another host: a password goes only to
            the host for which an administrator wrote it down.
    """
    from airflow.sdk import Connection

    from sluicegate.errors import ConfigError

    address = urlsplit(location.partition("#")[0])
    try:
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
