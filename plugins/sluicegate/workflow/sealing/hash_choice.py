"""Which digests a seal holds: of whole files, or of their shards where a file is large.

The choice is made here alone. Another algorithm gives the same files another identity, so what a
source was sealed by last is kept while it fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.adapters.sources.protocol import CROISSANT_SCHEME, ByteSource
from sluicegate.digest.algorithms import AUTO, BY_SHARDS, SHA256, files_under, shard_bytes
from sluicegate.digest.shards import SHARD_FROM_BYTES, sharding

if TYPE_CHECKING:
    from sluicegate.adapters.sources.protocol import Source
    from sluicegate.digest.algorithms import Digest


def algorithm_for(opened: Source, asked: str, *, last: Digest | None = None) -> str:
    """Return the algorithm of the files of a new seal.

    Args:
        opened: What will be sealed.
        asked: What a person asked for, or an algorithm, which is returned.
        last: Identity of the batch that the source was sealed as last, if any.

    Raises:
        SluicegateError: The files cannot be listed.

    Cost: one `stat` for each file, or a listing of the store, unless the algorithm is named.
    """
    if asked not in {AUTO, BY_SHARDS}:
        return asked
    # Rows have no shards, and a Croissant document promises SHA-256 of whole files.
    if not isinstance(opened, ByteSource) or opened.location.startswith(CROISSANT_SCHEME):
        return SHA256 if asked == AUTO else sharding([])  # which the source refuses
    sizes = opened.sizes()
    before = shard_bytes((last and files_under(last.algorithm)) or "")
    # Model Signing cannot name a shard of a path with a colon.
    if asked == BY_SHARDS or (
        (before or max(sizes.values()) >= SHARD_FROM_BYTES)
        and not any(":" in path for path in sizes)
    ):
        return sharding(sizes.values(), before=before)
    return SHA256
