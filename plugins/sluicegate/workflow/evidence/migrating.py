"""Copy the ledger of an installation to another store, or back; needs no private key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.adapters.ledgers.copy_places import opened_source, opened_target, same_place
from sluicegate.adapters.ledgers.copying import copy_ledger
from sluicegate.errors import ConfigError
from sluicegate.ledger.audit import examine
from sluicegate.ledger.checkpoint import open_checkpoint
from sluicegate.ledger.keys import raw_public_key, verifier_of
from sluicegate.workflow.evidence.certified import read_certified
from sluicegate.workflow.evidence.opening import ledger_key, read_trust_file
from sluicegate.workflow.evidence.recall import MemoryRule, Recall

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sluicegate.adapters.ledgers.copying import Copied, CopyStore
    from sluicegate.ledger.note import NoteVerifier
    from sluicegate.workflow.evidence.home import SluiceHome


def place_of(home: SluiceHome) -> str:
    """Return where the settings say that the ledger is: path or URL, which may hold a password."""
    return home.ledger_url.reveal() or str(home.ledger)


def copy_of_ledger(
    home: SluiceHome,
    source: str,
    target: str,
    *,
    at: datetime,
    tell: Callable[[int, int], None],
    restoring: bool = False,
) -> tuple[Copied, int]:
    """Copy the ledger of ``home`` from one store to another, verified before and after.

    What is remembered of it holds for the copy as well: the memory names no store.

    Args:
        home: Paths of the installation; its trust policy says whose ledger it is.
        source: Path of a file, or URL of a schema in PostgreSQL.
        target: The same; it may hold an unfinished copy, or an older state of this ledger.
        at: Aware UTC; the ledger's key must be valid then.
        tell: Called with the number of leaves that are durable in the copy, and with all.
        restoring: Whether the source may lack remembered leaves. They are not forgotten: until
            they are appended again, whoever remembers them refuses the copy.

    Returns:
        What the copy holds, and how many of the remembered leaves it lacks.

    Raises:
        ConfigError: Both name one store, or the target holds another ledger.
        VerificationError: The source is not sound, or older than what is remembered.
        SluicegateError: As `copy_ledger`.

    Cost: an audit, and what `copy_ledger` costs.
    """
    if same_place(source, target):
        raise ConfigError("source and target are one store", locator="ledger")
    file = read_trust_file(home.trust)
    recall = Recall.read(home.memory, MemoryRule.IF_THERE, appends=False)
    if recall is not None:
        recall.require_trust(file, locator=str(home.trust))
    key = ledger_key(home, read_certified(home, file.policy).now(at), at)
    note = None if recall is None else recall.memory.checkpoint
    with opened_source(source) as store:
        origin = store.origin()
        verifier = verifier_of(raw_public_key(key, locator=store.locator), origin)
        n_known = 0
        if note is not None:
            n_known = open_checkpoint(note, [verifier], locator=str(home.memory)).size
        is_older = restoring and _size(store, verifier) < n_known
        examine(store, verifier, None if is_older else note).require_clean()
        with opened_target(target, origin) as copy:
            done = copy_ledger(store, copy, verifier, tell=tell)
    return done, max(0, n_known - done.size)


def _size(store: CopyStore, verifier: NoteVerifier) -> int:
    with store.reading() as snapshot:
        return open_checkpoint(snapshot.checkpoint(), [verifier], locator=store.locator).size
