"""Which tasks are protected, on stand-ins for Airflow's objects."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from sluicegate.errors import ConfigError
from sluicegate.orchestration.assets import source_of
from sluicegate.orchestration.protection import OPERATORS_MODULE, protection_of
from sluicegate.orchestration.settings import Settings

SETTINGS = Settings(
    protect_tags=frozenset({"training"}), protect_assets=("s3://features/", "sluicegate://")
)


def asset(uri):
    return SimpleNamespace(name=uri, uri=uri)


def named(name):
    return SimpleNamespace(name=name)


def both(*objects):
    return SimpleNamespace(objects=objects)


def dag(tags=(), schedule=None):
    return SimpleNamespace(tags=set(tags), timetable=SimpleNamespace(asset_condition=schedule))


def task(inlets=(), **of_dag):
    return SimpleNamespace(dag=dag(**of_dag), inlets=list(inlets), _pre_execute_hook=None)


def mapped(inlets=None, **of_dag):
    kwargs = {} if inlets is None else {"inlets": inlets}
    return SimpleNamespace(dag=dag(**of_dag), partial_kwargs=kwargs, operator_class=object)


FLIGHTS = asset("sluicegate://flights/")


@pytest.mark.parametrize(
    ("protected", "sources"),
    [
        (task(tags=["training"]), ()),
        (task(tags=["training", "x"], inlets=[FLIGHTS]), ("flights",)),
        (task(inlets=[FLIGHTS, asset("sluicegate://a")]), ("a", "flights")),
        (task(inlets=[asset("SLUICEGATE://flights")]), ("flights",)),
        (task(inlets=[named("sluicegate://flights")]), ("flights",)),
        (task(inlets=[asset("s3://features/x")]), ()),
        (task(schedule=FLIGHTS), ("flights",)),
        (task(schedule=both(both(asset("x://y"), FLIGHTS), asset("x://z"))), ("flights",)),
        (mapped(inlets=[FLIGHTS]), ("flights",)),
        (mapped(inlets=FLIGHTS), ("flights",)),
        (mapped(schedule=both(FLIGHTS)), ("flights",)),
        (mapped(tags=["training"]), ()),
    ],
)
def test_tag_inlet_or_schedule_protects_and_names_the_sources(protected, sources):
    found = protection_of(protected, SETTINGS)
    assert found is not None
    assert (found.sources, found.certain) == (sources, True)


@pytest.mark.parametrize(
    "free",
    [
        task(),
        task(tags=["Training-report"]),
        task(inlets=[asset("s3://other/x"), "text", object()]),
        task(schedule=both(asset("x://sluicegate://"))),
        mapped(),
        mapped(inlets=[asset("x://y")]),
    ],
)
def test_everything_else_is_left_alone(free):
    assert protection_of(free, SETTINGS) is None


def test_an_alias_in_the_schedule_leaves_the_question_to_the_run():
    found = protection_of(task(schedule=both(named("alias"), asset("x://y"))), SETTINGS)
    assert found is not None
    assert (found.sources, found.certain) == ((), False)


def test_a_tag_is_certain_even_with_an_alias_in_the_schedule():
    found = protection_of(task(tags=["training"], schedule=named("alias")), SETTINGS)
    assert found is not None
    assert found.certain


@pytest.mark.parametrize("uri", ["sluicegate://", "sluicegate://a/b", "sluicegate://a?b"])
def test_an_asset_of_ours_that_names_no_source_is_an_error(uri):
    with pytest.raises(ConfigError, match="not a source name"):
        protection_of(task(inlets=[asset(uri)]), SETTINGS)


def test_an_endless_condition_is_an_error():
    loop = SimpleNamespace(objects=[])
    loop.objects.append(loop)
    with pytest.raises(ConfigError, match="nested too deep"):
        protection_of(task(schedule=loop), SETTINGS)


def test_source_of_an_asset_of_somebody_else_is_none():
    assert source_of(asset("s3://x/y")) is None
    assert source_of(object()) is None


@pytest.fixture
def operators(monkeypatch):
    """Stand in for the operators module, with one operator in it."""

    class Gate:
        dag = dag(tags=["training"])
        inlets = ()
        _pre_execute_hook = None

    Gate.__module__ = OPERATORS_MODULE
    module = ModuleType(OPERATORS_MODULE)
    module.Gate = Gate
    monkeypatch.setitem(sys.modules, OPERATORS_MODULE, module)
    return module


def test_our_own_operator_is_exempt(operators):
    assert protection_of(operators.Gate(), SETTINGS) is None


def test_a_subclass_or_a_look_alike_of_our_operator_is_not(operators):
    class Gate(operators.Gate):
        pass

    Gate.__module__ = OPERATORS_MODULE
    assert protection_of(Gate(), SETTINGS) is not None


def test_our_operator_with_a_hook_of_its_author_is_not(operators):
    gate = operators.Gate()
    gate._pre_execute_hook = print
    assert protection_of(gate, SETTINGS) is not None
