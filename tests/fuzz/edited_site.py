"""A whole installation, and what believes each of its files: edits of one byte are tried on it.

A belief is what a reader accepted, in full: the pointer of an admission, the report of `verify`,
the rows of `ledger list`. An edit is accepted wrongly if a reader still says yes and believes
something else than before; or, for the gate's policy, whose exact bytes every verdict binds, if
training still starts at all. Whitespace between JSON tokens changes no belief.
"""

from __future__ import annotations

import io
import sqlite3
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.support.waiver_site import name_approvers
from tests.unit.workflow.conftest import AT

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.attest.trust_file import TrustFile
from sluicegate.cli.baseline import read_schema
from sluicegate.cli.main import main
from sluicegate.errors import ConfigError, InternalError, SluicegateError, SystemTrouble
from sluicegate.gate.promotion import Lane
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.baselines.in_force import baselines_in_force
from sluicegate.workflow.evidence.opening import open_evidence, read_trust
from sluicegate.workflow.exporting.export import Extras, export_run
from sluicegate.workflow.response.waiver import confirm_waiver, request_waiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.workflow.conftest import Site

REFUSED = object()
SCHEMA = b"# roles\nid: id\nlabel: label\ncontributor: who\ntimestamp: time\ntext: [note]\n"


@dataclass(frozen=True)
class Target:
    """Files of one kind, and what is asked of the installation after an edit of one."""

    paths: tuple[Path, ...]
    readers: tuple[Callable[[], Any], ...]
    exact: bool = False
    """Whether any other byte must stop the first reader."""
    free: bool = False
    """Whether its content is an input: another one may be believed, as long as none crashes."""


def build(site: Site) -> dict[str, Target]:
    """Seal and judge a poisoned batch, waive it by two people, export the evidence."""
    name_approvers(site, "alice", "bob")
    _sign_trust(site)
    site.seal(site.poisoned)
    site.gate()
    request = site.root / "waiver.json"
    request.write_bytes(_request(site))
    confirmed = site.evidence()
    confirm_waiver(
        site.home, confirmed, request.read_bytes(),
        by="bob", signer=site.signer("waiver_bob"), at=AT, locator="waiver",
    )  # fmt: skip
    batch = site.evidence().latest_seal("src", at=AT)
    out = site.root / "out"
    export_run(site.evidence(), batch, out, at=AT, extras=Extras())
    (site.root / "schema.yaml").write_bytes(SCHEMA)
    _fold_log(site.home.ledger)
    return _targets(site, out, request)


def _targets(site: Site, out: Path, request: Path) -> dict[str, Target]:
    home = site.home
    statement = home.baseline_dir("src") / "baseline.intoto.json"
    at_home = ("--home", str(home.root))

    def admit() -> Any:
        return admit_training(home, ["src"], at=AT)["src"].pointer

    def trust() -> Any:
        return read_trust(home.trust)

    def policy() -> Any:
        return read_policy(home.policy).digest

    def baseline() -> Any:
        evidence = open_evidence(home, at=AT)
        return baselines_in_force(home, evidence, "src", at=AT)[Lane.ANCHORED].baseline.digest

    def schema() -> Any:
        return read_schema(site.root / "schema.yaml")

    def confirm() -> Any:
        evidence, data = open_evidence(home, at=AT), request.read_bytes()
        signer = site.signer("waiver_bob")
        try:
            confirm_waiver(home, evidence, data, by="bob", signer=signer, at=AT, locator="waiver")
        except ConfigError as error:
            # The last step: all that was asked of the request was answered with yes.
            if "opened without its private key" not in error.what:
                raise
        return _statement_of(data)

    proofs = sorted((out / "proofs").iterdir())
    verify = _command("verify", str(out), str(site.poisoned), "--trust", str(home.trust), "--json")
    return {
        "policy": Target((home.policy,), (admit, policy), exact=True),
        "trust": Target((home.trust,), (admit, trust)),
        "schema": Target((site.root / "schema.yaml",), (schema,), free=True),
        "baseline": Target((home.baseline_dir("src") / "baseline.json", statement), (baseline,)),
        "waiver": Target((request, out / "waivers.intoto.jsonl"), (confirm, verify)),
        "evidence": Target(
            (out / "seal.sigstore.json", out / "evidence.intoto.jsonl", *proofs),
            (verify,),
        ),
        "ledger": Target(
            (home.ledger,),
            (
                admit,
                _command("ledger", "list", *at_home, "--json"),
                _command("ledger", "verify", *at_home, "--json"),
                _command("history", "src", *at_home, "--json"),
                _command("uses", "src", *at_home, "--json"),
                _command("lineage", "--source", "src", *at_home, "--json"),
                _command("policy", "test", str(home.policy), *at_home, "--json"),
            ),
        ),
    }  # fmt: skip


def believed(reader: Callable[[], Any]) -> Any:
    """Return what a reader accepts, or REFUSED.

    Raises:
        AssertionError: It ended in an error that is not one of ours, coded or not.
    """
    try:
        return reader()
    except SluicegateError as error:
        if isinstance(error, InternalError | SystemTrouble):
            raise AssertionError(str(error)) from error  # noqa: TRY004 - of a test
        return REFUSED


@contextmanager
def edited(path: Path, data: bytes):
    """Put other bytes into a file for a while."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)
        for rest in path.parent.glob(f"{path.name}-*"):
            rest.unlink()


def _command(*arguments: str) -> Callable[[], Any]:
    def run() -> Any:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
        text = out.getvalue() + err.getvalue()
        assert "Traceback" not in text
        assert "[INTERNAL]" not in text, text
        assert "[SYSTEM]" not in text, text
        return out.getvalue() if code == 0 else REFUSED

    return run


def _sign_trust(site: Site) -> None:
    root = generate(Algorithm.ED25519)
    policy = TrustFile.from_bytes(site.home.trust.read_bytes()).policy
    keys = {role: list(policy.keys_for(role, at=AT)) for role in Role}
    signed = trust_policy(
        {role: found for role, found in keys.items() if found} | {Role.ROOT: [root.public_key]},
        version=3,
        expires=AT + timedelta(days=365),
        thresholds={Role.WAIVER: 2},
    )
    site.home.trust.write_bytes(TrustFile(signed).signed_by(root).to_bytes())


def _request(site: Site) -> bytes:
    return request_waiver(
        site.evidence(), read_policy(site.home.policy), "src",
        signals=_failed(site), reason="relabelled", by="alice", second="bob",
        ttl=timedelta(hours=24), signer=site.signer("waiver_alice"), at=AT,
    )  # fmt: skip


def _failed(site: Site) -> list[str]:
    evidence = site.evidence()
    batch = evidence.latest_seal("src", at=AT)
    verdict = evidence.verdict_of("src", batch.digest, at=AT).verdict
    return sorted({r.code for r in verdict.reasons if r.result.value == "FAILED"})


def _statement_of(data: bytes) -> bytes:
    return Envelope.from_bytes(data).payload


def _fold_log(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
