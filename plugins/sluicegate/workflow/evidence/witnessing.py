"""Get a ledger's checkpoint cosigned by witnesses, and require that enough of them did."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sluicegate.adapters.ledgers.tile_files import write_atomically
from sluicegate.attest.trust import Role
from sluicegate.errors import ConfigError, LedgerError, MalformedEnvelope, UntrustedKey
from sluicegate.ledger.checkpoint import parse_decimal
from sluicegate.ledger.cosigning.cosignature import cosigners, require_quorum, with_lines
from sluicegate.ledger.cosigning.witness import Request
from sluicegate.ledger.keys import raw_witness_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence

TIMEOUT_S: Final = 30
"""How long a witness may take to answer, in seconds."""

_MAX_ANSWER_BYTES: Final = 1 << 16


def request(evidence: Evidence, old_size: int) -> bytes:
    """Return the bytes of a request for a witness that knows a tree of this size.

    Args:
        evidence: Ledger and trust policy.
        old_size: Leaves that the witness knows; 0 for a witness that knows none.

    Raises:
        BadProof: The ledger has fewer leaves.
    """
    note = evidence.ledger.checkpoint()
    return _request(evidence, note, old_size)


def collect(
    evidence: Evidence, home: SluiceHome, urls: Sequence[str], *, at: datetime
) -> Mapping[bytes, int]:
    """Have each of these witnesses cosign the ledger's checkpoint, and keep it.

    Args:
        evidence: Ledger and trust policy.
        home: Paths of the installation; the checkpoint is kept there.
        urls: Base URLs of the witnesses, http or https.
        at: Aware UTC; witness keys must be valid then.

    Returns:
        Raw key of each trusted witness that cosigned, to the time in seconds since the epoch.

    Raises:
        LedgerError: A witness cannot be reached or refuses.
        UntrustedKey: What a witness answered is not signed by a witness of the trust policy.
        BadSignature: A cosignature does not hold.
        ConfigError: A URL is neither http nor https.
    """
    note = evidence.ledger.checkpoint()
    lines = b"".join(_ask(evidence, note, url) for url in urls)
    return _keep(evidence, home, note, lines, at=at)


def accept(
    evidence: Evidence, home: SluiceHome, lines: bytes, *, at: datetime
) -> Mapping[bytes, int]:
    """Keep the lines that a witness wrote for a request file; see `collect`.

    Args:
        evidence: Ledger and trust policy.
        home: Paths of the installation; the checkpoint is kept there.
        lines: Signature lines about the ledger's current checkpoint.
        at: Aware UTC; witness keys must be valid then.
    """
    return _keep(evidence, home, evidence.ledger.checkpoint(), lines, at=at)


def require_witnessed(evidence: Evidence, home: SluiceHome, *, at: datetime) -> bytes:
    """Return the kept checkpoint if the trust policy's quorum of witnesses cosigned it.

    Args:
        evidence: Ledger and trust policy.
        home: Paths of the installation.
        at: Aware UTC; witness keys must be valid then.

    Raises:
        UntrustedKey: The quorum is missing, or there is no cosigned checkpoint at all.
        ConfigError: The trust policy names no witness.
        VerificationError: The checkpoint is not this ledger's, or a cosignature is forged.
    """
    rule = evidence.trust.roles.get(Role.WITNESS)
    if rule is None:
        raise ConfigError(
            "the trust policy names no witness",
            locator=str(home.trust),
            next_step="Add the witness's public key under the role `witness`: `sluicegate trust`.",
        )
    try:
        note = home.cosigned.read_bytes()
    except FileNotFoundError:
        raise UntrustedKey(
            "the witness quorum is missing",
            locator=str(home.cosigned),
            expected=f"{rule.threshold} witnesses",
            got="no cosigned checkpoint",
            next_step="Run: sluicegate ledger cosign --witness URL.",
        ) from None
    evidence.ledger.verify_checkpoint(note, locator=str(home.cosigned))
    keys = witness_keys(evidence, at=at)
    require_quorum(note, keys, rule.threshold, locator=str(home.cosigned))
    return note


def witness_keys(evidence: Evidence, *, at: datetime) -> list[bytes]:
    """Return the raw keys of the role witness that are valid now.

    Args:
        evidence: Ledger and trust policy.
        at: Aware UTC; the keys must be valid then.
    """
    return [raw_witness_key(key) for key in evidence.trust.keys_for(Role.WITNESS, at=at)]


def _keep(
    evidence: Evidence, home: SluiceHome, note: bytes, lines: bytes, *, at: datetime
) -> Mapping[bytes, int]:
    cosigned = with_lines(note, lines, locator="witness")
    found = cosigners(cosigned, witness_keys(evidence, at=at), locator="witness")
    if not found:
        raise UntrustedKey(
            "no witness of the trust policy cosigned",
            locator="witness",
            next_step="Add its key: sluicegate trust init --key witness=PUB.pem.",
        )
    home.require_directory("a cosigned checkpoint")
    write_atomically(home.cosigned, cosigned)
    kept = home.witnessed / str(evidence.ledger.verify_checkpoint(note).size)
    if not kept.exists():
        # The first time counts: it says since when the ledger holds these leaves.
        kept.parent.mkdir(exist_ok=True)
        write_atomically(kept, cosigned)
    return found


def _ask(evidence: Evidence, note: bytes, url: str) -> bytes:
    """Return a witness's lines. If it knows another size, it says so and is asked again."""
    status, body = _post(url, _request(evidence, note, 0))
    if status == 409:
        known = parse_decimal(body.decode("ascii", errors="replace").rstrip("\n"), url)
        status, body = _post(url, _request(evidence, note, known))
    if status != 200:
        raise LedgerError(
            "the witness refuses the checkpoint",
            locator=url,
            got=f"status {status}: {body[:120].decode('utf-8', errors='replace').strip()}",
            next_step="404: give it the ledger's vkey. 403, 422: compare with its checkpoint.",
        )
    return body


def _request(evidence: Evidence, note: bytes, old_size: int) -> bytes:
    head = evidence.ledger.verify_checkpoint(note)
    proof = evidence.ledger.prove_consistency(old_size, head.size) if old_size else ()
    return Request(old_size, proof, note).to_bytes()


def _post(url: str, body: bytes) -> tuple[int, bytes]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError("not the URL of a witness", locator=url, expected="http or https")
    target = f"{url.rstrip('/')}/add-checkpoint"
    try:
        sent = urllib.request.Request(target, data=body, method="POST")  # noqa: S310 - checked above
        with urllib.request.urlopen(sent, timeout=TIMEOUT_S) as answer:  # noqa: S310 - likewise
            return answer.status, _limited(answer.read(_MAX_ANSWER_BYTES + 1), url)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _limited(error.read(_MAX_ANSWER_BYTES + 1), url)
    except OSError as error:
        raise LedgerError(
            "the witness cannot be reached",
            locator=url,
            got=type(error).__name__,
            next_step="Start it, or exchange files: sluicegate ledger cosign --request FILE.",
        ) from error


def _limited(body: bytes, url: str) -> bytes:
    if len(body) > _MAX_ANSWER_BYTES:
        raise MalformedEnvelope("the witness's answer is too large", locator=url)
    return body
