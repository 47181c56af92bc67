"""A client of Airflow's REST API that uses nothing but the standard library.

Whoever audits an Airflow needs its records, not its packages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from sluicegate.adapters.foreign_errors import shown
from sluicegate.errors import ConfigError, SluicegateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TIMEOUT_S = 30.0
"""Longest wait for one answer; the API of a busy two-core machine takes a few seconds."""

_PAGE = 100
"""Airflow's own upper limit for one page, unless its administrator changed it."""


class AirflowApiError(SluicegateError):
    """Airflow answered with an error, or not at all."""

    code = "AIRFLOW_API"
    own_exit_code = 48


def _opener(host: str | None) -> OpenerDirector:
    """Return an opener that ignores proxy variables for an instance on this machine."""
    local = host in {"127.0.0.1", "localhost", "::1"}
    return build_opener(ProxyHandler({})) if local else build_opener()


@dataclass(slots=True)
class AirflowApi:
    """Client of one API server.

    Attributes:
        url: Base address, http or https, without a trailing slash.
        username: User, for a server that hands out tokens at ``/auth/token``.
        password: That user's password.
        token: A token that the caller has already. With it, no login happens.

    Raises:
        ConfigError: The address is not http or https.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    _open: OpenerDirector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            # urllib would open file: and ftp: addresses too.
            raise ConfigError(
                "not the address of an Airflow", locator=self.url, expected="http(s)://..."
            )
        self.url = self.url.rstrip("/")
        self._open = _opener(parts.hostname)

    def call(self, method: str, path: str, body: Any = None, **query: str | int | bool) -> Any:
        """Send one authorized request below ``/api/v2`` and return the JSON of the answer.

        The first call logs in, unless a token was given.

        Args:
            method: HTTP verb in capitals.
            path: Path below ``/api/v2``, from its slash on, already escaped (see `part`).
            body: Anything that JSON can hold; None sends no body.
            **query: Parameters of the URL; they are escaped here.

        Raises:
            AirflowApiError: Any status but 2xx, or no answer.
        """
        if not self.token:
            login = {"username": self.username, "password": self.password}
            self.token = str(self.send("POST", "/auth/token", login, {})["access_token"])
        suffix = "?" + urlencode(query) if query else ""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.send(method, f"/api/v2{path}{suffix}", body, headers)

    def pages(self, path: str, key: str, **query: str | int | bool) -> Iterator[dict[str, Any]]:
        """Yield every item of a listing, page by page.

        Args:
            path: Path below ``/api/v2``.
            key: Name of the list in the answer.
            **query: Further parameters; a stable ``order_by`` keeps items from being skipped
                while new ones arrive.

        Raises:
            AirflowApiError: As ``call``, or an answer without that list.
        """
        offset = 0
        while True:
            answer = self.call("GET", path, limit=_PAGE, offset=offset, **query)
            try:
                items = [dict(item) for item in answer[key]]
            except (KeyError, TypeError, ValueError) as error:
                raise AirflowApiError("answer has no list", locator=path, expected=key) from error
            yield from items
            # The server may grant smaller pages than asked for, so only an empty one ends.
            if not items or len(items) + offset >= int(answer.get("total_entries") or 0):
                return
            offset += len(items)

    def send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """Send one request without logging in, and return the JSON of the answer.

        Args:
            method: HTTP verb in capitals.
            path: Path and query below the base address, already escaped.
            body: Anything that JSON can hold; None sends no body.
            headers: Added to the content type; one of the same name replaces it.

        Raises:
            AirflowApiError: Any status but 2xx, no answer within 30 s, or an answer that is not
                JSON. Its text quotes neither the request nor the password.
        """
        request = Request(  # noqa: S310 - __post_init__ allows http and https only
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                **headers,
            },
        )
        try:
            with self._open.open(request, timeout=_TIMEOUT_S) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            said = _said(error.read())
            where = f"{method} {path}"
            raise AirflowApiError(said, locator=where, got=str(error.code)) from None
        except (URLError, OSError, ValueError, HTTPException) as error:
            # A text of these may quote the URL, or the password in it as if it were a port.
            reason = getattr(error, "reason", error)
            got = shown(reason if isinstance(reason, OSError) else error)
            raise AirflowApiError("no usable answer", locator=path, got=got) from None


def _said(answer: bytes) -> str:
    """Return why a server refused, without the parts of the request that FastAPI's 422 repeats."""
    try:
        detail = json.loads(answer)["detail"]
        texts = [detail] if isinstance(detail, str) else [item["msg"] for item in detail]
    except (ValueError, KeyError, TypeError):
        texts = []
    return "; ".join(map(str, texts))[:400] or "the server refused"


def part(text: str) -> str:
    """Return a text escaped as one segment of a path: its slashes too."""
    return quote(text, safe="")
