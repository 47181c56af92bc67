"""One process of the benchmark of portions: does one thing, and prints what it took as JSON.

python benchmarks/portions/step.py one    ROOT
python benchmarks/portions/step.py cut    ROOT PORTIONS
python benchmarks/portions/step.py count  ROOT EMPTY FIRST END
python benchmarks/portions/step.py join   ROOT TALLY...
python benchmarks/portions/step.py spark  ROOT PORTIONS MEMORY
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.tally_store import TallyStore
from sluicegate.attest.keys import read_signer
from sluicegate.digest.portions import Portion
from sluicegate.workflow.evidence.home import SluiceHome
from sluicegate.workflow.judging.case import open_case
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.portions import count, cut
from sluicegate.workflow.judging.runners import evaluate_directly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sluicegate.attest.keys import Signer
    from sluicegate.workflow.judging.case import Case

SOURCE = "large"
RUN = {"orchestrator": "benchmark"}


class Site:
    """An installation in a directory, opened anew by each process.

    Args:
        root: Its directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = SluiceHome(root / "sluice")
        self.tallies = str(root / "tallies")
        self.at = datetime.fromisoformat((root / "at").read_text(encoding="utf-8"))

    def signer(self, role: str) -> Signer:
        """Return the key of a role."""
        return read_signer(self.home.key(role))

    def case(self) -> Case:
        """Open what is judged."""
        return open_case(self.home, SOURCE, at=self.at)

    def store(self) -> TallyStore:
        """Open the place of the tallies."""
        return TallyStore.open(self.tallies)

    def gate(self, tallies: Sequence[str] | None) -> dict[str, str]:
        """Judge the batch; return the result and the digest of what was signed about it."""
        issued, _ = gate_source(
            self.home,
            SOURCE,
            signers=GateSigners(self.signer("gate"), self.signer("ledger")),
            at=self.at,
            run=RUN,
            runner=evaluate_directly,
            tallies=None if tallies is None else (self.store(), tallies),
        )
        return {"result": str(issued.verdict.result), "verdict": str(issued.envelope)}


def one(site: Site) -> dict[str, Any]:
    """Judge the batch in one piece."""
    return site.gate(None)


def cut_batch(site: Site, portions: str) -> dict[str, Any]:
    """Cut the batch."""
    empty, found = cut(site.case(), site.store(), int(portions), site.signer("gate"))
    return {"empty": empty, "portions": [(p.first, p.end) for p in found]}


def count_portion(site: Site, empty: str, first: str, end: str) -> dict[str, Any]:
    """Count one portion."""
    portion = Portion(int(first), int(end))
    place = count(site.case(), site.store(), empty, portion, site.signer("gate"))
    return {"tally": place}


def join(site: Site, *tallies: str) -> dict[str, Any]:
    """Add up tallies and judge."""
    return site.gate(tallies)


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "one": one,
    "cut": cut_batch,
    "count": count_portion,
    "join": join,
}


def main() -> None:
    """Do what the command line says."""
    name, root, *arguments = sys.argv[1:]
    began = time.perf_counter()
    found = STEPS[name](Site(Path(root)), *arguments)
    used = resource.getrusage(resource.RUSAGE_SELF)
    took = {"wall_s": time.perf_counter() - began, "cpu_s": used.ru_utime + used.ru_stime}
    print(json.dumps({**found, **took, "peak_mb": used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
