"""Set up an installation from nothing: keys, trust, ledger, policy, data, baseline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import sluicegate
from sluicegate.attest.keys import Algorithm, generate, read_signer, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.cli.demo.flights import FLIGHTS_SCHEMA, write_flights
from sluicegate.cli.options import now
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.evidence.home import SluiceHome

SOURCE = "flights"
BASELINE_MONTHS = (1, 2, 3)
_ALGORITHMS = {
    Role.SOURCE: Algorithm.ECDSA_P256,  # the Sigstore bundle of a seal needs P-256
    Role.GATE: Algorithm.ED25519,
    Role.BASELINE: Algorithm.ED25519,
    Role.LEDGER: Algorithm.ED25519,  # C2SP checkpoints are Ed25519
}


@dataclass(frozen=True, slots=True)
class DemoPlaces:
    """Where the demo keeps its files.

    Attributes:
        root: Directory that holds them all.
    """

    root: Path

    @property
    def home(self) -> SluiceHome:
        """The installation."""
        return SluiceHome(self.root / "sluice")

    @property
    def data(self) -> Path:
        """Directory of the monthly partitions."""
        return self.root / "data"

    @property
    def models(self) -> Path:
        """Directory to which training writes its models."""
        return self.root / "models"

    def month(self, number: int) -> Path:
        """Return the directory of one month, 1 to 12."""
        return self.data / f"month={number:02d}"


def examples() -> Path:
    """Return the directory that holds the example ``dags`` and ``expectations``.

    A wheel has them inside the package; in a checkout they lie beside ``plugins``.
    """
    package = Path(sluicegate.__file__).resolve().parent
    inside = package / "examples"
    return inside if inside.is_dir() else package.parents[1]


def install(places: DemoPlaces) -> None:
    """Create keys, trust policy, ledger, gate policy, data and the signed baseline.

    Cost:
        About 15 s of CPU, most of it for the baseline's calibration.
    """
    _create_keys(places.home)
    places.home.policy.write_text(DEFAULT_POLICY, encoding="utf-8")
    places.models.mkdir(parents=True, exist_ok=True)
    write_flights(places.data)
    _build_baseline(places)


def _create_keys(home: SluiceHome) -> None:
    from sluicegate.workflow.evidence.opening import create_ledger

    home.keys.mkdir(parents=True, mode=0o700)
    public = {}
    for role, algorithm in _ALGORITHMS.items():
        signer = generate(algorithm)
        write_key_pair(signer, home.keys / role.value)
        # The operators look for one file for each role.
        (home.keys / role.value / "key.pem").rename(home.key(role.value))
        public[role] = [signer.public_key]
    at = now()
    home.trust.write_bytes(
        trust_policy(public, version=1, expires=at + timedelta(days=365)).to_bytes()
    )
    create_ledger(home, at=at)


def _build_baseline(places: DemoPlaces) -> None:
    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.workflow.baselines.signed import write_baseline

    write_baseline(
        [places.month(number) for number in BASELINE_MONTHS],
        BatchSchema.from_mapping(dict(FLIGHTS_SCHEMA), locator="flights schema"),
        out=places.home.baseline_dir(SOURCE),
        at=now(),
        source=SOURCE,
        signer=read_signer(places.home.key("baseline")),
    )
