"""A whole installation on a small made-up source, built once and copied for each test."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.attest.keys import Algorithm, Signer, generate, read_signer, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from sluicegate.gate.policy import Policy
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.judging.runners import Evaluation

T = TypeVar("T")

AT = datetime.now(UTC).replace(microsecond=0)
RUN = {"orchestrator": "test"}
SCHEMA = {"id": "id", "label": "label", "contributor": "who", "timestamp": "time"}
ALGORITHMS = {
    Role.SOURCE: Algorithm.ECDSA_P256,
    Role.GATE: Algorithm.ED25519,
    Role.BASELINE: Algorithm.ED25519,
    Role.LEDGER: Algorithm.ED25519,
}


def rows(seed: int, n_rows: int = 3000) -> pa.Table:
    """A learnable table: the label follows x, with 5 % noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_rows)
    label = (x > 0) ^ (rng.random(n_rows) < 0.05)
    start = np.datetime64("2026-01-01T00:00:00", "us")
    minutes = np.sort(rng.integers(0, 60 * 24 * 28, n_rows))
    return pa.table(
        {
            "id": pa.array([f"{seed}-{number}" for number in range(n_rows)]),
            "time": pa.array(start + minutes * np.timedelta64(60_000_000, "us")),
            "who": pa.array([f"c{number}" for number in rng.integers(0, 5, n_rows)]),
            "x": pa.array(x),
            "y": pa.array(rng.normal(size=n_rows)),
            # With so many numbers no two rows are alike, so flips contradict no row but the model.
            **{f"w{i}": pa.array(rng.normal(size=n_rows)) for i in range(4)},
            "label": pa.array(label.astype("int8")),
        }
    )


def flipped(table: pa.Table, contributor: str) -> pa.Table:
    """Return the table with every label of one contributor turned around."""
    labels = np.array(table["label"].to_pylist(), dtype="int8")
    own = np.array(table["who"].to_pylist()) == contributor
    labels[own] = 1 - labels[own]
    position = table.schema.get_field_index("label")
    return table.set_column(position, "label", pa.array(labels))


def write(table: pa.Table, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, directory / "part.parquet")
    return directory


_FOUND: dict[tuple[str, ...], Evaluation] = {}
_LED_TO: dict[Path, Any] = {}


def evaluate_once(
    batches: Iterable[pa.RecordBatch], baselines: Sequence[Baseline], policy: Policy
) -> list[Evaluation]:
    """Evaluate as a gate does; the same rows, baselines and policy are evaluated once a process."""
    table = pa.Table.from_batches(batches)
    content = hashlib.sha256()
    for batch in table.to_batches():
        content.update(batch.serialize())
    against = [str(baseline.digest) for baseline in baselines]
    asked = (content.hexdigest(), str(table.schema), *against, repr(policy))
    if asked not in _FOUND:
        _FOUND[asked] = evaluate_directly(table.to_batches(), baselines, policy)
    return _FOUND[asked]


@dataclass(frozen=True)
class Site:
    """One installation and what tests do with it."""

    root: Path

    @property
    def home(self) -> SluiceHome:
        return SluiceHome(self.root / "sluice")

    @property
    def clean(self) -> Path:
        return self.root / "clean"

    @property
    def poisoned(self) -> Path:
        return self.root / "poisoned"

    def signer(self, role: str) -> Signer:
        return read_signer(self.home.key(role))

    def evidence(self, at: datetime = AT) -> Evidence:
        return open_evidence(self.home, at=at, ledger_signer=self.signer("ledger"))

    def seal(self, path: Path, at: datetime = AT):
        return seal_into_ledger(
            path, "src", evidence=self.evidence(at), signer=self.signer("source"), at=at, run=RUN
        )

    def accept_extra_columns(self) -> None:
        """Take the rule out that refuses columns which the baseline does not know.

        A key in the names of directories is one where the baseline was built without them.
        """
        rule = "  SCHEMA:extra: {severity: block, tolerance: 0}\n"
        text = self.home.policy.read_text(encoding="utf-8")
        assert rule in text
        self.home.policy.write_text(text.replace(rule, ""), encoding="utf-8")

    def gate(self, at: datetime = AT, runner=evaluate_once):
        signers = GateSigners(self.signer("gate"), self.signer("ledger"))
        return gate_source(self.home, "src", signers=signers, at=at, run=RUN, runner=runner)

    def once(self, bring: Callable[[Site], T]) -> T:
        """Do something to the fresh site of a test; later tests get a copy of what it led to.

        A sealed batch names its path, so this is for the fixture ``site``, which has one path.
        """
        kept = self.root.with_name(f"after {bring.__module__}.{bring.__qualname__}")
        if kept.exists():
            shutil.rmtree(self.root)
            shutil.copytree(kept, self.root)
        else:
            _LED_TO[kept] = bring(self)
            shutil.copytree(self.root, kept)
        return _LED_TO[kept]


def judge_clean(site: Site) -> None:
    """The clean batch is sealed and passes."""
    site.seal(site.clean)
    site.gate()


_BUILT: list[Path] = []


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the installation is; every module that imports this fixture has the same."""
    if not _BUILT:
        _BUILT.append(_build(Site(tmp_path_factory.mktemp("site") / "built")))
    return _BUILT[0]


def _build(site: Site) -> Path:
    site.home.keys.mkdir(parents=True, mode=0o700)
    public = {}
    for role, algorithm in ALGORITHMS.items():
        signer = generate(algorithm)
        private, _ = write_key_pair(signer, site.home.keys / role.value)
        private.rename(site.home.key(role.value))
        public[role] = [signer.public_key]
    trust = trust_policy(public, version=1, expires=AT + timedelta(days=365))
    site.home.trust.write_bytes(trust.to_bytes())
    site.home.policy.write_text(DEFAULT_POLICY, encoding="utf-8")
    create_ledger(site.home, at=AT)
    write_baseline(
        [write(rows(1, 6000), site.root / "trusted")],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=site.home.baseline_dir("src"),
        at=AT,
        source="src",
        signer=site.signer("baseline"),
    )
    write(rows(2), site.clean)
    write(flipped(rows(3), "c1"), site.poisoned)
    return site.root


@pytest.fixture
def site(built_site: Path) -> Site:
    """A fresh copy for each test, at one path."""
    root = built_site.with_name("site")
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(built_site, root)
    return Site(root)
