"""Executors of Spark leave the tallies that mapped tasks leave."""

from __future__ import annotations

import pytest
from tests.support.spark_session import spark_session
from tests.unit.workflow.conftest import AT, rows
from tests.unit.workflow.judging.test_portions import deliver, gate, one_piece, signed

from sluicegate.adapters.tally_store import TallyStore
from sluicegate.attest.keys import read_signer
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.judging.case import open_case
from sluicegate.workflow.judging.portions_spark import count_on_spark

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # pyspark's own


@pytest.fixture(scope="module")
def spark():
    with spark_session() as session:
        yield session


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
