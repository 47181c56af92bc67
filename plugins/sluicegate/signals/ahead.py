"""Record batches prepared in other threads while signals count those before them.

numpy and Arrow release the interpreter's lock, so what signals see of a record batch (cells,
fingerprints, margins) is computed beside the counting. Counting stays in one thread and in the
order of the rows: a result is the same, byte for byte, with any number of threads.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sluicegate.signals.chunk import chunk_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    import pyarrow as pa

    from sluicegate.signals.chunk import Chunk, Plan

MAX_THREADS = 8
"""More have nothing to do: counting, in one thread, takes about a third of the work."""


def chunks(
    plans: Sequence[Plan], batches: Iterable[pa.RecordBatch], threads: int
) -> Iterator[Chunk]:
    """Yield record batches as signals see them, in their order, each for one plan after another.

    What the caller asks of the first one is computed ahead for the others of its plan, so they
    have to be asked alike; what was not computed ahead is computed when it is asked for.

    Args:
        plans: What they are held against, 1 or more.
        batches: Rows, read by the thread of the caller.
        threads: Threads at work, the caller's own included, 1..`MAX_THREADS`.

    Cost: memory for as many prepared record batches as there are threads, however many plans.
    """
    rows, start = iter(batches), 0
    views: list[tuple[Callable[..., Any], ...]] = [() for _ in plans]
    for batch in rows:
        for place, plan in enumerate(plans):
            chunk = chunk_of(plan, batch, start)
            yield chunk
            views[place] = chunk.asked
            del chunk  # a generator keeps what it names, and a record batch is large
        start += batch.num_rows
        if threads > 1 and batch.num_rows:
            break
    with ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="sluicegate-rows") as pool:
        waiting: deque[Future[Chunk]] = deque()
        try:
            for batch in rows:
                for plan, asked in zip(plans, views, strict=True):
                    waiting.append(pool.submit(_prepared, plan, batch, start, asked))
                    if len(waiting) >= threads:
                        yield waiting.popleft().result()
                start += batch.num_rows
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _prepared(
    plan: Plan, batch: pa.RecordBatch, start: int, views: tuple[Callable[..., Any], ...]
) -> Chunk:
    chunk = chunk_of(plan, batch, start)
    for view in views:
        chunk.once(view)
    return chunk
