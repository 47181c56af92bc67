"""Waiting for an Airflow that is busy: one look without an answer is not the end."""

from __future__ import annotations

import pytest

from sluicegate.cli.demo import airflow_rest
from sluicegate.cli.demo.airflow_rest import AirflowApiError, AirflowRest, wait_until
from sluicegate.errors import SluicegateError

BUSY = AirflowApiError("no usable answer", locator="/dags")


@pytest.fixture
def look(monkeypatch):
    """Give a look its answers in turn, without waiting between them."""
    monkeypatch.setattr(airflow_rest, "_POLL_S", 0)

    def made(*answers):
        rest = iter(answers)

        def look():
            answer = next(rest)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return look

    return made


def test_first_answer_that_is_not_none_is_returned(look):
    assert wait_until(look(None, 0, 1), timeout_s=60, what="an answer") == 0


def test_look_without_an_answer_is_followed_by_another(look):
    assert wait_until(look(BUSY, None, BUSY, "there"), timeout_s=60, what="it") == "there"


def test_end_of_the_wait_says_why_the_last_look_failed(look):
    with pytest.raises(SluicegateError, match="it did not happen in 0 s") as caught:
        wait_until(look(BUSY), timeout_s=0, what="it")
    assert caught.value.__cause__ is BUSY


def test_any_other_error_of_a_look_ends_the_wait(look):
    with pytest.raises(ZeroDivisionError):
        wait_until(look(ZeroDivisionError()), timeout_s=60, what="it")


def refused(status):
    return AirflowApiError("the server refused", locator="/dags", got=status)


@pytest.fixture
def answers(monkeypatch):
    """A client whose server gives answers in turn; returns the names of the runs it was asked."""
    monkeypatch.setattr(airflow_rest, "_POLL_S", 0)

    def made(*said):
        asked, rest = [], iter(said)

        def call(_self, _method, _path, body):
            asked.append(body["dag_run_id"])
            answer = next(rest)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(AirflowRest, "call", call)
        return AirflowRest("http://airflow.example.com", "admin", "password"), asked

    return made


@pytest.mark.parametrize("last", [{}, refused("409")])
def test_busy_airflow_is_asked_again_for_the_same_run(answers, last):
    client, asked = answers(refused("500"), refused("500"), last)
    assert {client.trigger("flights")} == set(asked)
    assert len(asked) == 3


@pytest.mark.parametrize("status", ["403", "404", "409"])
def test_refusal_of_a_run_is_told_at_once(answers, status):
    client, asked = answers(refused(status))
    with pytest.raises(AirflowApiError):
        client.trigger("flights")
    assert len(asked) == 1
