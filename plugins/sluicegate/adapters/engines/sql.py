"""The one place where SQLAlchemy engines are made: they write nothing of ours to their logs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine

if TYPE_CHECKING:
    from sqlalchemy import Engine

_POOL: Final = "sluicegate"


def quiet_engine(url: Any, **options: Any) -> Engine:
    """Return an engine that keeps statements, parameters and tracebacks to itself.

    An error of a connection is raised where the connection is used, and gets a code there. The
    pool logs it too when it frees the connection, with a traceback that quotes the SQL, and a
    process without logging prints that to its console. Only this pool's logger is silenced.

    Args:
        url: URL or text, as SQLAlchemy's `create_engine` takes it; may hold a password.
        **options: Further options of `create_engine`.
    """
    engine = create_engine(url, hide_parameters=True, pool_logging_name=_POOL, **options)
    kind = type(engine.pool)
    logger = logging.getLogger(f"{kind.__module__}.{kind.__qualname__}.{_POOL}")
    logger.setLevel(logging.CRITICAL + 1)
    return engine
