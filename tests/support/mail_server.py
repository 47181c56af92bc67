"""A mail server and a web hook on the loopback interface that keep what they are told."""

from __future__ import annotations

import contextlib
import email
import email.policy
import http.server
import json
import socketserver
import threading


class _Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to hand over a message."""

    def handle(self):
        self._say("220 test")
        while line := self.rfile.readline().decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == "DATA":
                self._say("354 go on")
                self.server.kept.append(self._message())
                self._say("250 kept")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 test")

    def _message(self):
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return email.message_from_bytes(b"".join(lines), policy=email.policy.default)

    def _say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kept.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments):
        pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextlib.contextmanager
def _serving(handler):
    with _Server(("127.0.0.1", 0), handler) as server:
        server.kept = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1], server.kept
        finally:
            server.shutdown()
            thread.join()


def mail_server():
    """Serve SMTP; yield its port and the list that messages come into."""
    return _serving(_Mail)


def web_hook():
    """Serve HTTP; yield its port and the list that JSON bodies come into."""
    return _serving(_Hook)


def smtp_connection(port):
    """Return Airflow's connection to the mail server, as an environment variable's value."""
    extra = {"disable_ssl": True, "disable_tls": True, "timeout": 10, "retry_limit": 1}
    return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra})
