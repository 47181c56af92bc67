"""The one way in which we make an SQLAlchemy engine: nothing of ours is written to its logs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine

if TYPE_CHECKING:
    from sqlalchemy import Engine

_POOL: Final = "sluicegate"


def quiet_engine(url: Any, **options: Any) -> Engine:
    """Return an engine that keeps statements, parameters and tracebacks to itself.

    Whatever goes wrong with a connection is raised where it was used, and gets a code there. The
    pool logs it as well when it lets the connection go, with a traceback that quotes the SQL; a
    process without logging prints that to its console. Only this pool's logger is silenced.

    Args:
        url: As for `create_engine`.
        **options: As for `create_engine`.
    """
    engine = create_engine(url, hide_parameters=True, pool_logging_name=_POOL, **options)
    kind = type(engine.pool)
    logger = logging.getLogger(f"{kind.__module__}.{kind.__qualname__}.{_POOL}")
    logger.setLevel(logging.CRITICAL + 1)
    return engine
