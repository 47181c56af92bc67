"""A local Spark whose executors import this checkout."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import sluicegate


@contextmanager
def spark_session(**settings):
    """Start a session with two executors' threads; skip where PySpark is missing."""
    sql = pytest.importorskip("pyspark.sql")
    paths = [str(Path(sluicegate.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    local = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = sql.SparkSession.builder.master("local[2]").appName("sluicegate-tests")
        for key, value in {**local, **settings}.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        yield session
        session.stop()
