"""A pseudonym is stable, is nobody else's, and cannot be taken as a name."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.signals.labels.test_sequence import batch_step, record

from sluicegate.signals.contributors.names import ContributorNames, pseudonym
from sluicegate.signals.labels.sequence import sequence_record

SHOWN, HIDDEN = ContributorNames(), ContributorNames(hidden=True)


def test_pseudonym_is_what_the_documentation_says():
    digest = hashlib.sha256(b"sluicegate contributor\nUA").hexdigest()
    assert pseudonym("UA") == f"#{digest[:16]}"
    assert HIDDEN.subject("UA") == f"contributor #{digest[:16]}"


@given(name=st.text())
def test_hidden_name_is_stable_and_the_shown_one_is_cut(name):
    assert HIDDEN.of(name) == HIDDEN.of(name) == pseudonym(name)
    assert len(HIDDEN.of(name)) == 17
    assert SHOWN.of(name) in (name[:64], pseudonym(name))


def test_name_in_the_form_of_a_pseudonym_does_not_pass_as_another():
    forged = pseudonym("honest")
    for names in (SHOWN, HIDDEN):
        assert names.of(forged) == pseudonym(forged) != forged


@given(name=st.text(max_size=64))
def test_what_was_recorded_in_either_form_leads_to_one_track(name):
    subjects = {names.subject(name) for names in (SHOWN, HIDDEN)}
    assert {ContributorNames.track(subject) for subject in subjects} == {HIDDEN.subject(name)}
    assert {HIDDEN.again(subject) for subject in subjects} == {HIDDEN.subject(name)}
    assert {SHOWN.again(subject) for subject in subjects} == subjects


def steps(n):
    rng = np.random.default_rng(5)
    people = (f"contributor c{i}" for i in range(8))
    shift = dict.fromkeys(["", "label 0", "label 1", *people], 0.0)
    return [batch_step(rng, 0.0, shift) for _ in range(n)]


def hidden(step):
    return tuple(
        dataclasses.replace(e, subject=HIDDEN.again(e.subject)) if e.level == 2 else e for e in step
    )


@pytest.mark.parametrize("before", [SHOWN, HIDDEN])
@pytest.mark.parametrize("now", [SHOWN, HIDDEN])
def test_sequence_goes_on_through_the_switch(before, now):
    *past, last = steps(6)
    past = [hidden(step) if before.hidden else step for step in past]
    last = hidden(last) if now.hidden else last
    found = sequence_record([record(last)], past, alpha=0.01, overrides={}, naming=now)
    again = sequence_record([record(last)], [*past, last], alpha=0.01, overrides={}, naming=now)
    assert found == again
    assert found.evidence["batches"] == 6
    other = last if before.hidden is now.hidden else hidden(last)
    assert (
        sequence_record([record(last)], [*past, other], alpha=0.01, overrides={}, naming=now)
        == found
    )


@pytest.mark.parametrize("naming", [SHOWN, HIDDEN])
def test_sequence_calls_one_who_delivers_no_more_as_the_policy_says_now(naming):
    """What earlier batches recorded under a name is found again, and said as names are now."""
    gone, people = "contributor c0", [f"contributor c{i}" for i in range(8)]
    shift = dict.fromkeys(["", "label 0", "label 1", *people], 0.0)
    rng = np.random.default_rng(6)
    past = [batch_step(rng, 0.0, shift) for _ in range(6)]
    past = [
        tuple(
            dataclasses.replace(e, effect=0.08, p_value=1e-30) if e.subject == gone else e
            for e in step
        )
        for step in past
    ]
    now = tuple(e for e in batch_step(rng, 0.0, shift) if e.subject != gone)
    found = sequence_record([record(now)], past, alpha=0.01, overrides={}, naming=naming)
    assert found.evidence["subject"] == naming.subject("c0")
    assert found.message.startswith(f"SEQUENCE: {naming.subject('c0')}: ")


def test_rows_of_a_hidden_contributor_are_still_scored_by_its_own_flips(baseline, batch):
    from tests.unit.signals.conftest import put

    from sluicegate.signals.evaluate import evaluate

    who = batch["who"].to_pylist()
    turned = [1 - y if w == "c3" else y for y, w in zip(batch["y"].to_pylist(), who, strict=True)]
    table = put(batch, "y", turned)
    found = [
        evaluate(baseline, table.to_batches(), tolerances={}, naming=names)
        for names in (SHOWN, HIDDEN)
    ]
    assert "contributor c3" in " ".join(r.message for r in found[0].records)
    assert not [r for r in found[1].records if "contributor c" in r.message]
    assert np.array_equal(found[0].row_scores, found[1].row_scores)
    assert found[0].row_reasons == found[1].row_reasons
