"""`sluicegate policy`: write a policy file, or check one before a gate relies on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Installation,
    Subparsers,
    add_home,
    add_json,
    command,
    emit,
    home_of,
    now,
    table,
)
from sluicegate.errors import ConfigError, Outcome

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

    from sluicegate.gate.policy import Policy


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "policy",
        run,
        "write a policy to start from, check one, or show what it demands",
        [
            "sluicegate policy init policy.yaml",
            "sluicegate policy init policy.yaml --baseline baseline",
            "sluicegate policy init policy.yaml --schema schema.yaml",
            "sluicegate policy lint policy.yaml",
            "sluicegate policy lint policy.yaml --strict",
            "sluicegate policy explain policy.yaml --source flights",
            "sluicegate policy test policy.yaml --home sluice --source flights",
            "sluicegate policy weights policy.yaml --source flights --out weights.parquet",
        ],
    )
    parser.add_argument("action", choices=["init", "lint", "explain", "test", "weights"])
    parser.add_argument("policy", type=Path, help="policy file; init creates it")
    parser.add_argument(
        "--source", help="explain, test: only this source; weights: its newest batch"
    )
    known = parser.add_mutually_exclusive_group()
    known.add_argument(
        "--baseline", type=Path, help="init: require the signals of labels that it supports"
    )
    known.add_argument(
        "--schema", type=Path, help="init: the same, for the label that this file declares"
    )
    parser.add_argument("--out", type=Path, help="weights: Parquet file to write")
    parser.add_argument(
        "--strict", action="store_true", help="lint: end with exit code 1 on a warning"
    )
    add_home(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write a new policy, or read one strictly; then do what the action says."""
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.gate.judgement import require_usable

    if arguments.action == "init":
        _write_default(arguments)
    policy = read_policy(arguments.policy)
    require_usable(policy)
    if arguments.action == "test":
        return _test(arguments, policy)
    if arguments.action == "weights":
        return _weights(arguments, policy)
    if arguments.action == "lint":
        return _lint(arguments, policy)
    policy = policy.for_source(arguments.source) if arguments.source else policy
    rules = [
        (
            code,
            rule.severity.value,
            "learned" if rule.tolerance is None else f"{rule.tolerance:g}",
            rule.not_evaluated or "blocks",
        )
        for code, rule in sorted(policy.signals.items())
    ]
    head = (
        f"policy {policy.digest.short}: {policy.mode.value}, accepts "
        f"{' and '.join(sorted(policy.accept))}, verdicts valid {policy.verdict_ttl_s / 3600:g} h, "
        f"at most {policy.false_block_budget:.2%} false blocks a run"
    )
    lines = [head]
    if arguments.action == "explain":
        lines += table(rules, ("SIGNAL", "WHEN IT FIRES", "TOLERANCE", "WHEN NOT EVALUATED"))
        lines += _sections(policy)
    emit(
        {
            "digest": str(policy.digest),
            "mode": policy.mode.value,
            "signals": {code: severity for code, severity, *_ in rules},
        },
        lines,
        as_json=arguments.json,
    )
    return 0


def _lint(arguments: argparse.Namespace, policy: Policy) -> int:
    """Print what a reviewer should ask about; a warning fails only with --strict."""
    from sluicegate.gate.policy_lint import warnings

    found = warnings(policy)
    emit(
        {"digest": str(policy.digest), "mode": policy.mode.value, "warnings": list(found)},
        [
            f"policy {policy.digest.short}: {policy.mode.value}, {len(found)} warnings",
            *(f"  {said}" for said in found),
        ],
        as_json=arguments.json,
    )
    return Outcome.CHECKED_AND_BAD.value if found and arguments.strict else 0


