"""The signals that need no baseline: a batch's files, partitions and history, and its policy.

Their records stand here and not beside what computes them, because whoever reads a policy or
replays one must know them, and need not load what judges.
"""

from __future__ import annotations

from typing import Final

from sluicegate.signals.decision.record import (
    CONTRIBUTOR_LIMIT,
    PARTS,
    SEQUENCE,
    UNJUDGED,
    Family,
)
from sluicegate.signals.definition import Scope, Signal

UNJUDGED_FILES: Final = Signal(
    code=UNJUDGED,
    family=Family.COMPLETENESS,
    scope=Scope.PARTS,
    exact=True,
    asks="files of the batch that no reader knows",
    demand="Every file of the batch must be read, or be a marker that holds no rows.",
    needs="nothing",
    lack="nobody looked for files of the batch that were not read",
)
LIMITS: Final = Signal(
    code=CONTRIBUTOR_LIMIT,
    family=Family.CONTAMINATION,
    scope=Scope.POLICY,
    asks="one contributor delivers more than the policy allows",
    demand="No contributor may deliver more of a batch than the policy allows.",
    needs="contributor column, section `contributors` of the policy",
    lack="the policy has no section `contributors`",
)
PARTITIONS: Final = Signal(
    code=PARTS,
    family=Family.COMPLETENESS,
    scope=Scope.PARTS,
    asks="partitions of the batch without an accepted verdict",
    demand="Each partition of the batch must have an accepted verdict of its own.",
    needs="a gate with `parts`",
    lack="nobody named the batch's partitions. Judge it with a gate that is given them (parts=)",
)
OVER_TIME: Final = Signal(
    code=SEQUENCE,
    family=Family.LABEL,
    scope=Scope.HISTORY,
    floor=0.005,
    asks="flipped labels too few for any one batch, added up over the batches of a source",
    demand="Over all batches of a source, labels must agree with what the baseline says.",
    needs="`LABEL_FLIPS`, earlier checks",
    lack="the batches before this one are not known. Give `check` their results (--history), "
    "or judge it with the gate, which has the ledger",
)
ALONE: Final = (UNJUDGED_FILES, LIMITS, PARTITIONS, OVER_TIME)
"""In the order in which their findings are reported."""
