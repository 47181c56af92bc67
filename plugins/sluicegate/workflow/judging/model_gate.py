"""Judge a trained model like a batch: challenger against champion on a sealed golden set.

Sluicegate runs no model, so the caller says where the answers come from. The verdict signs which
model files, golden set and answers were compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluicegate import __version__
from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.contents import subject_of
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import ConfigError, EvidenceMissing, SchemaMismatch, UnreadableData
from sluicegate.gate.decide import decide
from sluicegate.gate.verdict import MODEL, TRAINED_ON, Verdict, test_result_statement
from sluicegate.profiling.label_kind import LabelKind
from sluicegate.workflow.baselines.rests_on import require_sealed, require_test_result
from sluicegate.workflow.evidence.custody import require_free
from sluicegate.workflow.evidence.home import check_source_name
from sluicegate.workflow.evidence.opening import open_evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.gate.policy import Policy
    from sluicegate.gate.policy_sections import ModelRules
    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.signals.contributors.names import ContributorNames
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.judging.gate import GateSigners

PREDICTION = "prediction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What is compared.

    Attributes:
        name: Name of the model; the rules of source names hold.
        model: Files of the challenger; the verdict binds their digest.
        golden: Name of the sealed source that is the golden set.
        schema: Roles of its columns; label and id are needed.
        champion: Answers of the model in use: Parquet or CSV with id and ``prediction``.
        challenger: Answers of the challenger, in the same form.
        trained_on: Names of the sealed sources that the challenger was trained on.
    """

    name: str
    model: Path
    golden: str
    schema: BatchSchema
    champion: Path
    challenger: Path
    trained_on: Sequence[str]


def model_source(name: str) -> str:
    """Return the ledger's name of a model; no source of data can have such a name."""
    return f"{MODEL}{check_source_name(name)}"


