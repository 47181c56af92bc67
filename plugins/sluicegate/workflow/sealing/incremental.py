"""Keep what an incremental seal needs: the signed manifest, and a state bound to it.

The state says which files need not be read again, so whoever could edit it could hide a change from
the next seal. Therefore the source role signs it, together with the digest of the manifest that it
belongs to. A state that does not verify is no state, and everything is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.attest import dsse
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.digest.algorithms import SHA256, sha256_bytes
from sluicegate.digest.canonical import dumps, loads
from sluicegate.digest.incremental import STATE_TYPE, Known, Scan, ScanState, scan
from sluicegate.digest.manifest import Manifest
from sluicegate.errors import SluicegateError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sluicegate.attest.keys import Signer

STATE_FILE: Final = "scan-state.json"
MANIFEST_FILE: Final = "manifest.json"
ENVELOPE_FILE: Final = "scan-state.dsse.json"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Directory beside the evidence that carries state from one seal to the next.

    Attributes:
        path: Directory; created when first written.
        source: Name of the source.
    """

    path: Path
    source: str

    def read(self, trust: TrustPolicy, *, at: datetime) -> Known | None:
        """Return the verified manifest and state, or None if there is none that holds.

        Args:
            trust: Keys that may have signed it.
            at: Aware UTC; they must be valid then.
        """
        try:
            envelope = Envelope.from_bytes(self._bytes(ENVELOPE_FILE), locator=ENVELOPE_FILE)
            statement = trust.verify(envelope, Role.SOURCE, at=at, locator=ENVELOPE_FILE)
            manifest_bytes, state_bytes = self._bytes(MANIFEST_FILE), self._bytes(STATE_FILE)
            manifest = Manifest.from_json(loads(manifest_bytes, locator=MANIFEST_FILE))
            subject = Subject(self.source, {manifest.digest.algorithm: manifest.digest.hex})
            said = {"state": sha256_bytes(state_bytes).hex}
            if statement != Statement((subject,), STATE_TYPE, said):
                return None
            state = ScanState.from_json(loads(state_bytes, locator=STATE_FILE), locator=STATE_FILE)
        except (OSError, SluicegateError):
            return None
        return Known(manifest, state)

    def write(self, done: Scan, signer: Signer) -> None:
        """Keep the state of a scan. The envelope is written last, so a crash leaves no state.

        Args:
            done: The scan that was just made.
            signer: The source role's key.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / ENVELOPE_FILE).unlink(missing_ok=True)
        state = dumps(done.state.to_json())
        (self.path / MANIFEST_FILE).write_bytes(dumps(done.manifest.to_json()))
        (self.path / STATE_FILE).write_bytes(state)
        digest = done.manifest.digest
        subject = Subject(self.source, {digest.algorithm: digest.hex})
        statement = Statement((subject,), STATE_TYPE, {"state": sha256_bytes(state).hex})
        (self.path / ENVELOPE_FILE).write_bytes(dsse.sign(statement.to_bytes(), signer).to_bytes())

    def _bytes(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


def scan_again(
    root: Path,
    folder: StateFolder,
    *,
    trust: TrustPolicy,
    signer: Signer,
    at: datetime,
    seed: bytes,
    sample: float = 0.005,
    algorithm: str = SHA256,
) -> Scan:
    """Scan a directory, reading only what changed since the last time, and keep the state.

    Args:
        root: Directory.
        folder: State of the last time, if any.
        trust: Keys that may have signed it.
        signer: The source role's key.
        at: Aware UTC; the clock of the file system must not be ahead of it.
        seed: Secret random bytes that choose the sample.
        sample: Share of unchanged files that are read anyway.
        algorithm: Algorithm of the file digests, ``sha256`` or ``blake3``.

    Raises:
        SluicegateError: As `incremental.scan`.
    """
    known = folder.read(trust, at=at)
    done = scan(
        root,
        known,
        now_ns=int(at.timestamp() * 1_000_000_000),
        seed=seed,
        sample=sample,
        algorithm=algorithm,
    )
    folder.write(done, signer)
    return done
