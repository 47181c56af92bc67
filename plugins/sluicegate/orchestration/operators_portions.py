"""Count a batch in portions: one task cuts it, mapped tasks count, and the gate adds up.

    cut = CutBatchOperator(task_id="cut", source="flights", portions=8, place="s3://bucket/tallies")
    count = CountPortionOperator.partial(task_id="count", source="flights").expand(
        portion=cut.output
    )
    TrainingGateOperator(task_id="gate", source="flights", tallies=count.output)

What goes through XCom says where a tally lies and proves nothing: the gate verifies each tally.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError
from sluicegate.orchestration.batches import awaited, judged_day, named_or_own, require_left
from sluicegate.orchestration.operators import _SluicegateOperator, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sluicegate.adapters.tally_store import TallyStore
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.judging.case import Case


class _PortionOperator(_SluicegateOperator):
    """What both tasks share: how they reach the batch and the tallies."""

    def __init__(
        self, *, conn_id: str | None = None, tally_conn_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.tally_conn_id = tally_conn_id

    def _case(
        self, home: SluiceHome, context: Mapping[str, Any], at: datetime, digest: Digest | None
    ) -> Case:
        from sluicegate.adapters.sources.connection import filesystem_of
        from sluicegate.workflow.judging.case import open_case

        return open_case(
            home,
            self.source,
            at=at,
            as_of=judged_day(context),
            digest=digest,
            filesystem=self.conn_id and partial(filesystem_of, conn_id=self.conn_id),
        )

    def _store(self, place: str) -> TallyStore:
        from sluicegate.adapters.tally_store import TallyStore

        return TallyStore.open(place, self.tally_conn_id)


class CutBatchOperator(_PortionOperator):
    """Cut a sealed batch into portions, runs of its files, that mapped tasks count.

    Args:
        source: Name of the source.
        portions: How many are wanted, 1 to 1,024; a batch of fewer files has fewer.
        place: Directory that all tasks see, or URL of a store, where tallies lie; templated. Only
            tasks of the gate should be able to write there.
        batch: As for `TrainingGateOperator`; templated.
        conn_id: Another connection than the one that the batch was sealed by.
        tally_conn_id: Airflow connection of the store of tallies.
        **kwargs: As for any operator.

    Returns:
        Through XCom one pointer for each portion, for ``CountPortionOperator.expand``.
    """

    template_fields: Sequence[str] = ("place", "batch")

    def __init__(self, *, portions: int, place: str, batch: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.portions = portions
        self.place = place
        self.batch = batch
        self.awaited = awaited(batch=batch)

    def _run(
        self, home: SluiceHome, context: Mapping[str, Any], at: datetime
    ) -> list[dict[str, Any]]:
        from sluicegate.workflow.judging.portions import cut

        require_left(self.source, {name: getattr(self, name) for name in self.awaited})
        run = run_of(context)
        digest = named_or_own(
            self, self.source, self.batch, home=home, context=context, run=run, at=at
        )
        case, store = self._case(home, context, at, digest), self._store(self.place)
        empty, found = cut(case, store, self.portions, self._signer(home, "gate"))
        pointer = {"source": self.source, "digest": str(case.batch.digest), "place": store.place}
        self.log.info("%s is cut into %d portions", pointer["digest"], len(found))
        return [{**pointer, "empty": empty, "first": p.first, "end": p.end} for p in found]


class CountPortionOperator(_PortionOperator):
    """Count one portion of a batch, and leave the signed tally for the gate.

    Args:
        source: Name of the source.
        portion: One of what `CutBatchOperator` returned.
        conn_id: Another connection than the one that the batch was sealed by.
        tally_conn_id: Airflow connection of the store of tallies.
        **kwargs: As for any operator.

    Returns:
        Through XCom ``{source, digest, place, tally}``: a pointer, never evidence.
    """

    template_fields: Sequence[str] = ("portion",)

    def __init__(self, *, portion: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.portion = portion

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from sluicegate.digest.algorithms import Digest
        from sluicegate.digest.portions import Portion
        from sluicegate.workflow.judging.portions import count

        match self.portion:
            case {
                "source": self.source,
                "digest": str(digest),
                "place": str(place),
                "empty": str(empty),
                "first": int(first),
                "end": int(end),
            }:
                case = self._case(home, context, at, Digest.parse(digest))
            case _:
                raise ConfigError(
                    "not a portion of a batch of this source",
                    locator="portion",
                    expected="one of what a CutBatchOperator returned",
                    got=type(self.portion).__name__,
                )
        signer, portion = self._signer(home, "gate"), Portion(first, end)
        tally = count(case, self._store(place), empty, portion, signer)
        return {"source": self.source, "digest": digest, "place": place, "tally": tally}
