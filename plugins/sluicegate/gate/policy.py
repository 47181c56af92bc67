"""The rules that turn signals into a verdict, read strictly.

A policy never allows by default. An empty policy stops training, and so does an unknown key, or a
signal that the policy requires and nobody evaluated. A verdict binds the exact bytes of the file,
so that a policy that was weakened later is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.gate.layers import merge, require_tighter
from sluicegate.gate.limits import DEFAULT, Limits, read_limits
from sluicegate.gate.policy_reader import PolicyReader, kind_of
from sluicegate.gate.policy_sections import (
    read_contributors,
    read_freshness,
    read_model,
    read_promoted,
)
from sluicegate.gate.waiver_rules import WaiverRules, read_waiver_rules
from sluicegate.gate.worst_rows import RowRules, read_row_rules
from sluicegate.signals.contributors.names import SHOWN, ContributorNames, Display
from sluicegate.signals.decision.record import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.gate.policy_sections import Freshness, ModelRules
    from sluicegate.gate.promotion import Lane
    from sluicegate.signals.contributors.rules import ContributorLimits

POLICY_VERSION = 1
_REQUIRED = frozenset(
    {"version", "mode", "accept", "false_block_budget", "verdict_ttl_hours", "signals"}
)
_SECTIONS = frozenset(
    {"waiver", "freshness", "contributors", "promoted", "model", "limits", "worst_rows"}
)
_SWITCHES = frozenset({"contributor_names"})
_KEYS = _REQUIRED | _SECTIONS | _SWITCHES | {"sources"}
_WHOLE = "the top level"  # of the file, in messages
_SIGNAL_KEYS = frozenset({"severity", "tolerance", "required", "not_evaluated"})


class Mode(StrEnum):
    """Whether verdicts are enforced; `shadow` only records them, and every verdict says so."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


Result = Literal[Status.PASSED, Status.WARNED, Status.FAILED]
"""What a verdict says: a status, and never NOT_EVALUATED, which only a policy can excuse."""

RESULTS: Final[tuple[Result, ...]] = (Status.PASSED, Status.WARNED, Status.FAILED)
"""In the order of worsening."""


def result_of(value: object) -> Result:
    """Return what a verdict says, from its text.

    Raises:
        ValueError: It is no result; NOT_EVALUATED is none.
    """
    for result in RESULTS:
        if result == value:
            return result
    raise ValueError("not the result of a verdict")


