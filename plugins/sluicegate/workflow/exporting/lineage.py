"""Follow the chain from a batch back to its sources; each step is verified in the ledger.

A step is a provenance statement: this batch was made of those, by that code, in that run.
The chain is as strong as its weakest step. A step that cannot be verified is shown in its place,
and makes the whole chain unproven.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.attest.contents import identity_of
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.errors import MalformedEnvelope, Outcome, SluicegateError
from sluicegate.untrusted import html_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sluicegate.attest.predicates import Provenance
    from sluicegate.attest.statement import Subject
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.verified import Evidence

MAX_STEPS = 1000
"""A longer chain is cut with an error: nobody reads it, and a hostile ledger could be endless."""

_BOX_WIDTH, _BOX_HEIGHT, _GAP = 250, 58, 26


@dataclass(frozen=True, slots=True)
class Step:
    """One batch in the chain.

    Attributes:
        source: Name of the source.
        digest: Identity of the batch; None if not even that is known.
        provenance: What the verified statement says, or None.
        inputs: The batches that it was made of.
        error: Why the step does not hold, or None.
    """

    source: str
    digest: Digest | None
    provenance: Provenance | None
    inputs: tuple[Step, ...] = ()
    error: SluicegateError | None = None

    def walk(self) -> Iterator[tuple[int, Step]]:
        """Yield this step and all below it, each with its depth, depth first."""
        stack = [(0, self)]
        while stack:
            depth, step = stack.pop()
            yield depth, step
            stack.extend((depth + 1, below) for below in reversed(step.inputs))

    @property
    def exit_code(self) -> int:
        """0 if all is proven, 1 if a step is bad, 2 if a step could not be checked."""
        errors = [step.error for _, step in self.walk() if step.error]
        bad = any(error.outcome is Outcome.CHECKED_AND_BAD for error in errors)
        return 1 if bad else 2 if errors else 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        said = self.provenance
        return {
            "source": self.source,
            "digest": str(self.digest or ""),
            "code": self.error.code if self.error else "OK",
            "detail": str(self.error or ""),
            **({} if said is None else _said(said)),
            "inputs": [step.to_dict() for step in self.inputs],
        }


def trace(
    evidence: Evidence,
    source: str,
    *,
    at: datetime,
    digest: Digest | None = None,
    most: int = MAX_STEPS,
) -> Step:
    """Follow a batch back to the sources it was made from.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        at: Aware UTC; keys must be valid then.
        digest: Identity of the batch; the newest of the source when None.
        most: Most steps; the chain is cut there with an error.

    Returns:
        The chain; steps that do not hold carry their error.

    Cost: two signature checks and a few inclusion proofs for each step.
    """
    return _Trace(evidence, at, most).step(source, digest, ())


class _Trace:
    def __init__(self, evidence: Evidence, at: datetime, most: int) -> None:
        self._evidence = evidence
        self._at = at
        self._most = most
        self._n_steps = 0

    def step(self, source: str, digest: Digest | None, above: tuple[str, ...]) -> Step:
        self._n_steps += 1
        try:
            # The ledger grows forwards, so a circle needs a forged or confused statement.
            # The name counts too: a copy under another name has the same digest.
            if f"{source}@{digest}" in above or len(above) > 100 or self._n_steps > self._most:
                raise MalformedEnvelope("the chain is circular or endless", locator=source)
            said = self._evidence.provenance_of(source, digest, at=self._at)
            above = (*above, f"{source}@{said.digest}")
            inputs = tuple(self._input(item, above) for item in said.inputs)
        except SluicegateError as error:
            return Step(source, digest, None, (), error)
        return Step(source, said.digest, said, inputs)

    def _input(self, item: Subject, above: tuple[str, ...]) -> Step:
        try:
            named = identity_of(item, locator=item.name)
        except MalformedEnvelope as error:
            return Step(item.name, None, None, (), error)
        return self.step(item.name, named, above)


def text_tree(top: Step) -> list[str]:
    """Return a line for each step, indented below the batch that was made of it."""
    lines = []
    for depth, step in top.walk():
        lead = "   " * (depth - 1) + "└─ " if depth else ""
        lines.append(f"{lead}{_name(step)}  {_facts(step)}")
    return lines


def svg(top: Step) -> str:
    """Return the chain as a drawing: sources at the right, what was made of them at the left."""
    boxes, lines = [], []
    place: dict[int, tuple[int, int]] = {}
    steps = list(top.walk())
    for row, (depth, step) in enumerate(steps):
        x, y = 20 + depth * (_BOX_WIDTH + _GAP), 20 + row * (_BOX_HEIGHT + _GAP)
        place[id(step)] = (x, y)
        boxes.append(_box(step, x, y))
    for _, step in steps:
        x, y = place[id(step)]
        for below in step.inputs:
            to_x, to_y = place[id(below)]
            middle, turn = to_y + _BOX_HEIGHT // 2, x + _BOX_WIDTH // 2
            path = f"M{to_x},{middle} H{turn} V{y + _BOX_HEIGHT}"
            lines.append(f'<path d="{path}" marker-end="url(#a)"/>')
    width = 40 + _BOX_WIDTH + max(depth for depth, _ in steps) * (_BOX_WIDTH + _GAP)
    height = 20 + len(steps) * (_BOX_HEIGHT + _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12" '
        f'role="img"><title>Lineage of {html_text(top.source)}</title>'
        '<defs><marker id="a" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
        '<path d="M0,0 L6,3 L0,6 z" fill="#555"/></marker></defs>'
        f'<g fill="none" stroke="#555">{"".join(lines)}</g>{"".join(boxes)}</svg>\n'
    )


def _box(step: Step, x: int, y: int) -> str:
    good = step.error is None
    fill, stroke, mark = ("#eef7ee", "#2e7d32", "✓") if good else ("#fdecea", "#c62828", "✗")
    title = html_text(str(step.error) if step.error else str(step.digest))
    return (
        f'<g><title>{title}</title><rect x="{x}" y="{y}" width="{_BOX_WIDTH}" '
        f'height="{_BOX_HEIGHT}" rx="6" fill="{fill}" stroke="{stroke}"/>'
        f'<text x="{x + 10}" y="{y + 23}" font-weight="bold">{mark} {html_text(_name(step))}</text>'
        f'<text x="{x + 10}" y="{y + 43}" fill="#444">{html_text(_facts(step)[:42])}</text></g>'
    )


def _name(step: Step) -> str:
    return f"{step.source}@{step.digest.short}" if step.digest else step.source


def _facts(step: Step) -> str:
    if step.error is not None:
        return f"{step.error.code}: {step.error.what}"
    assert step.provenance is not None  # noqa: S101 - a step without error has one
    said = step.provenance
    run = said.run.get("dag_id") or said.run.get("orchestrator", "")
    task = said.run.get("task_id", "")
    by = f"{run}.{task}" if task else run
    return f"version {said.version}, {format_timestamp(said.sealed_at)}, {by}, {said.code_version}"


def _said(said: Provenance) -> dict[str, Any]:
    return {
        "version": said.version,
        "sealed_at": format_timestamp(said.sealed_at),
        "run": dict(said.run),
        "code_version": said.code_version,
        "locator": said.location,
    }
