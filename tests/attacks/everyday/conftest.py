"""One world for all tests of this directory."""

from __future__ import annotations

import pytest
from tests.attacks.everyday.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("everyday"))
