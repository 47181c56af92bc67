"""The HTTP side of a witness: C2SP tlog-witness over the standard library's server."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluicegate.ledger.cosigning.witness import Answer, Witness


def build_server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server of the tlog-witness protocol, bound to its port; the caller runs it.

    Args:
        witness: Answers the requests; called from several threads.
        host: Address to listen on.
        port: 0 takes any free one.

    Raises:
        OSError: The address cannot be bound.
    """
    handler = type("Handler", (_Handler,), {"witness": witness})
    return ThreadingHTTPServer((host, port), handler)


class _Handler(BaseHTTPRequestHandler):
    witness: Witness
    protocol_version = "HTTP/1.1"
    timeout = 30  # a client that sends nothing must not hold a thread

    def do_POST(self) -> None:
        """Answer `/add-checkpoint`."""
        from sluicegate.errors import LedgerError
        from sluicegate.ledger.cosigning.witness import MAX_REQUEST_BYTES, Answer

        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True  # the body stays unread
            self._send(Answer(400, b"the body is missing or too long\n"))
            return
        body = self.rfile.read(int(length))
        if self.path != "/add-checkpoint":
            self._send(Answer(404, b"not found\n"))
            return
        try:
            answer = self.witness.add_checkpoint(body)
        except LedgerError as error:
            answer = Answer(500, f"{error.what}\n".encode())
        self._send(answer)

    def do_GET(self) -> None:
        """Answer `<origin hash>/checkpoint`, for monitors."""
        from sluicegate.ledger.cosigning.witness import Answer

        note = self.witness.newest_by_hash(self.path.removesuffix("/checkpoint").lstrip("/"))
        self._send(Answer(404, b"not found\n") if note is None else Answer(200, note))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
        """Print nothing: requests are not authenticated, so anybody could fill the log."""
