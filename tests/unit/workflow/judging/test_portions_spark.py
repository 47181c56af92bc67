"""Executors of Spark leave the tallies that mapped tasks leave."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.unit.workflow.conftest import AT, rows
from tests.unit.workflow.judging.test_portions import deliver, gate, one_piece, signed

import sluicegate
from sluicegate.adapters.tally_store import TallyStore
from sluicegate.attest.keys import read_signer
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.judging.case import open_case
from sluicegate.workflow.judging.portions_spark import count_on_spark

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # pyspark's own


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    patch = pytest.MonkeyPatch()
    paths = [str(Path(sluicegate.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))  # for the executors
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[2]").appName("sluicegate-portions")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    patch.undo()


def test_verdict_of_portions_counted_by_spark_is_that_of_one_piece(site, spark):
    deliver(site, rows(2), 9)
    whole = one_piece(site)
    root, key, place = site.home.root, site.home.key("gate"), str(site.root / "tallies")
    # A home may hold a password, which cannot be pickled: each executor opens its own.
    locations = count_on_spark(
        spark,
        lambda: open_case(SluiceHome(root), "src", at=AT),
        lambda: TallyStore.open(place),
        lambda: read_signer(key),
        n_portions=5,
    )
    assert len(locations) == 5
    gate(site, locations)
    assert signed(site) == whole
