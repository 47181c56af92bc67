"""Count the portions of a batch on the executors of Spark instead of in mapped tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sluicegate.digest.portions import Portion
from sluicegate.workflow.judging.portions import count, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sluicegate.adapters.tally_store import TallyStore
    from sluicegate.attest.keys import Signer
    from sluicegate.workflow.judging.case import Case


def count_on_spark(
    session: Any,
    case: Callable[[], Case],
    store: Callable[[], TallyStore],
    signer: Callable[[], Signer],
    *,
    n_portions: int,
) -> list[str]:
    """Cut a batch here, count its portions on executors, and return where the tallies lie.

    Executors need Sluicegate, the home, the batch and the gate's key, as tasks of the gate do. Only
    places in the manifest go to them, and only locations come back. The three functions are called
    there, so that no key and no open connection travels.

    Args:
        session: A SparkSession.
        case: Opens what is judged.
        store: Opens the place of the tallies.
        signer: Returns the key of the gate.
        n_portions: How many are wanted, as `cut`.

    Returns:
        Locations for `gate_source`.

    Raises:
        SluicegateError: As `cut`.
        PySparkException: A portion was not counted; its text holds our error.

    Cost: as `count` on the executors, one portion for each task of Spark.
    """
    empty, portions = cut(case(), store(), n_portions, signer())

    def counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                portion = Portion(row["first"], row["end"])
                place = count(case(), store(), empty, portion, signer())
                yield pa.RecordBatch.from_pydict({"tally": [place]})

    rows = [(portion.first, portion.end) for portion in portions]
    frame = session.createDataFrame(rows, "first long, end long")
    frame = frame.repartitionByRange(len(rows), "first")
    return [row["tally"] for row in frame.mapInArrow(counted, "tally string").collect()]
