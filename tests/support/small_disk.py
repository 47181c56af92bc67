"""A file system that is really full. Needs the right to mount; elsewhere the test is skipped."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest


def run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def small_disk(place, size="16m"):
    """Mount a small file system on a directory."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    if not run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)):
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        run("umount", "--lazy", str(place))  # a test that failed may hold a file open


@contextmanager
def full(place):
    """Leave no byte free for a while."""
    gc.collect()  # a deleted file that is still open would give its bytes back later
    filling = place / "filling"
    with filling.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    try:
        yield
    finally:
        filling.unlink()