class Severity(StrEnum):
    """What a fired signal does to the verdict."""

    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRule:
    """How one signal counts.

    Attributes:
        severity: What happens when it fires.
        tolerance: Largest accepted effect, a share in [0, 1] of what the signal counts, or
            None for the tolerance that the baseline learned from its own history.
        required: Whether the signal must leave a record even if the baseline cannot support
            it. A signal that the baseline supports must always leave one.
        not_evaluated: Why a batch may pass although this signal could not be evaluated;
            "" if it may not.
    """

    severity: Severity
    tolerance: float | None = None
    required: bool = True
    not_evaluated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A parsed policy file.

    Attributes:
        digest: SHA-256 of the file's exact bytes.
        mode: Enforce or shadow.
        accept: Verdict results that let training start; never FAILED.
        false_block_budget: Probability in (0, 0.5] of blocking a clean batch, shared by
            all signals of a run.
        verdict_ttl_s: How long a verdict lets training start, in seconds.
        signals: How signals count, by ``CODE`` or ``CODE:column``; never empty.
        waiver: What people may waive, and who; None if nobody may waive anything.
        freshness: How old evidence may be; None sets no limit.
        contributors: What one contributor may deliver; None sets no limit.
        promoted: Lanes in which a baseline must have been promoted.
        model: How much worse than its champion a model may be; None judges no model.
        limits: How much of a batch may be decoded.
        naming: What contributors are called in messages and findings.
        worst_rows: What a gate may keep of the worst rows; None keeps none.
        sources: Whole policies of sources with tighter rules, by name of the source.
        raw: The file's exact bytes, which the gate keeps as evidence. A digest alone would tell
            an auditor that the policy changed, but not how.
    """

    digest: Digest
    mode: Mode
    accept: frozenset[Result]
    false_block_budget: float
    verdict_ttl_s: int
    signals: Mapping[str, SignalRule]
    raw: bytes = field(repr=False)
    waiver: WaiverRules | None = None
    freshness: Freshness | None = None
    contributors: ContributorLimits | None = None
    promoted: frozenset[Lane] = frozenset()
    model: ModelRules | None = None
    limits: Limits = DEFAULT
    naming: ContributorNames = SHOWN
    worst_rows: RowRules | None = None
    sources: Mapping[str, Policy] = field(default_factory=dict)

    def for_source(self, source: str) -> Policy:
        """Return the rules for one source: its own tighter ones, or these if it has none."""
        return self.sources.get(source, self)

    def starts(self, result: Result) -> bool:
        """Return whether training may start with a result and without a waiver."""
        return self.mode is Mode.SHADOW or result in self.accept

    @property
    def tolerances(self) -> dict[str, float]:
        """Tolerances that the policy sets itself, by ``CODE`` or ``CODE:column``."""
        return {
            code: rule.tolerance
            for code, rule in self.signals.items()
            if rule.tolerance is not None
        }


def parse_policy(value: Any, raw: bytes, *, locator: str) -> Policy:
    """Read a policy from the plain value of its YAML file.

    Args:
        value: What the YAML parser returned.
        raw: Exact bytes of the file; their digest is bound by every verdict.
        locator: Name of the file for messages.

    Returns:
        The policy.

    Raises:
        ConfigError: Keys are unknown, missing or ill-typed, the policy requires nothing, it
            accepts FAILED, or the policy of a source is weaker.
    """
    reader = PolicyReader(locator)
    body = reader.mapping(value, _WHOLE)
    policy = _read(reader, body, raw)
    if "sources" not in body:
        return policy
    base = {key: item for key, item in body.items() if key != "sources"}
    sources = {}
    for source, change in reader.mapping(body["sources"], "sources").items():
        where = f"{locator}: sources.{reader.text(source, 'sources')}"
        own = PolicyReader(where)
        changed = own.mapping(change, "the policy of a source")
        own.only(changed, _KEYS - {"version", "sources"}, required=frozenset(), where="sources")
        sources[source] = _read(own, merge(base, changed), raw)
        require_tighter(policy, sources[source], locator=where)
    return replace(policy, sources=sources)


def _read(reader: PolicyReader, body: Mapping[str, Any], raw: bytes) -> Policy:
    reader.only(body, _KEYS, required=_REQUIRED, where=_WHOLE)
    if body["version"] != POLICY_VERSION or isinstance(body["version"], bool):
        raise reader.error("version", str(POLICY_VERSION), repr(body["version"]))
    rules = reader.mapping(body["signals"], "signals")
    accept = frozenset(
        reader.choice(item, RESULTS, "accept") for item in reader.items(body["accept"], "accept")
    )
    if Status.FAILED in accept:
        raise reader.error("accept", "PASSED or WARNED", "FAILED")
    return Policy(
        digest=sha256_bytes(raw),
        mode=reader.choice(body["mode"], Mode, "mode"),
        accept=accept,
        false_block_budget=reader.number(body["false_block_budget"], "false_block_budget", 0.5),
        verdict_ttl_s=round(
            3600 * reader.number(body["verdict_ttl_hours"], "verdict_ttl_hours", 24 * 366)
        ),
        signals={code: _rule(reader, code, rule) for code, rule in rules.items()},
        raw=raw,
        waiver=read_waiver_rules(reader, body["waiver"]) if "waiver" in body else None,
        freshness=read_freshness(reader, body["freshness"]) if "freshness" in body else None,
        contributors=read_contributors(reader, body["contributors"])
        if "contributors" in body
        else None,
        promoted=read_promoted(reader, body["promoted"]) if "promoted" in body else frozenset(),
        model=read_model(reader, body["model"]) if "model" in body else None,
        limits=read_limits(reader, body["limits"]) if "limits" in body else DEFAULT,
        naming=_naming(reader, body),
        worst_rows=read_row_rules(reader, body["worst_rows"]) if "worst_rows" in body else None,
    )


def _naming(reader: PolicyReader, body: Mapping[str, Any]) -> ContributorNames:
    field = "contributor_names"
    return ContributorNames(reader.choice(body.get(field, "shown"), Display, field) == "hidden")


def _rule(reader: PolicyReader, code: str, value: Any) -> SignalRule:
    field = f"signals.{code}"
    if code.startswith(":") or code.endswith(":") or not code.strip():
        raise reader.error(field, "CODE or CODE:column", "half of it")
    body = reader.mapping(value, field)
    reader.only(body, _SIGNAL_KEYS, required=frozenset({"severity"}), where=field)
    tolerance = body.get("tolerance")
    required = body.get("required", True)
    if not isinstance(required, bool):
        raise reader.error(f"{field}.required", "true or false", kind_of(required))
    reason = body.get("not_evaluated", "")
    if not isinstance(reason, str) or ("not_evaluated" in body and not reason.strip()):
        raise reader.error(f"{field}.not_evaluated", "the reason in words", kind_of(reason))
    return SignalRule(
        severity=reader.choice(body["severity"], Severity, f"{field}.severity"),
        tolerance=None if tolerance is None else reader.share(tolerance, f"{field}.tolerance"),
        required=required,
        not_evaluated=reason,
    )
