"""Keys that authorities vouch for, as an installation keeps them.

    HOME/certificates/NAME.pem      chain of a signer, its certificate first
    HOME/timestamps/HEX.tsr         RFC 3161 answer about the envelope with this SHA-256
    HOME/witnessed/SIZE             checkpoint of this size that witnesses cosigned

The place of a file proves nothing. A chain must end in an authority of the trust policy, a
timestamp in one of its timestamp authorities, a checkpoint in its quorum of witnesses. While a
certificate is valid, its key counts. After that, what the key signed counts only if it is known to
have existed before: by a timestamp, or because the ledger held it when witnesses cosigned.
Specified in docs/formats/trust-policy.md, section "Certificates and timestamps".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import read_named
from sluicegate.adapters.ledgers.tile_files import write_atomically
from sluicegate.attest.certificates import admit, load_certificates
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import VerificationError
from sluicegate.ledger.cosigning.cosignature import require_quorum
from sluicegate.ledger.keys import raw_witness_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sluicegate.ledger.log import Ledger
    from sluicegate.ledger.store import LedgerRecord
    from sluicegate.workflow.evidence.home import SluiceHome


@dataclass(frozen=True, slots=True)
class Certified:
    """The trust policy of an installation, and the chains that lie beside it.

    Attributes:
        policy: As pinned, without any key of a chain.
        chains: PEM by file name; nothing in them is verified yet.
        timestamps: Directory of RFC 3161 answers.
        witnessed: Directory of cosigned checkpoints.
    """

    policy: TrustPolicy
    chains: Mapping[str, bytes]
    timestamps: Path
    witnessed: Path

    def now(self, at: datetime) -> TrustPolicy:
        """Return the policy with the keys of all chains, each within its certificate's validity.

        A chain that no authority vouches for adds nothing: its key stays untrusted.

        Args:
            at: Aware UTC. The whole chain must be valid then or, if its key has expired by then, at
                the moment when the key expired.
        """
        policy = self.policy
        for name, chain in self.chains.items():
            try:
                end = load_certificates(chain, locator=name)[0].not_valid_after_utc
                # Not simply `at`: a key that has expired is to be called expired, not unknown.
                policy = admit(policy, chain, at=min(at, end), stamped=False, locator=name)
            except VerificationError:
                continue
        return policy

    def then(
        self, ledger: Ledger, records: Iterable[LedgerRecord], *, at: datetime
    ) -> TrustPolicy | None:
        """Return the policy with the keys whose chains were valid when these records were made.

        The policy must not have expired now, and revocations until now count.

        Args:
            ledger: The log that holds the records.
            records: Verified to be in the log.
            at: Aware UTC; witnesses' keys must be valid then.

        Returns:
            The policy; None if only its signer says when one of them was made.

        Raises:
            VerificationError: A timestamp or a checkpoint does not hold.
        """
        if not self.chains:
            return None
        times = [self._time(ledger, record, at) for record in records]
        known = [time for time in times if time is not None]
        if len(known) < len(times) or not known:
            return None
        policy = self.policy
        for name, chain in self.chains.items():
            admitted = policy
            try:
                for time in known:
                    admitted = admit(admitted, chain, at=time, stamped=True, locator=name)
            except VerificationError:
                continue
            policy = admitted
        return policy

    def export(self, envelopes: Iterable[bytes], out: Path) -> None:
        """Copy the chains, and the timestamps of some envelopes, into an evidence folder.

        Args:
            envelopes: Exact bytes of the envelopes that the folder holds.
            out: The evidence folder, which exists.
        """
        for name, chain in self.chains.items():
            (out / "certificates").mkdir(exist_ok=True)
            (out / "certificates" / name).write_bytes(chain)
        for envelope in envelopes:
            stamp = self.timestamps / f"{sha256_bytes(envelope).hex}.tsr"
            if stamp.is_file():
                (out / "timestamps").mkdir(exist_ok=True)
                (out / "timestamps" / stamp.name).write_bytes(stamp.read_bytes())

    def _time(self, ledger: Ledger, record: LedgerRecord, at: datetime) -> datetime | None:
        """Return a time at which the record existed, on the word of somebody but its signer."""
        name = sha256_bytes(record.envelope).hex
        stamp = self.timestamps / f"{name}.tsr"
        if self.policy.timestamp_authorities and stamp.is_file():
            answer = read_named(stamp, "the timestamp cannot be read")
            return _stamped(self.policy, answer, record.envelope, locator=stamp.name)
        return self._witnessed(ledger, record.index, at)

    def _witnessed(self, ledger: Ledger, index: int, at: datetime) -> datetime | None:
        """Return the earliest kept time at which a quorum had seen the ledger with this leaf."""
        rule = self.policy.roles.get(Role.WITNESS)
        if rule is None or not self.witnessed.is_dir():
            return None
        keys = [raw_witness_key(key) for key in self.policy.keys_for(Role.WITNESS, at=at)]
        sizes = {int(path.name): path for path in self.witnessed.iterdir() if path.name.isdecimal()}
        for size in sorted(size for size in sizes if size > index):
            path = sizes[size]
            note = path.read_bytes()
            # The leaf is below this very checkpoint, and this ledger has only grown since.
            head = ledger.verify_checkpoint(note, locator=str(path))
            if head.size <= index:
                continue
            ledger.require_extends(note)
            found = require_quorum(note, keys, rule.threshold, locator=str(path))
            # As many witnesses as the quorum needs had seen it by then, whoever lies about more.
            return datetime.fromtimestamp(sorted(found.values())[rule.threshold - 1], UTC)
        return None


def keep_timestamp(
    home: SluiceHome, policy: TrustPolicy, record: LedgerRecord, answer: bytes
) -> datetime:
    """Keep an authority's answer about a record's envelope, if it holds, and return its time.

    Args:
        home: Paths of the installation.
        policy: Names the timestamp authorities.
        record: The record whose envelope was stamped.
        answer: RFC 3161 answer, DER.

    Raises:
        ConfigError: The policy names no timestamp authority.
        VerificationError: The answer does not hold, or is about other bytes.
    """
    home.require_directory("a timestamp")
    at = _stamped(policy, answer, record.envelope, locator="timestamp")
    home.timestamps.mkdir(exist_ok=True)
    write_atomically(home.timestamps / f"{sha256_bytes(record.envelope).hex}.tsr", answer)
    return at


def _stamped(policy: TrustPolicy, answer: bytes, envelope: bytes, *, locator: str) -> datetime:
    from sluicegate.adapters.timestamping import verified_time

    pem = "".join(policy.timestamp_authorities).encode()
    roots = load_certificates(pem, locator="timestamp authorities") if pem else []
    return verified_time(answer, envelope, roots, locator=locator)


def read_certified(home: SluiceHome, policy: TrustPolicy) -> Certified:
    """Read the chains that lie in an installation.

    Args:
        home: Paths of the installation.
        policy: As pinned; decides whether chains are read at all.

    Raises:
        ConfigError: A chain cannot be read.

    Cost: nothing for a policy without authorities.
    """
    chains = {}
    if any(rule.authorities for rule in policy.roles.values()):
        chains = {
            path.name: read_named(path, "the certificate cannot be read")
            for path in sorted(home.certificates.glob("*.pem"))
        }
    return Certified(policy, chains, home.timestamps, home.witnessed)
