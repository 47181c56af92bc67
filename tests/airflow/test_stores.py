"""Credentials of an object store come from an Airflow connection."""

from __future__ import annotations

import pytest

from sluicegate.adapters.sources.connection import filesystem_as_sealed, filesystem_of
from sluicegate.adapters.sources.open import open_source
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import ConfigError

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


def test_what_is_no_connection_id_is_refused_and_not_shown():
    with pytest.raises(ConfigError, match="not the id") as error:
        filesystem_of("s3://bucket/batch", "aws://key:hunter2@")
    assert "hunter2" not in str(error.value)


def test_reader_without_the_connection_of_the_seal_uses_what_it_has(caplog):
    """An auditor has credentials of his own; what he reads is held against the seal anyway."""
    assert filesystem_as_sealed("nosuch://bucket/batch", "aws") is None
    assert "The store's own library looks for credentials" in caplog.text
