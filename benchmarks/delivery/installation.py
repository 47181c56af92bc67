"""A real installation of Sluicegate in a directory, to which batches are delivered in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.evidence.kept_findings import kept_records
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from sources import Source

    from sluicegate.gate.verdict import Verdict
    from sluicegate.signals.decision.record import SignalRecord

_POLICY = """version: 1
mode: enforce
accept: [PASSED, WARNED]
false_block_budget: 0.01
verdict_ttl_hours: 168
signals:
  SCHEMA: {severity: block}
"""
_RUN = {"orchestrator": "benchmark"}
_SOURCE = "delivered"
SEED = 1
"""Of baselines."""
_ALGORITHMS = {
    Role.SOURCE: Algorithm.ECDSA_P256,
    Role.GATE: Algorithm.ED25519,
    Role.BASELINE: Algorithm.ED25519,
    Role.LEDGER: Algorithm.ED25519,
}


@dataclass(slots=True)
class Site:
    """An installation and what is delivered to it, one batch a minute.

    Attributes:
        root: Its directory.
        signers: Keys by role.
        at: When it was built, aware UTC.
        number: Batches so far.
    """

    root: Path
    signers: dict[Role, Any]
    at: datetime
    number: int = 0

    @property
    def home(self) -> SluiceHome:
        """Paths of the installation."""
        return SluiceHome(self.root / "sluice")

    @classmethod
    def build(cls, root: Path, source: Source, baseline: pd.DataFrame) -> Site:
        """Create keys, trust policy, ledger and a signed baseline of these rows."""
        at = datetime.now(UTC).replace(microsecond=0)
        signers = {role: generate(algorithm) for role, algorithm in _ALGORITHMS.items()}
        site = cls(root, signers, at)
        site.home.root.mkdir(mode=0o700)
        public = {role: [signer.public_key] for role, signer in signers.items()}
        trust = trust_policy(public, version=1, expires=at + timedelta(days=365))
        site.home.trust.write_bytes(trust.to_bytes())
        site.home.policy.write_text(_POLICY, encoding="utf-8")
        create_ledger(site.home, at=at, signer=signers[Role.LEDGER])
        _write(baseline, root / "trusted")
        write_baseline(
            [root / "trusted"],
            BatchSchema.from_mapping(source.roles),
            out=site.home.baseline_dir(_SOURCE),
            at=at,
            source=_SOURCE,
            signer=signers[Role.BASELINE],
            seed=SEED,
        )
        return site

    def judge(self, frame: pd.DataFrame) -> tuple[Verdict, list[SignalRecord]]:
        """Seal and judge one batch; return the verdict and all findings."""
        self.number += 1
        at = self.at + timedelta(minutes=self.number)
        directory = self.root / f"batch{self.number}"
        _write(frame, directory)
        ledger = self.signers[Role.LEDGER]
        evidence = open_evidence(self.home, at=at, ledger_signer=ledger)
        seal_into_ledger(
            directory, _SOURCE, evidence=evidence, signer=self.signers[Role.SOURCE], at=at, run=_RUN
        )
        signers = GateSigners(self.signers[Role.GATE], ledger)
        issued, _ = gate_source(
            self.home, _SOURCE, signers=signers, at=at, run=_RUN, runner=evaluate_directly
        )
        return issued.verdict, kept_records(evidence, str(issued.test_result), at=at)


def _write(frame: pd.DataFrame, directory: Path) -> None:
    directory.mkdir()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, directory / "part.parquet")