def judge_model(
    home: SluiceHome,
    contest: Contest,
    *,
    signers: GateSigners,
    run: Mapping[str, str],
    at: datetime,
    filesystem: Any = None,
    policy: Policy | None = None,
) -> IssuedVerdict:
    """Compare two models, sign the verdict on the challenger and append it.

    Args:
        home: Paths of the installation.
        contest: What is compared.
        signers: Gate and ledger keys.
        run: Who judges.
        at: Aware UTC.
        filesystem: fsspec file system with credentials, for batches in an object store.
        policy: What the policy file says, all sources; read here when None.

    Raises:
        ConfigError: The policy has no section ``model``; or label, id or training source is
            missing.
        SchemaMismatch: The answers are not about exactly the rows of the golden set.
        IntegrityError: Golden set or training data are not what was sealed.
        EvidenceMissing: One of them was never sealed.
        GateBlocked: One of them is in quarantine.

    Cost: one verified read of the golden set and of the training data.
    """
    from sluicegate.signals.labels.model_comparison import (
        CODES,
        ModelTolerances,
        compare_models,
        leakage_record,
    )
    from sluicegate.workflow.sealing.sealed_rows import batch_table, judged_dialect

    source = model_source(contest.name)
    policy = (read_policy(home.policy) if policy is None else policy).for_source(source)
    rules = _rules(policy, contest, str(home.policy))
    evidence = open_evidence(home, at=at, ledger_signer=signers.ledger)
    golden_batch = evidence.latest_seal(contest.golden, at=at)
    require_free(evidence, contest.golden, golden_batch.digest, at=at)
    golden = batch_table(golden_batch, filesystem, dialect=contest.schema.csv, limits=policy.limits)
    labels, slices = (
        _labels(golden, contest.schema),
        _slices(golden, rules.slices, contest.schema.contributor, policy.naming),
    )
    champion, challenger = (
        _answers(path, golden, contest.schema) for path in (contest.champion, contest.challenger)
    )
    records = compare_models(
        labels,
        champion,
        challenger,
        slices,
        ModelTolerances(
            overall=rules.max_regression,
            by_class=rules.max_class_regression,
            by_slice=rules.max_slice_regression,
            disagreement=rules.max_disagreement,
        ),
        alpha=policy.false_block_budget,
    )
    trained = {name: evidence.latest_seal(name, at=at) for name in contest.trained_on}
    for name, batch in trained.items():
        require_free(evidence, name, batch.digest, at=at)
    rows = (
        batch_table(
            batch,
            filesystem,
            dialect=judged_dialect(evidence, batch, at=at),
            limits=policy.limits,
            unjudged=[],  # their own verdicts name such files
        )
        for batch in trained.values()
    )
    leaked = _leaked(golden, rows, contest.schema)
    records = (*records, leakage_record(leaked, golden.num_rows, rules.max_leakage))
    result, reasons = decide(records, {}, expected=CODES)
    manifest = build_manifest(contest.model)
    verdict = Verdict(
        result=result,
        source=source,
        digest=manifest.digest,
        baseline=golden_batch.digest,
        policy=policy.digest,
        suite=sha256_bytes(dumps([*CODES, *rules.slices])),
        code_version=__version__,
        run={
            **run,
            "golden": contest.golden,
            "champion": str(sha256_bytes(dumps(champion))),
            "challenger": str(sha256_bytes(dumps(challenger))),
            **{f"{TRAINED_ON}{name}": str(batch.digest) for name, batch in trained.items()},
        },
        mode=policy.mode,
        issued=at,
        expires=at + timedelta(seconds=policy.verdict_ttl_s),
        reasons=reasons,
    )
    subjects = (subject_of(source, manifest),)
    details = test_result_statement(verdict, records, subjects, policy=policy.raw, kept={})
    signed = dsse.sign(details.to_bytes(), signers.gate).to_bytes()
    statement = verdict.to_statement(subjects, sha256_bytes(signed))
    envelopes = [
        ("test-result", signed),
        ("verdict", dsse.sign(statement.to_bytes(), signers.gate).to_bytes()),
    ]
    evidence.require_signed(
        [dsse.Envelope.from_bytes(body) for _, body in envelopes], Role.GATE, at=at
    )
    evidence.append(source, manifest.digest, envelopes)
    return evidence.verdict_of(source, manifest.digest, at=at)


def require_model(
    home: SluiceHome, evidence: Evidence, name: str, model: Path, *, at: datetime
) -> IssuedVerdict:
    """Return the verdict that lets exactly these model files be promoted.

    Args:
        home: Paths of the installation.
        evidence: Ledger and trust policy.
        name: Name of the model.
        model: Its files.
        at: Aware UTC.

    Raises:
        EvidenceMissing: They were never judged.
        GateBlocked: Their newest verdict does not let them pass; or the golden set, or what they
            were trained on, was set aside since.
        VerificationError: A revoked key sealed one of these or signed the verdict.
        Expired: It has expired.
    """
    source = model_source(name)
    issued = evidence.verdict_of(source, build_manifest(model).digest, at=at)
    issued.verdict.require_passed(read_policy(home.policy), at=at)
    require_test_result(evidence, issued, at=at)
    for data, digest in _behind(issued.verdict):
        require_sealed(evidence, data, digest, then=issued.verdict.issued, at=at)
        require_free(evidence, data, digest, at=at)
    return issued


def _behind(verdict: Verdict) -> Iterator[tuple[str, Digest]]:
    """Yield source and digest of the golden set and of each batch that was trained on."""
    yield verdict.run.get("golden", ""), verdict.baseline
    for key, value in verdict.run.items():
        if key.startswith(TRAINED_ON):
            yield key.removeprefix(TRAINED_ON), Digest.parse(value)


