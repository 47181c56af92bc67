"""A witness: signs a log's checkpoint if it extends the last one it signed (C2SP tlog-witness).

This is the protocol without its transport: the bytes of a request come in, a status and a body go
out. HTTP and files carry the same bytes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from sluicegate.errors import BadProof, MalformedEnvelope, VerificationError
from sluicegate.ledger.checkpoint import Checkpoint, open_checkpoint, parse_decimal
from sluicegate.ledger.merkle import verify_consistency
from sluicegate.ledger.note import SignedNote, decode_base64, encode_base64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sluicegate.ledger.cosigning.cosignature import Cosigner
    from sluicegate.ledger.note import NoteVerifier

MAX_REQUEST_BYTES: Final = 1 << 16
"""Largest request, in bytes: 63 hashes and a note with several post-quantum signatures."""

MAX_PROOF_LINES: Final = 63
"""Most hashes of a consistency proof (tlog-witness, "add-checkpoint")."""

SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of the body that tells the size a witness knows."""


class Seen(Protocol):
    """The newest checkpoint of one log that a witness signed, held exclusively."""

    note: bytes | None

    def replace(self, note: bytes) -> None:
        """Keep another one; it is durable when the block that holds this ends."""


class WitnessStore(Protocol):
    """What a witness must not forget."""

    def held(self, origin: str) -> AbstractContextManager[Seen]:
        """Hold what was seen of a log. Others wait meanwhile, so that none signs a smaller size."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness says.

    Attributes:
        status: HTTP status.
        body: Signature lines at 200, the known size at 409, else a reason.
        content_type: Content type of the body.
    """

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed `add-checkpoint` body.

    Attributes:
        old_size: Size that the client believes the witness to know.
        proof: Consistency proof from there.
        note: The checkpoint.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def to_bytes(self) -> bytes:
        """Return the body."""
        lines = [f"old {self.old_size}", *map(encode_base64, self.proof), "", ""]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Parse a body without believing it.

        Raises:
            MalformedEnvelope: It is no request.
        """
        head, separator, note = data.partition(b"\n\n")
        if len(data) > MAX_REQUEST_BYTES or not separator:
            raise MalformedEnvelope("not an add-checkpoint request", locator="request")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise MalformedEnvelope("request is not ASCII", locator="request") from None
        if not first.startswith("old ") or len(lines) > MAX_PROOF_LINES:
            raise MalformedEnvelope("not an add-checkpoint request", locator="request")
        size = parse_decimal(first.removeprefix("old "), "request")
        return cls(size, tuple(decode_base64(line, "request") for line in lines), note)


class Witness:
    """Cosigns the checkpoints of the logs that it knows.

    Args:
        logs: Keys of each log, by origin.
        cosigner: The witness's key.
        store: Remembers what it signed before.
        now: Returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        logs: Mapping[str, Sequence[NoteVerifier]],
        cosigner: Cosigner,
        store: WitnessStore,
        now: Callable[[], int],
    ) -> None:
        self._logs = logs
        self._cosigner = cosigner
        self._store = store
        self._now = now

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one request. Every way out but the last signs nothing.

        Source: tlog-witness, section "add-checkpoint".
        """
        try:
            request = Request.parse(body)
            note = SignedNote.parse(request.note, locator="checkpoint")
            with suppress(BadProof):  # it is well-formed, so first ask whose it is
                Checkpoint.parse(note.text, locator="checkpoint")
        except MalformedEnvelope as error:
            return _refused(400, error.what)
        # 1. The log is one of ours                      (nobody signs for logs he does not know)
        origin = note.text.partition("\n")[0]
        if origin not in self._logs:
            return _refused(404, "unknown origin")
        # 2. The log signed it                           (anybody else's tree)
        try:
            head = open_checkpoint(request.note, self._logs[origin], locator="checkpoint")
        except VerificationError as error:
            # BadProof is a root for no leaves, and the log did sign it.
            return _refused(422 if isinstance(error, BadProof) else 403, error.what)
        if request.old_size > head.size:
            return _refused(400, "old size is larger than the checkpoint")
        with self._store.held(head.origin) as seen:
            return self._extended(request, note, head, seen)

    def _extended(self, request: Request, note: SignedNote, head: Checkpoint, seen: Seen) -> Answer:
        old = None if seen.note is None else _trusted(seen.note)
        size = 0 if old is None else old.size
        # 3. The proof begins at what was signed last    (rollback; two requests at once)
        if request.old_size != size:
            return Answer(409, b"%d\n" % size, SIZE_TYPE)
        # 4. The tree only grew                          (fork, split view)
        if size == 0 and request.proof:
            return _refused(422, "no proof is needed from the empty tree")
        try:
            if old is not None and size:
                verify_consistency(size, old.root, head.size, head.root, request.proof)
        except BadProof as error:
            return _refused(422, error.what)
        line = self._cosigner.cosign(note.text, self._now())
        # 5. Remembered before it is handed out          (a crash must not forget a signature)
        own = tuple(each for each in note.signatures if each.name == head.origin)
        seen.replace(SignedNote(note.text, (*own, line)).to_bytes())
        return Answer(200, f"{line}\n".encode())

    def newest_by_hash(self, origin_hash: str) -> bytes | None:
        """Return the newest checkpoint of a log that this witness signed, with the cosignature.

        Args:
            origin_hash: SHA-256 of the origin in lower-case hex (tlog-witness, "Monitor
                Retrieval Mechanism").
        """
        for origin in self._logs:
            if sha256(origin.encode()).hexdigest() == origin_hash:
                with self._store.held(origin) as seen:
                    return seen.note
        return None


def _trusted(note: bytes) -> Checkpoint:
    """Parse the witness's own memory."""
    parsed = SignedNote.parse(note, locator="witness state")
    return Checkpoint.parse(parsed.text, locator="witness state")


def _refused(status: int, why: str) -> Answer:
    return Answer(status, f"{why}\n".encode())
