"""Optional sections of a policy: freshness, model, contributors, promoted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from sluicegate.attest.timestamps import require_dated
from sluicegate.errors import Expired
from sluicegate.gate.promotion import Lane
from sluicegate.signals.contributors.rules import ContributorLimits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sluicegate.gate.policy_reader import PolicyReader

MAX_HOURS: Final = 24 * 3660
"""Ten years: more would be no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old evidence may be when a batch is judged or trained on; None sets no limit.

    Attributes:
        sealed_s: Largest age of the seal, in seconds.
        baseline_s: Largest age of each baseline, in seconds; asked when a batch is judged.
    """

    sealed_s: int | None = None
    baseline_s: int | None = None

    def require_seal(self, sealed: datetime, *, at: datetime, locator: str) -> None:
        """Return if the batch was sealed lately enough.

        Args:
            sealed: When it was sealed, aware.
            at: Now, aware.
            locator: The batch, for messages.

        Raises:
            Expired: It was sealed too long ago, or in the future by more than clocks differ.
        """
        _require_age("the batch was sealed too long ago", sealed, self.sealed_s, at, locator)

    def require_baselines(self, created: Iterable[datetime], *, at: datetime, locator: str) -> None:
        """Return if each baseline was built lately enough.

        Args:
            created: When each was built, aware.
            at: Now, aware.
            locator: The batch that they judge, for messages.

        Raises:
            Expired: One was built too long ago, or in the future by more than clocks differ.
        """
        for built in created:
            _require_age("a baseline is too old to judge", built, self.baseline_s, at, locator)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRules:
    """How much worse than the champion a model may be, shares in (0, 1].

    Attributes:
        max_regression: Largest drop of accuracy over the golden set.
        max_class_regression: Largest drop in one class, or growth of one confusion in it.
        max_slice_regression: Largest drop in one slice, or in one class of it.
        max_disagreement: Largest share of golden rows answered differently; more is a warning.
        max_leakage: Largest share of golden rows that may be in the training data.
        slices: Columns that the golden set is sliced by.
    """

    max_regression: float
    max_class_regression: float
    max_slice_regression: float
    max_disagreement: float
    max_leakage: float
    slices: tuple[str, ...] = ()


def read_model(reader: PolicyReader, value: Any) -> ModelRules:
    """Read the section ``model``.

    Args:
        reader: Of the policy file.
        value: What the YAML parser made of the section.

    Raises:
        ConfigError: Keys are unknown, missing or ill-typed, or a share is outside (0, 1].
    """
    body = reader.mapping(value, "model")
    shares = frozenset(item.name for item in fields(ModelRules)) - {"slices"}
    reader.only(body, shares | {"slices"}, required=shares, where="model")
    named = reader.items(body["slices"], "model.slices") if "slices" in body else []
    return ModelRules(
        slices=tuple(reader.text(name, "model.slices") for name in named),
        **{name: reader.number(body[name], f"model.{name}", 1) for name in sorted(shares)},
    )


def _require_age(what: str, since: datetime, most: int | None, at: datetime, locator: str) -> None:
    if most is None:
        return
    require_dated(since, at=at, locator=locator)
    age = (at - since).total_seconds()
    if age <= most:
        return
    raise Expired(
        what,
        locator=locator,
        expected=f"at most {most / 3600:g} hours old",
        got=f"{age / 3600:.1f} hours",
        next_step="Deliver and seal newer data, or promote a newer baseline.",
    )


def read_freshness(reader: PolicyReader, value: Any) -> Freshness:
    """Read the section ``freshness``.

    Args:
        reader: Of the policy file.
        value: What the YAML parser made of the section.

    Raises:
        ConfigError: Keys are unknown or ill-typed, there is none, or a time is above `MAX_HOURS`.
    """
    body = reader.mapping(value, "freshness")
    known = frozenset({"sealed_hours", "baseline_hours"})
    reader.only(body, known, required=frozenset(), where="freshness")
    read = {
        key: round(3600 * reader.number(hours, f"freshness.{key}", MAX_HOURS))
        for key, hours in body.items()
    }
    return Freshness(sealed_s=read.get("sealed_hours"), baseline_s=read.get("baseline_hours"))


def read_contributors(reader: PolicyReader, value: Any) -> ContributorLimits:
    """Read the section ``contributors``.

    Args:
        reader: Of the policy file.
        value: What the YAML parser made of the section.

    Raises:
        ConfigError: Keys are unknown or ill-typed, there is none, a share is above 1, or only
            one of ``max_period_share`` and ``period_hours`` is there.
    """
    body = reader.mapping(value, "contributors")
    known = frozenset(item.name for item in fields(ContributorLimits))
    reader.only(body, known, required=frozenset(), where="contributors")
    if ("max_period_share" in body) != ("period_hours" in body):
        raise reader.error(
            "contributors", "max_period_share and period_hours together", "one of them"
        )
    most = {"period_hours": MAX_HOURS}
    return ContributorLimits(
        **{
            key: reader.number(number, f"contributors.{key}", most.get(key, 1))
            for key, number in body.items()
        }
    )


def read_promoted(reader: PolicyReader, value: Any) -> frozenset[Lane]:
    """Read ``promoted``: lanes in which a baseline must have been promoted.

    Args:
        reader: Of the policy file.
        value: What the YAML parser made of the field.

    Raises:
        ConfigError: It is no list of lanes.
    """
    return frozenset(
        reader.choice(item, Lane, "promoted") for item in reader.items(value, "promoted")
    )