def _rules(policy: Policy, contest: Contest, locator: str) -> ModelRules:
    if policy.model is None:
        raise ConfigError("the policy says nothing about models", locator=locator, expected="model")
    if contest.schema.label is None or contest.schema.id is None:
        raise ConfigError("a golden set needs a label and an id column", locator=contest.golden)
    if contest.schema.label_kind is LabelKind.NUMBER:
        # Two answers that both miss a price by a cent would both be wrong.
        raise ConfigError(
            "a model of numbers cannot be judged by right answers",
            locator=f"schema: label {contest.schema.label}",
            expected="a label of classes",
            next_step="Give labels and answers as classes, such as bands of the number.",
        )
    if not contest.trained_on:
        raise ConfigError("nothing says what the model was trained on", locator=contest.name)
    return policy.model


def _labels(golden: pa.Table, schema: BatchSchema) -> list[str]:
    labels = _texts(golden, str(schema.label))
    if None in labels:
        raise UnreadableData("the golden set has rows without a label", locator=str(schema.label))
    return [str(label) for label in labels]


def _slices(
    golden: pa.Table, names: Iterable[str], contributor: str | None, naming: ContributorNames
) -> dict[str, list[str]]:
    """Return the values to slice by. A finding shows them, so hidden names are hidden here."""
    hidden = contributor if naming.hidden else None
    return {
        name: [naming.of(str(v)) if name == hidden else str(v) for v in _texts(golden, name)]
        for name in names
    }


def _answers(path: Path, golden: pa.Table, schema: BatchSchema) -> list[str]:
    """Return one answer for each golden row, in its order, written as its labels are."""
    import pyarrow as pa

    from sluicegate.adapters.sources.tables import open_table

    table = pa.Table.from_batches(list(open_table(path)))
    ids, wanted = _texts(table, str(schema.id)), _texts(golden, str(schema.id))
    if len(set(ids)) != len(ids) or len(set(wanted)) != len(wanted) or set(ids) != set(wanted):
        raise SchemaMismatch(
            "answers and golden set are not about the same rows",
            locator=str(path),
            expected=f"{len(wanted)} rows, each id once",
            got=f"{len(ids)} rows, {len(set(ids) & set(wanted))} of the golden ids",
        )
    label = golden.schema.field(str(schema.label)).type
    found = dict(zip(ids, _texts(table, PREDICTION, label), strict=True))
    answers = [found[key] for key in wanted]
    if None in answers or "nan" in answers:
        raise UnreadableData(
            "a model did not answer every row", locator=str(path), next_step="Answer all of them."
        )
    return [str(answer) for answer in answers]


def _texts(table: pa.Table, name: str, kind: pa.DataType | None = None) -> list[str | None]:
    import pyarrow as pa

    if name not in table.schema.names:
        raise SchemaMismatch("a column is missing", locator=name)
    try:
        column = table.column(name) if kind is None else table.column(name).cast(kind)
        found: list[str | None] = column.cast(pa.string()).to_pylist()
    except pa.ArrowException:  # its text quotes the answer
        raise SchemaMismatch(
            "answers are not of the label's type", locator=name, expected=str(kind)
        ) from None
    return found


def _leaked(golden: pa.Table, trained: Iterable[pa.Table], schema: BatchSchema) -> int:
    """Count golden rows that are in the training data, by id or by all their other values."""
    shared = [name for name in golden.schema.names if name not in (schema.id, schema.timestamp)]
    ids, rows = _texts(golden, str(schema.id)), list(_rows(golden, shared))
    left = set(zip(ids, rows, strict=True))
    n_golden = len(left)
    for table in trained:
        if missing := [name for name in shared if name not in table.schema.names]:
            raise SchemaMismatch("training data lack a column of the golden set", got=missing[0])
        known = set(_texts(table, str(schema.id))) if schema.id in table.schema.names else set()
        seen = set(_rows(table, shared))
        left = {(key, row) for key, row in left if key not in known and row not in seen}
    return n_golden - len(left)


def _rows(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    if not names:
        raise EvidenceMissing("the golden set has no columns to compare", locator="golden")
    columns = (table.column(name).to_pylist() for name in names)
    # repr tells NaN from nothing, and makes lists comparable.
    return (tuple(map(repr, row)) for row in zip(*columns, strict=True))
