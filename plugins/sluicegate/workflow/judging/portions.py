"""Count a sealed batch in portions: cut it, count each by itself, and add the tallies up again.

A tally counts only if all of this holds:

1. The gate signed it, as a tally                       (counts that somebody made up)
2. It is of this batch, held against these baselines
   and this policy by this version of the code          (another batch, or an older question)
3. Its files are those that the manifest lists there    (files that were not sealed)
4. Its counts are those that were signed                (edited, cut off, exchanged)
5. All tallies together hold each sealed file once      (a portion left out, or counted twice)
6. The rows needed the columns they were counted in     (files that were changed meanwhile)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from sluicegate import __version__
from sluicegate.adapters.files.layout import merged
from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.attest.tally import Against, signed_counts, signed_tally, verified_head
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.digest.manifest import Manifest
from sluicegate.digest.portions import Portion, gaps, portions_of
from sluicegate.errors import BadProof, ConfigError, EvidenceMissing, UnreadableData
from sluicegate.workflow.judging.runners import count_beside
from sluicegate.workflow.judging.tally import Tally
from sluicegate.workflow.sealing.sealed_rows import (
    columns_of,
    files_of,
    refuse_layout_of,
    verified_stream,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from sluicegate.adapters.tally_store import TallyStore
    from sluicegate.attest.keys import Signer
    from sluicegate.attest.tally import TallyHead
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.judging.case import Case

NO_FILE: Final = Portion(0, 0)
MAX_PORTIONS: Final = 1024


def cut(
    case: Case, store: TallyStore, n_portions: int, signer: Signer
) -> tuple[str, list[Portion]]:
    """Cut a batch into portions, and say in which columns all of them are counted.

    Args:
        case: What is judged.
        store: Where tallies lie.
        n_portions: How many are wanted, 1..`MAX_PORTIONS`; a batch of fewer files has fewer.
        signer: Key of the gate.

    Returns:
        Location of the tally of no file, with which each portion begins, and the portions.

    Raises:
        ConfigError: The batch is rows of a table, or the number is out of range.
        UnreadableData: No file has a row, or columns contradict each other.

    Cost: a look at each file of Parquet, and one read of each file of text.
    """
    if not 1 <= n_portions <= MAX_PORTIONS:
        raise ConfigError(
            "number of portions is out of range",
            locator="portions",
            expected=f"1 to {MAX_PORTIONS}",
            got=str(n_portions),
        )
    batch = case.batch
    if batch.table is not None:
        raise ConfigError(
            "rows of a table are one stream, and cannot be counted in portions",
            locator=f"{batch.source}@{batch.digest.short}",
            next_step="Judge it with a gate that is given no tallies, or seal files.",
        )
    data, manifest = files_of(batch, case.filesystem), batch.manifest
    refuse_layout_of(data, manifest.paths)
    schema = columns_of(data, manifest.entries, _reader(case, data.location, []))
    if schema is None:
        raise UnreadableData(
            "no rows",
            locator=data.location,
            next_step="Check the step that writes this source.",
        )
    empty = _keep(case, store, NO_FILE, Tally.start(case, schema), signer)
    return empty, portions_of([size for _, _, size in manifest.files], n_portions)


def count(case: Case, store: TallyStore, empty: str, portion: Portion, signer: Signer) -> str:
    """Count a portion of a batch, sign the tally and leave it for the gate.

    Args:
        case: What is judged.
        store: Where tallies lie.
        empty: What `cut` returned as the tally of no file.
        portion: The files.
        signer: Key of the gate.

    Returns:
        Location of the tally.

    Raises:
        ConfigError: The batch has no such files.
        SluicegateError: The bytes are not the sealed ones, or cannot be read.

    Cost: one verified read of the portion, as a gate takes it for a batch.
    """
    start = _tally(case, store, empty, _head(case, store, empty))
    entries = case.batch.manifest.entries
    if not 0 <= portion.first < portion.end <= len(entries):
        raise ConfigError(
            "the batch has no such files",
            locator=f"portion {portion}",
            expected=f"within 0-{len(entries)}",
        )
    data = files_of(case.batch, case.filesystem)
    files = _reader(case, data.location, start.unjudged, start.schema)

    def rows() -> Iterator[pa.RecordBatch]:
        stream = verified_stream(data, entries[portion.first : portion.end], files)
        for batch in merged(stream):
            if start.contributors is not None:
                start.contributors.update(batch)
            yield batch

    scans = count_beside(rows(), case.baselines)
    counted = Tally(
        start.schema, files.seen, scans, start.contributors, files.meter, start.unjudged
    )
    return _keep(case, store, portion, counted, signer)


def joined(case: Case, store: TallyStore, locations: Sequence[str]) -> Tally:
    """Add up the tallies of all portions of a batch, after the list of this module's docstring.

    Args:
        case: What is judged.
        store: Where tallies lie.
        locations: Of one tally for each portion, in any order.

    Raises:
        VerificationError: A tally is not what it must be; names it.
        EvidenceMissing: Files of the batch are in no tally, or a tally is not there.
        UnreadableData: Together they are more than the limits, or files were changed.

    Cost: one read of each tally, and memory for two of them.
    """
    data, n_files = files_of(case.batch, case.filesystem), len(case.batch.manifest.files)
    refuse_layout_of(data, case.batch.manifest.paths)
    heads = sorted(
        ((_head(case, store, place), place) for place in locations),
        key=lambda found: found[0].portion,
    )
    for fault, portion in gaps([head.portion for head, _ in heads], n_files):
        _refuse_gap(case, fault, portion)
    whole: Tally | None = None
    for head, place in heads:
        own = _tally(case, store, place, head)
        if whole is not None and not own.schema.equals(whole.schema):
            raise _foreign(place, "columns", str(whole.schema.names), str(own.schema.names))
        whole = own if whole is None else whole.merge(own)
    assert whole is not None  # noqa: S101 - a batch has a file, and no file is missing
    whole.meter.require()
    whole.require_whole()
    return whole


def _head(case: Case, store: TallyStore, location: str) -> TallyHead:
    """Return the head of a tally of this case, signed by the gate."""
    trust = case.evidence.trust
    head = verified_head(store.head(location), trust, at=case.at, locator=location)
    if differs := head.against.difference(_against(case)):
        what, got, expected = differs
        raise _foreign(location, what, expected, got)
    if head.files != _files_digest(case, head.portion):
        raise _foreign(location, f"files {head.portion}", "those that were sealed", "others")
    return head


def _tally(case: Case, store: TallyStore, location: str, head: TallyHead) -> Tally:
    counts = signed_counts(store.read(location), head, locator=location)
    return Tally.from_bytes(counts, case, locator=location)


def _keep(case: Case, store: TallyStore, portion: Portion, tally: Tally, signer: Signer) -> str:
    against, counts = _against(case), tally.to_bytes()
    data = signed_tally(against, portion, _files_digest(case, portion), counts, signer)
    # A key that may not sign fails here, and not in the gate that waits for all portions.
    head = data.partition(b"\n")[0]
    verified_head(head, case.evidence.trust, at=case.at, locator="new tally")
    asked = dumps([*map(str, against.baselines), str(against.policy), against.code_version])
    batch = f"{case.batch.source}/{case.batch.digest.hex[:16]}-{sha256_bytes(asked).hex[:16]}"
    return store.write(f"{batch}/{portion}.tally", data)


def _against(case: Case) -> Against:
    return Against(
        case.batch.source,
        case.batch.digest,
        tuple(baseline.digest for baseline in case.baselines),
        case.policy.digest,
        __version__,
    )


def _files_digest(case: Case, portion: Portion) -> Digest | None:
    """Return the identity of some files as a batch of their own; None for no file."""
    manifest = case.batch.manifest
    files = manifest.files[portion.first : portion.end]
    return Manifest(files, manifest.algorithm).digest if files else None


def _reader(
    case: Case, location: str, unjudged: list[Any], schema: pa.Schema | None = None
) -> TableFiles:
    return TableFiles(location, case.policy.limits, unjudged, case.dialect, schema=schema)


def _refuse_gap(case: Case, fault: str, portion: Portion) -> NoReturn:
    n_files = f"{portion.end - portion.first} file(s)"
    named = (ascii(path)[1:-1][:120] for path in case.batch.manifest.paths[portion.first :])
    locator = f"{case.batch.source}@{case.batch.digest.short}: {next(named, portion)}"
    if fault == "missing":
        raise EvidenceMissing(
            f"{n_files} of the batch are in no tally",
            locator=locator,
            next_step="Give the gate the tallies of all portions.",
        )
    raise BadProof(
        f"{n_files} are in a tally and {'counted twice' if fault == 'doubled' else 'not sealed'}",
        locator=locator,
        next_step="Give the gate one tally of each portion, of one cut.",
    )


def _foreign(location: str, what: str, expected: str, got: str) -> BadProof:
    return BadProof(
        f"the tally is of another {what}",
        locator=location,
        expected=expected[:200],
        got=got[:200],
        next_step="Cut the batch and count all its portions again.",
    )
