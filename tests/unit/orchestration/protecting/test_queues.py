"""Protected tasks are sent to queues of guarded workers, on stand-ins for Airflow's objects."""

from types import SimpleNamespace

import pytest

from sluicegate.orchestration.protecting.protection import Protection
from sluicegate.orchestration.protecting.queues import CANARY, keep_to_queues
from sluicegate.orchestration.settings import Settings

FLIGHTS = Protection(reason="DAG tag 'training'", sources=("flights",))
QUEUES = ("train", "gpu")


def task(queue):
    return SimpleNamespace(task_id="fit", queue=queue)


class Mapped:
    """A mapped operator, whose queue is an argument of what it becomes."""

    task_id = "fit"

    def __init__(self, **arguments):
        self.partial_kwargs = arguments

    @property
    def queue(self):
        return self.partial_kwargs.get("queue", "default")


@pytest.mark.parametrize(
    ("before", "after"),
    [("default", "train"), ("train", "train"), ("gpu", "gpu"), ("GPU", "train")],
)
def test_a_protected_task_on_another_queue_is_sent_to_the_first(before, after):
    one = task(before)
    keep_to_queues(one, FLIGHTS, QUEUES)
    assert one.queue == after


@pytest.mark.parametrize("arguments", [{}, {"queue": "default"}])
def test_a_mapped_task_is_sent_by_its_argument(arguments):
    one = Mapped(**arguments)
    keep_to_queues(one, FLIGHTS, QUEUES)
    assert one.partial_kwargs == {"queue": "train"}


def test_a_task_that_only_its_run_can_judge_is_sent_too():
    one, unsure = task("default"), Protection(reason="asset alias", sources=(), certain=False)
    keep_to_queues(one, unsure, QUEUES)
    assert one.queue == "train"


def test_a_canary_stays_on_the_queue_whose_workers_it_asks():
    one = task("default")
    keep_to_queues(one, Protection(reason="asset", sources=(CANARY,)), QUEUES)
    assert one.queue == "default"
    keep_to_queues(one, Protection(reason="asset", sources=("flights", CANARY)), QUEUES)
    assert one.queue == "train"


def test_without_the_setting_every_task_stays():
    one = task("default")
    keep_to_queues(one, FLIGHTS, Settings().guarded_queues)
    assert one.queue == "default"


def test_workers_with_other_queues_show_another_digest():
    said = [Settings(guarded_queues=queues).digest for queues in ((), ("train",), QUEUES)]
    assert len(set(said)) == 3
