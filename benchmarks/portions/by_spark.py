"""Portions of a batch counted on two executors' threads of a local Spark.

python benchmarks/portions/by_spark.py ROOT PORTIONS MEMORY
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from step import SOURCE, Site

import sluicegate
from sluicegate.adapters.tally_store import TallyStore
from sluicegate.attest.keys import read_signer
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.judging.case import open_case
from sluicegate.workflow.judging.portions_spark import count_on_spark


def main() -> None:
    """Count what the command line says; print where the tallies lie."""
    root, portions, memory = sys.argv[1:]
    site = Site(Path(root))
    os.environ["PYTHONPATH"] = str(Path(sluicegate.__file__).parents[1])
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    for key in ("spark.driver.host", "spark.driver.bindAddress"):
        builder = builder.config(key, "127.0.0.1")
    # A worker that ends after each portion has the memory of a portion, as a task has.
    builder = builder.config("spark.python.worker.reuse", "false")
    session = builder.config("spark.driver.memory", memory).getOrCreate()
    home, at, key, place = site.home.root, site.at, site.home.key("gate"), site.tallies
    found = count_on_spark(
        session,
        lambda: open_case(SluiceHome(home), SOURCE, at=at),
        lambda: TallyStore.open(place),
        lambda: read_signer(key),
        n_portions=int(portions),
    )
    session.stop()
    print(json.dumps({"tallies": found}))


if __name__ == "__main__":
    main()
