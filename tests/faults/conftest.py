"""A whole small installation to break, and what every refusal has in common.

Each case ends with exit code 1 (checked and bad), 2 (could not check) or 64 (called
wrongly), a message that names code, place and next step, a ledger that still audits and
still holds what it held, and no admission of anything that was not judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

from sluicegate.cli.main import main
from sluicegate.cli.options import now
from sluicegate.errors import SluicegateError
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence.opening import open_evidence

BAD, UNCHECKED, WRONG = 1, 2, 64


@dataclass(frozen=True)
class Refusal:
    """What a person and a script see of one command."""

    exit_code: int
    text: str

    def require(self, exit_code, code, *parts, next_step=True):
        assert self.exit_code == exit_code, self.text
        assert all(str(part) in self.text for part in (f"[{code}]", *parts)), self.text
        # The next step is the message's last sentence, after the facts.
        assert not next_step or re.search(r"\. [A-Z`].{8,}", self.text), (
            f"no next step: {self.text}"
        )


@pytest.fixture
def gate(site, capsys):  # noqa: F811 - the imported fixture
    """Seal and judge a batch through the command line."""

    def run(*arguments):
        capsys.readouterr()
        code = main(["gate", "src", "--home", str(site.home.root), *map(str, arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert "internal error" not in printed.err
        return Refusal(code, printed.out + printed.err)

    return run


@pytest.fixture
def history(site, gate):  # noqa: F811 - the imported fixture
    """An earlier batch that passed, and a check that its evidence outlives the test."""
    assert gate("--seal", site.clean).exit_code == 0
    evidence = open_evidence(site.home, at=now())
    remembered, size = evidence.ledger.checkpoint(), evidence.ledger.audit().size
    held = admitted(site)
    yield held
    ledger = open_evidence(site.home, at=now()).ledger
    assert ledger.audit(remembered).size >= size


def admitted(site):  # noqa: F811 - a value, not the fixture
    """Return the digest that training would get now, or None."""
    try:
        return str(admit_training(site.home, ["src"], at=now())["src"].batch.digest)
    except SluicegateError:
        return None


def size(site):  # noqa: F811 - a value, not the fixture
    return open_evidence(site.home, at=now()).ledger.audit().size
