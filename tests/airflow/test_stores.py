"""Credentials of an object store come from an Airflow connection."""

from __future__ import annotations

import pytest

from sluicegate.adapters.sources.open import open_source
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import ConfigError
from sluicegate.orchestration.stores import filesystem_of

pytestmark = pytest.mark.airflow


def test_airflow_gives_the_file_system_of_a_connection(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    filesystem = filesystem_of(f"file://{tmp_path}", "any")
    assert filesystem is not None
    source = open_source(f"file://{tmp_path}", filesystem=filesystem)
    assert source.manifest() == build_manifest(tmp_path)


def test_paths_and_missing_connections_need_no_lookup():
    assert filesystem_of("/data/batch", "aws") is None
    assert filesystem_of("s3://bucket/batch", None) is None


def test_protocol_without_a_provider_is_called_wrongly():
    with pytest.raises(ConfigError, match="provider"):
        filesystem_of("nosuch://bucket/batch", "aws")
