"""The policy that `sluicegate policy init` writes: a start to edit, not a hidden default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_CLASSES: Final = ("LABEL_PRIOR", "LABEL_NEW_CLASS", "LABEL_FLIPS")
_NUMBERS: Final = ("TARGET_RANGE",)
_HEAD: Final = """\
# Sluicegate policy. Every verdict binds the digest of this file: a change, even of a
# comment, makes the gate judge again. Unknown keys are errors.
version: 1

# enforce: only accepted verdicts let training start.
# shadow: verdicts are issued and recorded, and training starts whatever they say.
mode: enforce

# Verdicts that let training start. FAILED can never be listed.
accept: [PASSED, WARNED]

# Probability of blocking a clean batch, over all signals of a run together.
false_block_budget: 0.01

# How long a verdict lets training start.
verdict_ttl_hours: 168

# How much of a batch may be decoded, all its files together; these hold without the section.
# limits: {max_rows: 100000000, max_decoded_bytes: 68719476736, max_expansion: 400}

# Messages and findings name contributors. Where names are personal data, hide them:
# contributor_names: hidden

# A gate names no rows. Let it keep the place and the signals of the worst rows of a batch that
# findings speak against; values of single roles only where you name these:
# worst_rows: {most: 50, values: [id]}

# CODE, or CODE:column for one column. severity: what happens when the signal fires. tolerance:
# largest accepted effect, a share; without it the one that the baseline learned from its own
# history. SCHEMA:extra: columns that the baseline does not know, and so nobody judges. UNJUDGED:
# files of the batch that no reader knows; they block without a rule too.
# required: false if a source need not have what the signal looks at, such as a label, classes or
# numbers; what the baseline supports must be evaluated all the same. not_evaluated: why a batch
# may pass although the signal could not be evaluated; without that reason, it may not.
signals:
  SCHEMA: {severity: block}
  SCHEMA:extra: {severity: block, tolerance: 0}
  COMPLETENESS: {severity: block}
  DRIFT_NUMERIC: {severity: warn, required: false}
  DRIFT_CATEGORICAL: {severity: warn, required: false}
"""


def default_policy(supported: Collection[str] | None = None) -> str:
    """Return the policy to start from.

    Args:
        supported: Codes of the signals that the source's baseline or schema supports; None if
            nobody knows, and then no signal of labels is required.

    Returns:
        YAML. A signal of labels that is supported is required: a later baseline that no longer
        supports it blocks. One that does not apply to the source has no rule.
    """
    if supported is None:
        rules = [f"  {code}: {{severity: block, required: false}}" for code in _CLASSES]
    else:
        rules = [
            f"  {code}: {{severity: block}}" for code in (*_CLASSES, *_NUMBERS) if code in supported
        ]
    return _HEAD + "".join(f"{rule}\n" for rule in rules)


DEFAULT_POLICY: Final = default_policy()
"""For any source."""
