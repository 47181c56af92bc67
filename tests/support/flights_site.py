"""An installation on thinned months of the real flights, for the example DAGs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.attest.keys import read_signer
from sluicegate.cli.demo.flights import FLIGHTS_SCHEMA, write_flights
from sluicegate.cli.demo.installation import _create_keys
from sluicegate.cli.options import now
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.home import SluiceHome

if TYPE_CHECKING:
    from pathlib import Path

ROLES = BatchSchema.from_mapping(dict(FLIGHTS_SCHEMA), locator="flights schema")
SOURCES = ("flights", "flights.part")


@dataclass(frozen=True)
class FlightsSite:
    """Paths of one installation."""

    root: Path

    @property
    def home(self):
        return SluiceHome(self.root / "sluice")

    def month(self, number):
        return self.root / "data" / f"month={number:02d}"


def build_flights(root, *, flipped=()):
    """Make keys, ledger, policy, thinned data and baselines."""
    site = FlightsSite(root)
    _create_keys(site.home)
    site.home.policy.write_text(DEFAULT_POLICY, encoding="utf-8")
    add_flights(site.home, root, flipped=flipped)
    return site


def add_flights(home, root, *, n_rows=2000, flipped=()):
    """Thin the months, turn the labels of one carrier round in some, and build the baselines."""
    rng = np.random.default_rng(0)
    trusted = []
    for number, path in enumerate(write_flights(root / "data"), start=1):
        table = pq.read_table(path)
        order = rng.permutation(table.num_rows)
        if number <= 3:  # other rows than those that are judged
            trusted.append(root / "trusted" / f"{number}")
            trusted[-1].mkdir(parents=True)
            pq.write_table(table.take(np.sort(order[-4000:])), trusted[-1] / "flights.parquet")
        thin = table.take(np.sort(order[:n_rows]))
        pq.write_table(turned(thin, "UA") if number in flipped else thin, path)
    for source in SOURCES:
        write_baseline(
            trusted,
            ROLES,
            out=home.baseline_dir(source),
            at=now(),
            source=source,
            signer=read_signer(home.key("baseline")),
        )


def turned(table, carrier):
    """Return the table with the labels of one carrier turned around."""
    late = np.array(table["late"].to_pylist(), dtype="int8")
    own = np.array(table["carrier"].to_pylist()) == carrier
    late[own] = 1 - late[own]
    return table.set_column(table.schema.get_field_index("late"), "late", pa.array(late))
