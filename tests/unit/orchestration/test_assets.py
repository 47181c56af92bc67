"""The event that says a source has a verdict, and what it can start."""

from __future__ import annotations

import logging
from collections import defaultdict
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable
from airflow.sdk.bases.operator import BaseOperator

from sluicegate.errors import ConfigError
from sluicegate.orchestration.assets import announce, source_of, uri_of, verified_asset
from sluicegate.orchestration.protecting.protection import protection_of
from sluicegate.orchestration.settings import Settings

POINTER = {"source": "flights", "digest": "sha256:0", "verdict": "sha256:1"}


def announced(caplog, **dag_run) -> list[str]:
    context = {"outlet_events": defaultdict(SimpleNamespace), "dag_run": SimpleNamespace(**dag_run)}
    with caplog.at_level(logging.INFO):
        announce(context, "flights", POINTER)
    assert context["outlet_events"] == {verified_asset("flights"): SimpleNamespace(extra=POINTER)}
    return [record.getMessage() for record in caplog.records]


def test_event_of_a_usual_run_says_nothing_more(caplog):
    assert announced(caplog, partition_key=None) == []
    assert announced(caplog) == []


def test_event_of_a_partitioned_run_says_what_it_cannot_start(caplog):
    (said,) = announced(caplog, partition_key="2026-11-30")
    assert "partition key '2026-11-30'" in said
    assert "PartitionedAssetTimetable" in said


def test_training_that_waits_for_a_partitioned_event_is_protected():
    schedule = PartitionedAssetTimetable(assets=verified_asset("flights") & Asset("other"))
    with DAG("training", schedule=schedule):
        task = BaseOperator(task_id="train")
    found = protection_of(task, Settings())
    assert found is not None
    assert found.sources == ("flights",)


def test_asset_stands_for_its_source_and_others_for_none():
    assert source_of(verified_asset("flights")) == "flights"
    assert source_of(Asset("s3://bucket/flights")) is None
    assert uri_of(object()) == ""
    with pytest.raises(ConfigError):
        verified_asset("../flights")
