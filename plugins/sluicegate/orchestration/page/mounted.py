"""What the plugin tells Airflow about the page. Nothing is imported before the first request.

Every process of Airflow loads plugins: schedulers, parsers, workers. Only the API server serves.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sluicegate import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

PREFIX: Final = "/sluicegate"
"""Where the API lies below Airflow's own address."""

PROGRAMS: Final = "/page"
"""Where the page's program lies below `PREFIX`."""


class LazyApp:
    """An ASGI application that is built when the first request arrives."""

    @cached_property
    def _app(self) -> Callable[..., Awaitable[None]]:
        from sluicegate.orchestration.page.api import build

        return build(PROGRAMS)

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        """Hand a request on."""
        await self._app(scope, receive, send)


def fastapi_apps() -> list[dict[str, Any]]:
    """Return what Airflow mounts."""
    return [{"app": LazyApp(), "url_prefix": PREFIX, "name": "Sluicegate"}]


TABS: Final = ("dag", "dag_run", "task", "task_instance")
"""Airflow's pages that get a tab. It takes no two parts of a page under one route."""


def react_apps() -> list[dict[str, Any]]:
    """Return what Airflow shows: one page, in the rail on the left, and a tab where tasks are.

    The address is relative, so that it holds behind a proxy; the version in it ends a browser's
    copy of an older page.
    """
    program = {
        "name": "Sluicegate",
        "bundle_url": f"{PREFIX[1:]}{PROGRAMS}/page.js?v={__version__}",
    }
    rail: dict[str, Any] = {"url_route": "sluicegate", "destination": "nav", "nav_top_level": True}
    tabs = [{"url_route": f"sluicegate-{place}", "destination": place} for place in TABS]
    return [{**program, **place} for place in (rail, *tabs)]