def _weights(arguments: argparse.Namespace, policy: Policy) -> int:
    """Write the weight with which training should draw each row of the newest batch."""
    from sluicegate.workflow.baselines.sampling import write_weights
    from sluicegate.workflow.evidence.opening import open_evidence

    if arguments.source is None or arguments.out is None:
        raise ConfigError("weights belong to a source", expected="--source NAME --out FILE")
    home, at = home_of(arguments), now()
    n_rows, n_reduced = write_weights(
        home, open_evidence(home, at=at), policy, arguments.source, arguments.out, at=at
    )
    emit(
        {"rows": n_rows, "reduced": n_reduced, "out": str(arguments.out)},
        [f"{n_reduced} of {n_rows} rows weigh less than 1: {arguments.out}"],
        as_json=arguments.json,
    )
    return 0


def _sections(policy: Policy) -> list[str]:
    """Return the optional sections in words."""
    lines = []
    if (fresh := policy.freshness) is not None:
        ages = (("sealed", fresh.sealed_s), ("baseline", fresh.baseline_s))
        said = [f"{name} at most {age / 3600:g} h ago" for name, age in ages if age is not None]
        lines.append(f"freshness: {', '.join(said)}")
    if policy.promoted:
        lines.append(f"baselines that must be promoted: {', '.join(sorted(policy.promoted))}")
    if policy.contributors is not None:
        set_ = policy.contributors.changed(type(policy.contributors)())
        lines.append(f"contributors: {', '.join(f'{name} {here:g}' for name, here, _ in set_)}")
    if policy.naming.hidden:
        lines.append("contributor names: hidden, each is called by its pseudonym")
    if (waiver := policy.waiver) is not None:
        lines.append(
            f"waivers: {waiver.approvers} people may waive {', '.join(sorted(waiver.allow))} "
            f"for {waiver.max_s / 3600:g} h"
        )
    if (model := policy.model) is not None:
        limits = ("regression", "class_regression", "slice_regression", "disagreement", "leakage")
        said = [f"max_{name} {getattr(model, f'max_{name}'):g}" for name in limits]
        by = f", sliced by {', '.join(model.slices)}" if model.slices else ""
        lines.append(f"model: {', '.join(said)}{by}")
    if policy.sources:
        lines.append(f"tighter rules for {', '.join(sorted(policy.sources))} (--source shows them)")
    return lines


def _test(arguments: argparse.Namespace, policy: Policy) -> int:
    """Show what the policy would have decided; it is no error if it blocks a past batch."""
    from sluicegate.workflow.auditing.policy_replay import replay

    place = Installation(home_of(arguments), now(), {})
    found = list(replay(place.audited(), policy, arguments.source, at=place.at))
    rows = [
        (
            str(item.index),
            item.source,
            item.digest.rpartition(":")[2][:12],
            item.was.value,
            item.would_be.value if item.would_be else "unknown",
            item.why,
        )
        for item in found
    ]
    emit(
        {
            "policy": str(policy.digest),
            "would_block": sum(not item.starts and item.would_be is not None for item in found),
            "would_pass": sum(item.starts for item in found),
            "unknown": sum(item.would_be is None for item in found),
            "verdicts": [
                {
                    "index": item.index,
                    "source": item.source,
                    "digest": item.digest,
                    "was": item.was.value,
                    "would_be": item.would_be.value if item.would_be else None,
                    "starts": item.starts,
                    "why": item.why,
                }
                for item in found
            ],
        },
        table(rows, ("ENTRY", "SOURCE", "DIGEST", "WAS", "WOULD BE", "WHY")),
        as_json=arguments.json,
    )
    return 0


def _write_default(arguments: argparse.Namespace) -> None:
    from sluicegate.adapters.files.named_file import write_named
    from sluicegate.gate.default_policy import default_policy

    text = default_policy(_supported(arguments))
    write_named(arguments.policy, text.encode(), "the policy cannot be written", new=True)


def _supported(arguments: argparse.Namespace) -> Collection[str] | None:
    """Return the codes that a baseline, or the label that a schema declares, supports."""
    if arguments.baseline is not None:
        from sluicegate.signals.registry import expected_codes
        from sluicegate.workflow.baselines.unsigned import read_baseline

        return expected_codes(read_baseline(arguments.baseline)[0])
    if arguments.schema is None:
        return None
    from sluicegate.cli.baseline import read_schema
    from sluicegate.signals.labels.declared import declared_codes

    return declared_codes(read_schema(arguments.schema))
