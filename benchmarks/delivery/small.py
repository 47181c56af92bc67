"""Batches of twelve rows through the real gate: sealed, pooled, judged, signed, in one ledger.

A source is thinned to about twelve rows a day. Its first two fifths are the baseline; what follows
is cut into batches of twelve rows by time. The first ones wait, because no rows lie before them.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from poison import flips_of
from sources import load

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.gate.pool import Left
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.evidence.opening import create_ledger, open_evidence
from sluicegate.workflow.judging import pooling
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.sealing.seal import seal_into_ledger

if TYPE_CHECKING:
    import pandas as pd
    from sources import Source
    from units import Record

    from sluicegate.gate.verdict import Verdict

ROWS: Final = 12
CLEAN: Final = 24
"""Clean batches of a source that are judged, after those that wait."""

POISONED: Final = 20
REACHES: Final = (50, 200)
"""Rows of a pool to compare."""

_MOST_WAITING = 20
_POLICY = """version: 1
mode: enforce
accept: [PASSED, WARNED]
false_block_budget: 0.01
verdict_ttl_hours: 168
signals:
  SCHEMA: {severity: block}
"""
_RUN = {"orchestrator": "benchmark"}
_ALGORITHMS = {
    Role.SOURCE: Algorithm.ECDSA_P256,
    Role.GATE: Algorithm.ED25519,
    Role.BASELINE: Algorithm.ED25519,
    Role.LEDGER: Algorithm.ED25519,
}


@dataclass(frozen=True)
class Small:
    """What to run.

    Attributes:
        source: Name of the source.
        wanted: Rows at which a pool reaches no further back.
    """

    source: str
    wanted: int

    @property
    def name(self) -> str:
        """Identify the unit among results."""
        return f"{self.source}/small/{self.wanted}"


def run(unit: Small) -> list[Record]:
    """Judge clean small batches, and poisoned ones after them."""
    warnings.simplefilter("ignore")
    pooling.WANTED_ROWS = unit.wanted
    source = thinned(load(unit.source))
    n = round(0.4 * len(source.frame))
    later = source.frame.iloc[n : n + ROWS * (_MOST_WAITING + CLEAN + POISONED)]
    common = {"source": unit.source, "wanted": unit.wanted, "n": ROWS, "m": n}
    with tempfile.TemporaryDirectory() as place:
        site = _Site.build(Path(place), source, source.frame.iloc[:n])
        clean, place_after = [], 0
        while len(clean) < CLEAN and (place_after + 1) * ROWS <= len(later):
            verdict = site.judge(_cut(later, place_after))
            place_after += 1
            if clean or place_after > _MOST_WAITING or not _waits(verdict):
                clean.append({**common, "case": "clean", **_said(verdict)})
        waited = {**common, "case": "waited", "batches": place_after - len(clean)}
        rest = later.iloc[place_after * ROWS :].iloc[: POISONED * ROWS]
        return [waited, *clean, *site.poisoned(source, rest.reset_index(drop=True), common)]


def thinned(source: Source) -> Source:
    """Return a source with about twelve rows a day, drawn evenly."""
    frame = source.frame
    days = (frame["at"].iloc[-1] - frame["at"].iloc[0]).days
    share = min(1.0, ROWS * days / len(frame))
    kept = np.random.default_rng(11).random(len(frame)) < share
    return replace(source, frame=frame[kept].reset_index(drop=True))


def _cut(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    return frame.iloc[number * ROWS : (number + 1) * ROWS]


def _waits(verdict: Verdict) -> bool:
    return verdict.pool is not None and verdict.pool.left is Left.WAITING


def _said(verdict: Verdict) -> Record:
    assert verdict.pool is not None  # every batch is small
    codes = {result: set[str]() for result in ("FAILED", "WARNED")}
    for reason in verdict.reasons:
        codes[reason.result.value].add(reason.code)
    return {
        "verdict": verdict.result.value,
        "rows": verdict.pool.n_rows,
        "left": verdict.pool.left.value,
        "fired": sorted(codes["FAILED"]),
        "warned": sorted(codes["WARNED"]),
    }


@dataclass(slots=True)
class _Site:
    """An installation and what is delivered to it, one batch a minute."""

    root: Path
    signers: dict[Role, Any]
    at: datetime
    number: int = 0

    @property
    def home(self) -> SluiceHome:
        return SluiceHome(self.root / "sluice")

    @classmethod
    def build(cls, root: Path, source: Source, baseline: pd.DataFrame) -> _Site:
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
            out=site.home.baseline_dir("small"),
            at=at,
            source="small",
            signer=signers[Role.BASELINE],
        )
        return site

    def judge(self, frame: pd.DataFrame) -> Verdict:
        """Seal and judge one batch."""
        self.number += 1
        at = self.at + timedelta(minutes=self.number)
        directory = self.root / f"batch{self.number}"
        _write(frame, directory)
        ledger = self.signers[Role.LEDGER]
        evidence = open_evidence(self.home, at=at, ledger_signer=ledger)
        seal_into_ledger(
            directory, "small", evidence=evidence, signer=self.signers[Role.SOURCE], at=at, run=_RUN
        )
        signers = GateSigners(self.signers[Role.GATE], ledger)
        issued, _ = gate_source(
            self.home, "small", signers=signers, at=at, run=_RUN, runner=evaluate_directly
        )
        return issued.verdict

    def poisoned(self, source: Source, rest: pd.DataFrame, common: Record) -> list[Record]:
        """Deliver poison after the clean batches, each attack on its own copy."""
        found = []
        for case, frame in _attacks(source, rest):
            with tempfile.TemporaryDirectory() as place:
                copy = replace(self, root=Path(place) / "copy")
                shutil.copytree(self.root, copy.root)
                verdicts = [copy.judge(_cut(frame, i)) for i in range(len(frame) // ROWS)]
            against = (v.result.value == "FAILED" and not _waits(v) for v in verdicts)
            first = next((i for i, found_out in enumerate(against, 1) if found_out), None)
            said = {} if first is None else _said(verdicts[first - 1])
            found.append({**common, "case": case, "batches": len(verdicts), "found": first, **said})
        return found


def _attacks(source: Source, rest: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return poison by name, over one or several batches of twelve rows."""
    rng = np.random.default_rng(5)
    found = []
    if source.label is not None and "who" in rest:
        most = rest["who"].value_counts().index[0]
        rows = np.flatnonzero((rest["who"] == most).to_numpy())
        found.append(("flips by one contributor", flips_of(source, rest, rows, rng)))
    if source.label is not None:
        one = rest.iloc[:ROWS].reset_index(drop=True)
        every = flips_of(source, one, np.arange(ROWS), rng)
        found.append(("one batch with all labels flipped", every))
    again = rest.iloc[[*range(ROWS), *[0] * 2 * ROWS]].reset_index(drop=True)
    again["id"] = [f"copy{i}" for i in range(len(again))]
    found.append(("one row again and again", again))
    return [(case, frame) for case, frame in found if frame is not None]


def _write(frame: pd.DataFrame, directory: Path) -> None:
    directory.mkdir()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, directory / "part.parquet")
