"""The baseline: an approved profile of clean data with all that was calibrated on it.

Canonical JSON (see docs/signals.md, "Baseline file"); it holds counts, cell bounds, category
and contributor names, and a model as numbers. It holds no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.canonical import dumps, loads
from sluicegate.errors import ConfigError, MalformedEnvelope, SluicegateError
from sluicegate.profiling.counts import Profile
from sluicegate.profiling.layout import Layout
from sluicegate.signals.habits import Habits
from sluicegate.signals.model.reference import LabelReference
from sluicegate.signals.model.reference_model import frequent_classes
from sluicegate.signals.registry import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.profiling.schema import BatchSchema

TYPE = "https://sluicegate.dev/baseline-profile/v3"
_MAX_BYTES = 256 * 1024 * 1024
_KEYS = frozenset(
    {
        "type",
        "layout",
        "profile",
        "created",
        "expires",
        "seed",
        "tolerances",
        "labels",
        "unlabelled",
        "contamination",
    }
)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What clean batches of one source look like.

    Attributes:
        layout: Columns with their cells, and the schema's roles.
        profile: Counts of all baseline rows.
        created: When it was built, aware UTC.
        expires: After this it must not be used, aware UTC.
        seed: What everything random was derived from.
        tolerances: Learned drift budgets by "CODE:column".
        labels: Reference model and its calibration, or None.
        unlabelled: Why ``labels`` is None although the label holds classes, else "".
        sections: What signals learned of the rows; `Section.of` finds a signal's own.
        habits: What the source does between blocks that are shorter, or narrower, than the parts
            of equal size behind ``tolerances``.
    """

    layout: Layout
    profile: Profile
    created: datetime
    expires: datetime
    seed: int
    tolerances: Mapping[str, float]
    labels: LabelReference | None
    unlabelled: str
    sections: Mapping[str, Any]
    habits: tuple[Habits, ...] = ()

    @property
    def schema(self) -> BatchSchema:
        """Roles of the columns."""
        return self.layout.schema

    @property
    def classes(self) -> tuple[int, ...]:
        """Label slots that signals tell apart, increasing: modelled classes, or slices."""
        label = self.layout.label
        if label is None or label.listed:
            return () if self.labels is None else self.labels.model.classes
        return frequent_classes(self.profile.label_counts()[:-2])

    @property
    def known_contributors(self) -> frozenset[str]:
        """Names of those who delivered its rows."""
        return frozenset(name for name in self.profile.contributors if name is not None)

    @property
    def n_rows(self) -> int:
        """Rows behind the baseline."""
        return self.profile.n_rows

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes."""
        return sha256_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        # A baseline of an earlier version has none, and must give its own bytes again.
        habits = {"habits": [h.to_json() for h in self.habits]} if self.habits else {}
        return dumps(
            {
                **habits,
                "type": TYPE,
                "layout": self.layout.to_json(),
                "profile": self.profile.to_json(),
                "created": _stamp(self.created),
                "expires": _stamp(self.expires),
                "seed": self.seed,
                "tolerances": dict(self.tolerances),
                "labels": None if self.labels is None else self.labels.to_json(),
                "unlabelled": self.unlabelled,
                "contamination": {
                    key: value
                    for section in SECTIONS
                    for key, value in section.to_json(self.sections[section.name]).items()
                },
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str = "baseline") -> Self:
        """Read what `to_bytes` wrote.

        Args:
            data: Canonical JSON, at most 256 MiB.
            locator: Where the bytes came from, for messages.

        Raises:
            MalformedEnvelope: Not canonical, or a part of it is not what its place demands.
            ConfigError: A baseline of another version.
        """
        value = loads(data, locator=locator, max_bytes=_MAX_BYTES)
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise MalformedEnvelope("not a baseline", locator=locator, expected=TYPE)
        if value["type"] != TYPE:
            raise ConfigError(
                "baseline of an unknown version",
                locator=locator,
                expected=TYPE,
                got=value["type"][:80],
                next_step="Build it again with this version of Sluicegate.",
            )
        if set(value) - {"habits"} != _KEYS:
            raise MalformedEnvelope("baseline has missing or unknown keys", locator=locator)
        try:
            baseline = cls._from_json(value)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ConfigError) as error:
            raise MalformedEnvelope(
                "baseline is malformed", locator=locator, got=_cause(error)
            ) from None
        if baseline.to_bytes() != data:
            raise MalformedEnvelope(
                "baseline is not in canonical form",
                locator=locator,
                next_step="Use the file as `baseline build` wrote it.",
            )
        return baseline

    @classmethod
    def _from_json(cls, value: dict[str, Any]) -> Self:
        layout = Layout.from_json(value["layout"])
        labels = None if value["labels"] is None else LabelReference.from_json(value["labels"])
        n_classes = 0 if labels is None else len(labels.model.classes)
        return cls(
            layout=layout,
            profile=Profile.from_json(value["profile"], layout),
            created=_time(value["created"]),
            expires=_time(value["expires"]),
            seed=int(value["seed"]),
            tolerances={str(k): float(v) for k, v in value["tolerances"].items()},
            labels=labels,
            unlabelled=str(value["unlabelled"]),
            sections={s.name: s.from_json(value["contamination"]) for s in SECTIONS},
            habits=tuple(Habits.from_json(h, n_classes) for h in value.get("habits", [])),
        )


def _cause(error: Exception) -> str:
    # The text of another error quotes what it could not read: a category, a name of a contributor.
    return error.what if isinstance(error, SluicegateError) else type(error).__name__


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
