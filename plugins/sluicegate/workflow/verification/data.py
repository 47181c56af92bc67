"""Compare data with what a verified seal says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.adapters.sources.local import real_place
from sluicegate.adapters.sources.open import open_source
from sluicegate.attest.sealed_table import SealedTable
from sluicegate.digest.manifest import require_same
from sluicegate.digest.merkle_files import MerkleFiles
from sluicegate.digest.merkle_manifest import verify_files
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.attest.contents import Contents


def compare(contents: Contents, data: Path | str, only: Sequence[str]) -> str:
    """Return, in words, that the data are what was sealed.

    Args:
        contents: What the verified seal says.
        data: Path, glob or URL.
        only: The only files to compare, of a directory whose manifest is in parts.

    Raises:
        IntegrityError: The data are something else.
        ConfigError: ``only`` with a seal that is not in parts.

    Cost: one read of ``data``.
    """
    if isinstance(contents, SealedTable):
        return _rows(contents, str(data))
    if isinstance(contents, MerkleFiles):
        return _parts(contents, data, only)
    if only:
        raise ConfigError("only a manifest in parts is compared in part", locator="only")
    found = open_source(data)
    now = found.manifest(contents.algorithm)
    require_same(contents, now, locator=found.location)
    return f"{size_of(contents)} match"


def size_of(contents: Contents) -> str:
    """Return, in words, how much was sealed."""
    if isinstance(contents, SealedTable):
        return f"{contents.n_rows} rows"
    if isinstance(contents, MerkleFiles):
        return f"{contents.n_files} files"
    return f"{len(contents.files)} files"


def _parts(files: MerkleFiles, data: Path | str, only: Sequence[str]) -> str:
    if only:
        n_parts = verify_files(real_place(Path(data)), files.index, files.parts.part, only)
        return f"{len(only)} of {size_of(files)} match, {n_parts} parts read"
    found = open_source(data)
    now = found.manifest(files.index.algorithm)
    if now.digest != files.digest:  # the parts are read only to name the difference
        require_same(files.manifest(), now, locator=found.location)
    return f"{size_of(files)} match"


def _rows(table: SealedTable, data: str) -> str:
    # To compare rows needs numpy and Arrow; everything else here needs only cryptography.
    from sluicegate.adapters.engines.table_commitment import commit_batches
    from sluicegate.workflow.sealing.sealed_rows import require_same_rows, rows_of

    require_same_rows(table, commit_batches(rows_of(data, unjudged=[]), locator=data), locator=data)
    return f"{size_of(table)} match"
