"""A real HTTP server that misbehaves in every way a web data set has seen."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.adapters.sources.open import open_source
from sluicegate.adapters.sources.url_fetch import FetchLimits, State
from sluicegate.adapters.sources.url_list import (
    UrlItem,
    check_url,
    read_url_list,
    require_due,
    snapshot_time,
)
from sluicegate.adapters.sources.url_snapshot import REPORT_FILE, take_snapshot
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import (
    ConfigError,
    DigestMismatch,
    MalformedEnvelope,
    ManifestMismatch,
    UnreadableData,
)

GOOD = b"a picture of a cat"
HTML = b"<html>this domain is for sale</html>"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        getattr(self, "serve_" + self.path.strip("/").split("/")[0], self.serve_missing)()

    def send(self, data, kind="image/png", status=200, **headers):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def serve_good(self):
        self.send(GOOD)

    def serve_sold(self):
        self.send(HTML, "text/html")

    def serve_typed(self):
        self.send(GOOD, "text/html")

    def do_HEAD(self):
        self.do_GET()

    def serve_later(self):
        """One URL, other bytes of the same length from some day on."""
        self.send(GOOD if not self.server.sold else GOOD.upper())

    def serve_missing(self):
        self.send(b"", status=404)

    def serve_broken(self):
        self.send(b"", status=500)

    def serve_loop(self):
        self.send(b"", status=302, location="/pool")

    def serve_pool(self):
        self.send(b"", status=302, location="/loop")

    def serve_moved(self):
        self.send(b"", status=301, location="/good")

    def serve_deep(self):
        n = int(self.path.rpartition("/")[2] or 0)
        self.send(b"", status=302, location=f"/deep/{n + 1}")

    def serve_file(self):
        self.send(b"", status=302, location="file:///etc/passwd")

    def serve_drip(self):
        self.send_response(200)
        self.send_header("content-length", "1000000")
        self.end_headers()
        for _ in range(100):
            try:
                self.wfile.write(b"x")
            except OSError:
                return
            time.sleep(0.05)

    def serve_huge(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            return

    def serve_short(self):
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b"x")

    def log_message(self, *_):
        pass


_SERVERS = {}


@pytest.fixture
def sold(web):
    """Return what to call on the day the domain changes hands."""
    server = _SERVERS[web]
    server.sold = False
    return lambda: setattr(server, "sold", True)


@pytest.fixture(scope="module")
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.sold = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    _SERVERS[f"http://127.0.0.1:{server.server_port}"] = server
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client():
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


@pytest.fixture
def fetch(web, client, tmp_path):
    def run(*paths, data=GOOD, **limits):
        items = [
            UrlItem(web + path, sha256_bytes(data), f"{number}{path}.png")
            for number, path in enumerate(paths)
        ]
        bounds = FetchLimits(**{"churn_budget": 1.0, "unreachable_budget": 1.0, **limits})
        outcomes = []
        for number, item in enumerate(items):
            try:
                outcomes += take_snapshot(
                    [item], tmp_path / f"s{number}", quarantine=tmp_path / f"q{number}",
                    limits=bounds, client=client,
                ).outcomes  # fmt: skip
            except UnreadableData:
                report = (tmp_path / f"q{number}" / REPORT_FILE).read_text()
                outcomes.append(json.loads(report))
        return outcomes

    return run


def state(outcome):
    if isinstance(outcome, dict):
        return State(outcome["state"]), outcome["reason"]
    return outcome.state, outcome.reason


def test_promised_bytes_are_kept_and_sealed_like_a_directory(fetch, tmp_path):
    (outcome,) = fetch("/good")
    assert outcome.state is State.OK
    assert (tmp_path / "s0/0/good.png").read_bytes() == GOOD
    assert open_source(tmp_path / "s0").manifest() == build_manifest(tmp_path / "s0")


def test_same_url_with_other_bytes_is_changed_and_quarantined(fetch, tmp_path):
    (outcome,) = fetch("/sold")
    assert state(outcome) == (State.CHANGED, "other bytes, sent as text/html")
    kept = tmp_path / "q0" / "0%2Fsold.png.bin"
    assert kept.read_bytes() == HTML
    assert kept.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "s0").exists()


def test_bytes_that_change_between_two_snapshots_are_changed_in_the_second(
    web, client, sold, tmp_path
):
    promised = sha256_bytes(GOOD)
    items = [UrlItem(f"{web}/later", promised, "a"), UrlItem(f"{web}/good", promised, "b")]
    limits = FetchLimits(churn_budget=1.0, unreachable_budget=1.0)
    found = []
    for day in ("monday", "tuesday"):
        kept = take_snapshot(
            items,
            tmp_path / day,
            quarantine=tmp_path / f"{day}-bad",
            limits=limits,
            client=client,
        )
        found.append([outcome.state for outcome in kept.outcomes])
        sold()
    assert found == [[State.OK, State.OK], [State.CHANGED, State.OK]]
    assert not (tmp_path / "tuesday" / "a").exists()


def test_file_on_the_web_that_changes_after_its_seal_is_a_digest_mismatch(web, sold):
    pytest.importorskip("aiohttp")
    source = open_source(f"{web}/later")
    (entry,) = source.manifest().entries
    assert source.read_verified(entry) == GOOD
    sold()
    with pytest.raises(DigestMismatch):
        open_source(f"{web}/later").read_verified(entry)


def test_wrong_content_type_with_right_bytes_is_recorded(fetch):
    (outcome,) = fetch("/typed")
    assert (outcome.state, outcome.content_type) == (State.OK, "text/html")


def test_redirect_is_followed_and_recorded(fetch, web):
    (outcome,) = fetch("/moved")
    assert (outcome.state, outcome.redirects) == (State.OK, (f"{web}/good",))


@pytest.mark.parametrize(
    ("path", "expected", "reason"),
    [
        ("/missing", State.GONE, "HTTP 404"),
        ("/broken", State.UNREACHABLE, "HTTP 500"),
        ("/loop", State.UNREACHABLE, "redirect loop"),
        ("/deep/0", State.UNREACHABLE, "more than 5 redirects"),
        ("/file", State.UNREACHABLE, "redirect to what is not http or https"),
        ("/drip", State.UNREACHABLE, "slower than its time limit"),
        ("/huge", State.UNREACHABLE, "longer than the limit of 1000000 bytes"),
        ("/short", State.UNREACHABLE, "RemoteProtocolError"),
    ],
)
def test_each_failure_has_its_own_class_and_reason(fetch, path, expected, reason):
    (outcome,) = fetch(path, item_s=0.5, item_bytes=1_000_000)
    assert state(outcome) == (expected, reason)


def test_server_that_is_down_is_unreachable(client, tmp_path):
    item = UrlItem("http://127.0.0.1:9/x", sha256_bytes(GOOD), "x")
    with pytest.raises(UnreadableData, match="1 unreachable"):
        take_snapshot([item], tmp_path / "s", quarantine=tmp_path / "q", client=client)
    assert not (tmp_path / "s").exists()


def _mixed(web, bad):
    good = UrlItem(f"{web}/good", sha256_bytes(GOOD), "good")
    return [good, UrlItem(web + bad, sha256_bytes(b"something else"), "bad")]


def test_churn_beyond_the_budget_refuses_the_whole_list(web, client, tmp_path):
    with pytest.raises(ManifestMismatch, match="1 ok, 0 gone, 1 changed"):
        take_snapshot(
            _mixed(web, "/sold"), tmp_path / "s", quarantine=tmp_path / "q", client=client
        )
    assert not (tmp_path / "s").exists()


def test_churn_within_the_budget_keeps_the_rest(web, client, tmp_path):
    snapshot = take_snapshot(
        _mixed(web, "/missing"), tmp_path / "s", quarantine=tmp_path / "q",
        client=client, limits=FetchLimits(churn_budget=0.5),
    )  # fmt: skip
    assert snapshot.churn == 0.5
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["good"]
    report = [json.loads(line) for line in (tmp_path / "q" / REPORT_FILE).read_text().splitlines()]
    assert [line["state"] for line in report] == ["ok", "gone"]


def test_length_beyond_the_promised_one_is_changed(web, client, tmp_path):
    item = UrlItem(f"{web}/good", sha256_bytes(GOOD), "x", size_bytes=3)
    with pytest.raises(ManifestMismatch, match="1 changed"):
        take_snapshot([item], tmp_path / "s", quarantine=tmp_path / "q", client=client)


HEX = "ab" * 32


def test_list_is_read():
    items = read_url_list(
        f"url,sha256,name,size\nhttps://a.example/x,{HEX},a/x.png,5\n".encode(), locator="l"
    )
    assert items == (UrlItem("https://a.example/x", Digest("sha256", HEX),
                             "a/x.png", 5),)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"url,md5\nhttps://a.example/x,{HEX}\n", "other columns"),
        ("url,sha256\nhttps://a.example/x,abc\n", "line 2"),
        (f"url,sha256\nfile:///etc/passwd,{HEX}\n", "may not be fetched"),
        (f"url,sha256\nhttps://u:p@a.example/x,{HEX}\n", "may not be fetched"),
        (f"url,sha256\nhttps://a.example/x,{HEX},more\n", "number of fields"),
        (f"url,sha256\nhttps://a.example/x,{HEX}\nhttps://b.example/,{HEX}\n", "twice"),
        (f"url,sha256,size\nhttps://a.example/x,{HEX},-1\n", "negative"),
        (f"url,sha256,size\nhttps://a.example/x,{HEX},many\n", "not a number"),
    ],
)
def test_list_that_could_mislead_is_refused(text, what):
    with pytest.raises(MalformedEnvelope, match=what):
        read_url_list(text.encode(), locator="list")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_refused_by_us(data):
    with suppress(MalformedEnvelope, UnreadableData):
        read_url_list(b"url,sha256\n" + data, locator="fuzz")


@given(st.text(max_size=60))
def test_any_text_is_an_http_url_or_refused(text):
    with suppress(ConfigError):
        assert check_url(text).lower().startswith(("http://", "https://"))


AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@given(st.binary(min_size=16, max_size=40))
def test_snapshot_time_lies_in_its_window_and_repeats(entropy):
    due = snapshot_time(AT, delay=DAY, window=DAY, entropy=entropy)
    assert AT + DAY <= due <= AT + 2 * DAY
    assert due == snapshot_time(AT, delay=DAY, window=DAY, entropy=entropy)


def test_snapshot_before_its_time_is_refused_for_now():
    due = snapshot_time(AT, delay=DAY, window=DAY, entropy=b"0" * 16)
    require_due(due, due)
    with pytest.raises(UnreadableData, match="not due"):
        require_due(AT, due)
    with pytest.raises(ConfigError):
        snapshot_time(AT, delay=DAY, window=DAY, entropy=b"short")
