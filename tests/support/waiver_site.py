"""Sources whose batch is blocked, and two people who may waive that; keys are for tests only."""

from __future__ import annotations

from datetime import timedelta

from tests.support.guard_faults import FaultySource
from tests.unit.workflow.conftest import AT

from sluicegate.attest.keys import Algorithm, generate, write_key_pair
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.gate.default_policy import DEFAULT_POLICY

BLOCKED = ("granted", "marked", "early", "stale", "refused", "silent")
ACTED = ("pardoned", "parted", "poised")
"""What the page acts on: a blocked batch, and two that passed with a blocked one after each; the
last is only looked at."""


def name_approvers(site, *names):
    """Give each person a key of the waiver role, and say so in trust policy and policy."""
    persons, public = {}, []
    for name in names:
        signer = generate(Algorithm.ED25519)
        private, _ = write_key_pair(signer, site.home.keys / name)
        private.rename(site.home.key(f"waiver_{name}"))
        public.append(signer.public_key)
        persons[name] = [signer.public_key.key_id]
    roles = (Role.SOURCE, Role.GATE, Role.BASELINE, Role.LEDGER)
    keys = {role: [site.signer(role.value).public_key] for role in roles}
    trust = trust_policy(
        keys | {Role.WAIVER: public},
        version=2,
        expires=AT + timedelta(days=365),
        thresholds={Role.WAIVER: 2},
    )
    site.home.trust.write_bytes(trust.to_bytes())
    allow = "[LABEL_FLIPS, LABEL_PRIOR, CONTRIBUTOR_LABEL_SKEW]"
    section = f"waiver: {{allow: {allow}, max_hours: 48, persons: {persons}}}\n"
    site.home.policy.write_text(DEFAULT_POLICY + section, encoding="utf-8")


def build_blocked_sources(site):
    """Seal and judge a poisoned batch of each."""
    for number, source in enumerate(BLOCKED):
        FaultySource(site, source, seed=10 * number + 500).blocked()


def build_rolled_source(site):
    """A batch that passed, and after it one that nobody may train on."""
    source = FaultySource(site, "rolled", seed=800)
    source.make()
    source.newer_poisoned_batch()


def build_acted_sources(site):
    """What the page acts on."""
    FaultySource(site, ACTED[0], seed=900).blocked()
    for number, name in enumerate(ACTED[1:]):
        source = FaultySource(site, name, seed=910 + 10 * number)
        source.make()
        source.newer_poisoned_batch()


def build_kept_sources(site):
    """Batches that passed: one to set aside, and one to promote a baseline from."""
    for number, source in enumerate(("kept", "grown")):
        FaultySource(site, source, seed=10 * number + 850).make()
