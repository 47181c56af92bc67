"""What Airflow shows about the distribution, and the documentation of its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate import __version__
from sluicegate.adapters.keys.settings import ENV_COSIGN, ENV_KEY, SIGNING_ROLES
from sluicegate.orchestration.settings import DEFAULT_PROTECT_TAGS, SECTION
from sluicegate.workflow.admission.protected import ASSET_SCHEME
from sluicegate.workflow.evidence.home import (
    ENV_HOME,
    ENV_HOME_CACHE,
    ENV_HOME_PIN,
    ENV_LEDGER,
    ENV_REMEMBERED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def _option(
    description: str, default: str | None, example: str, *, sensitive: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": default,
    }
    # Airflow's page and API of the configuration hide such a value, and its logs mask it.
    return {**found, "sensitive": True} if sensitive else found


def get_provider_info() -> dict[str, Any]:
    """Return the provider description that Airflow's schema asks for."""
    return {
        "package-name": "sluicegate",
        "name": "Sluicegate",
        "description": "Lets training start only on data whose origin, integrity and content "
        "are proven.",
        "versions": [__version__],
        "task-decorators": [
            {"name": "guarded", "class-name": "sluicegate.orchestration.guarded.guarded_task"},
            {"name": "sealed", "class-name": "sluicegate.orchestration.lineage.sealed_task"},
        ],
        "config": {SECTION: {"description": "Settings of Sluicegate.", "options": _options()}},
    }


def _options() -> dict[str, Any]:
    return {
        "home": _option(
            "Directory of ledger, trust policy, gate policy, keys and baselines, absolute; or URL "
            "of a store in which they are published, such as s3://CONNECTION@bucket/prefix. "
            f"Falls back to the environment variable {ENV_HOME}; with neither, every "
            "protected task is refused.",
            None,
            "/srv/sluicegate",
        ),
        "ledger": _option(
            "URL of a ledger in PostgreSQL. Falls back to the environment variable "
            f"{ENV_LEDGER}; with neither, the ledger is a file in the home directory.",
            None,
            "postgresql://reader@db.example.com/evidence",
            sensitive=True,
        ),
        "remembered": _option(
            "File in which the installation remembers its ledger and trust policy. Absolute; it "
            "must lie where nobody who can edit the ledger can write. Falls back to the "
            f"environment variable {ENV_REMEMBERED}; with neither, a file beside the home.",
            None,
            "/srv/guard/remembered",
        ),
        "home_pin": _option(
            "What vouches for a home in a store: trust:SHA256 of a signed trust policy, or "
            "index:SHA256 of one release. `sluicegate home push` prints both. Falls back to the "
            f"environment variable {ENV_HOME_PIN}; without it such a home is refused.",
            None,
            "trust:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ),
        "home_cache": _option(
            "Directory for copies of a home in a store, and for what this machine remembers. "
            f"Absolute. Falls back to the environment variable {ENV_HOME_CACHE}; with neither, "
            "~/.cache/sluicegate.",
            None,
            "/var/lib/sluicegate",
        ),
        "protect_tags": _option(
            "Comma list of DAG tags. Every task of a DAG with one of them needs a verdict "
            "before it runs. An empty list means the default; there is no off switch.",
            DEFAULT_PROTECT_TAGS,
            "training,finetuning",
        ),
        "protect_assets": _option(
            "Comma list of asset URI prefixes. Every task that has such an asset as inlet, or "
            f"whose DAG is scheduled on one, needs a verdict. {ASSET_SCHEME} is always among "
            "them.",
            ASSET_SCHEME,
            f"{ASSET_SCHEME},s3://features/",
        ),
        "canary_queues": _option(
            "Comma list of queues for which sluicegate_canary.py makes a task that a live guard "
            "refuses; `sluicegate doctor --canary` fires them. The default queue is always among "
            "them.",
            None,
            "gpu,highmem",
        ),
        "guarded_queues": _option(
            "Comma list of queues of guarded workers. A protected task on another queue is sent "
            "to the first of them. An empty list leaves every task on its own queue.",
            None,
            "train,gpu",
        ),
        "preload": _option(
            "Comma list of what a process of Airflow loads when it starts, so that the tasks it "
            "forks need not: guard, gate, suite, postgres. Set it where workers fork their tasks.",
            None,
            "gate,suite",
        ),
        **{name: option for role in SIGNING_ROLES for name, option in _key_options(role)},
    }


def _key_options(role: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield (
        f"key_{role}",
        _option(
            f"Where the key of role {role} is: a reference, never the key itself. The variable "
            f"{ENV_KEY}{role.upper()} wins; with neither, keys/{role}.pem in the home directory.",
            None,
            f"airflow-connection:sluicegate_{role}",
        ),
    )
    if role != "ledger":
        yield (
            f"cosign_{role}",
            _option(
                f"Comma list of further keys that sign what role {role} signs, for a threshold or "
                f"a post-quantum signature. The variable {ENV_COSIGN}{role.upper()} wins; with "
                f"neither, keys/{role}.cosign*.pem in the home directory.",
                None,
                f"airflow-connection:sluicegate_{role}_quantum",
            ),
        )
