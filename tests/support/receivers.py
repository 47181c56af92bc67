"""Real receivers of StatsD (UDP) and OpenTelemetry (OTLP over HTTP) that keep what comes."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import threading
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class _Packet(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.kept.extend(self.request[0].decode().splitlines())


@contextlib.contextmanager
def statsd_receiver():
    """Yield a port and the lines that arrive there; they are whole when the block ends."""
    with socketserver.UDPServer(("127.0.0.1", 0), _Packet) as server:
        server.kept = []
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], server.kept
        finally:
            server.shutdown()
            thread.join()
            server.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:  # what is still in the socket's buffer
                    server.kept.extend(server.socket.recv(1 << 16).decode().splitlines())


@dataclass
class Received:
    """What came by OTLP.

    Attributes:
        spans: Every span.
        metrics: Every metric, as often as it was exported.
    """

    spans: list = field(default_factory=list)
    metrics: list = field(default_factory=list)

    def points(self, name):
        """Return attributes and point of each value of a metric."""
        for metric in self.metrics:
            if metric.name == name:
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    yield attributes(point), point


class _Export(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in of_resource.scope_spans:
                    self.server.kept.spans.extend(scope.spans)
        else:
            for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in of_resource.scope_metrics:
                    self.server.kept.metrics.extend(scope.metrics)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def otlp_receiver():
    """Yield an endpoint and what arrives there."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Export) as server:
        server.kept = Received()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", server.kept
        finally:
            server.shutdown()
            thread.join()


def attributes(item):
    """Return the attributes of a span or a point as plain values."""
    return {pair.key: _plain(pair.value) for pair in item.attributes}


def _plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, kind)
