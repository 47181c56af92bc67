"""An installation in which every role that states something needs ML-DSA-65 as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, JointSigner, generate, read_signer, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.workflow.baselines.signed import STATEMENT_FILE

if TYPE_CHECKING:
    from tests.unit.workflow.conftest import Site

    from sluicegate.attest.keys import Signer
    from sluicegate.workflow.evidence.home import SluiceHome

HYBRID = (Role.SOURCE, Role.GATE, Role.BASELINE, Role.WAIVER)


def make_hybrid(site: Site) -> None:
    """Give each role a second key, two people two waiver keys each, and demand them all."""
    home = site.home
    people = ("waiver", "waiver.cosign", "second", "second-quantum")
    keys = {role: [read_signer(home.key(role))] for role in ("ledger", *map(str, HYBRID[:3]))}
    for role in HYBRID[:3]:
        keys[role.value].append(_new_key(home, f"{role}.cosign", Algorithm.ML_DSA_65))
    kinds = (Algorithm.ED25519, Algorithm.ML_DSA_65) * 2
    keys["waiver"] = [_new_key(home, *pair) for pair in zip(people, kinds, strict=True)]
    trust = trust_policy(
        {Role(role): [key.public_key for key in found] for role, found in keys.items()},
        version=1,
        expires=datetime.now(UTC).replace(microsecond=0) + timedelta(days=365),
    )
    for role in HYBRID:
        first = keys[role.value][0].public_key.algorithm
        trust = trust.with_rule(role, threshold=2, required_algorithms=(first, Algorithm.ML_DSA_65))
    home.trust.write_bytes(trust.to_bytes())
    statement = home.baseline_dir("src") / STATEMENT_FILE
    payload = dsse.Envelope.from_bytes(statement.read_bytes()).payload
    statement.write_bytes(dsse.sign(payload, JointSigner(*keys["baseline"])).to_bytes())


def _new_key(home: SluiceHome, name: str, algorithm: Algorithm) -> Signer:
    signer = generate(algorithm)
    private, _ = write_key_pair(signer, home.keys / f"{name}.new")
    private.rename(home.keys / f"{name}.pem")
    return signer
