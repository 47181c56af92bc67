"""What Airflow refuses is told without what was sent, which may be a password."""

from __future__ import annotations

import json
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sluicegate.adapters.airflow_rest import AirflowApi, AirflowApiError

PASSWORD = "hunter2"


class Refusing(BaseHTTPRequestHandler):
    """Refuses a login as FastAPI does: it repeats what it could not accept."""

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        detail = [{"loc": ["body"], "msg": "Field required", "input": sent}]
        self.send_response(422)
        self.end_headers()
        self.wfile.write(json.dumps({"detail": detail}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Refusing) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_refused_login_does_not_show_the_password_that_the_server_repeats(server):
    with pytest.raises(AirflowApiError, match=r"Field required.*got 422") as caught:
        AirflowApi(server, username="admin", password=PASSWORD).call("GET", "/dags")
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["http://admin:hunter2@127.0.0.1:1", "http://admin:h:hunter2@h"])
def test_password_in_the_address_is_in_no_error(url):
    with pytest.raises(AirflowApiError) as caught:
        AirflowApi(url, token="t").call("GET", "/dags")
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
