"""Which tasks are protected, on stand-ins for Airflow's objects."""

import functools
import itertools
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from jinja2 import ChainableUndefined, StrictUndefined, ext

from sluicegate.errors import ConfigError
from sluicegate.orchestration.assets import source_of
from sluicegate.orchestration.protecting.author_code import (
    OPERATORS_MODULE,
    may_change_when_expanded,
)
from sluicegate.orchestration.protecting.protection import protection_of
from sluicegate.orchestration.settings import Settings

SETTINGS = Settings(
    protect_tags=frozenset({"training"}), protect_assets=("s3://features/", "sluicegate://")
)


def asset(uri):
    return SimpleNamespace(name=uri, uri=uri)


def named(name):
    return SimpleNamespace(name=name)


class Reference:
    """Airflow's reference by alias or by name, which has no URI."""

    def __init__(self, name):
        self.name = name


Reference.__module__ = "airflow.sdk.definitions.asset"


class UnknownKind:
    """An asset of a kind that a later Airflow may bring."""


UnknownKind.__module__ = "airflow.sdk.definitions.asset"


def both(*objects):
    return SimpleNamespace(objects=objects)


def dag(tags=(), schedule=None):
    return SimpleNamespace(
        tags=set(tags),
        timetable=SimpleNamespace(asset_condition=schedule),
        user_defined_macros=None,
        user_defined_filters=None,
    )


def task(inlets=(), **of_dag):
    return SimpleNamespace(dag=dag(**of_dag), inlets=inlets, _pre_execute_hook=None)


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
        (task(tags=["Training"]), ()),
        (task(tags=[" TRAINING\t"]), ()),
        (task(tags=["\uff54raining"]), ()),
        (task(tags=["train\u200bing"]), ()),
        (task(tags="training"), ()),
        (task(inlets=both(FLIGHTS, asset("x://y"))), ("flights",)),
        (task(inlets=[both(both(FLIGHTS), asset("x://y"))]), ("flights",)),
        (task(inlets=["sluicegate://flights"]), ("flights",)),
        (task(inlets=list("sluicegate://flights")), ("flights",)),
        (mapped(inlets="sluicegate://flights"), ("flights",)),
        (task(inlets=[[FLIGHTS], (asset("sluicegate://a"),)]), ("a", "flights")),
        (task(inlets=[{"uri": "sluicegate://flights"}]), ("flights",)),
        (
            task(inlets=[{"__type": "asset", "__var": {"uri": "sluicegate://flights"}}]),
            ("flights",),
        ),
        (task(inlets=[SimpleNamespace(url="sluicegate://flights")]), ("flights",)),
        (task(inlets=[SimpleNamespace(name="sluicegate://a", uri="s3://x")]), ("a",)),
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
        task(tags=["train", "trainings", "t", "r"]),
        task(inlets=[asset("s3://other/x"), {"name": "table"}, SimpleNamespace(url="s3://y")]),
        task(inlets=list("s3://other/x")),
        task(inlets=both(asset("s3://other"), asset("x://y"))),
        task(schedule=both(asset("x://sluicegate://"))),
        mapped(),
        mapped(inlets=[asset("x://y")]),
    ],
)
def test_everything_else_is_left_alone(free):
    assert protection_of(free, SETTINGS) is None


def test_an_alias_in_the_schedule_leaves_the_question_to_the_run():
    alias = Reference("alias")
    found = protection_of(task(schedule=both(alias, asset("x://y"))), SETTINGS)
    assert found is not None
    assert (found.sources, found.certain, found.schedule) == ((), False, (alias,))


def test_an_alias_among_the_inlets_leaves_the_question_to_the_run():
    alias = Reference("alias")
    found = protection_of(task(inlets=[both(alias)]), SETTINGS)
    assert found is not None
    assert (found.sources, found.certain, found.inlets) == ((), False, (alias,))


def test_a_reference_by_our_name_needs_no_question():
    found = protection_of(task(inlets=[Reference("sluicegate://flights")]), SETTINGS)
    assert found is not None
    assert (found.sources, found.certain, found.inlets) == (("flights",), True, ())


@pytest.mark.parametrize(
    ("inlets", "said"),
    [
        ([[iter([FLIGHTS])]], "iterator"),
        (itertools.repeat(asset("s3://x")), "too many"),
        ([UnknownKind()], "does not know"),
    ],
)
def test_what_cannot_be_read_is_an_error(inlets, said):
    with pytest.raises(ConfigError, match=said):
        protection_of(task(inlets=inlets), SETTINGS)


def test_a_tag_is_certain_even_with_an_alias_in_the_schedule():
    found = protection_of(task(tags=["training"], schedule=Reference("alias")), SETTINGS)
    assert found is not None
    assert found.certain


@pytest.mark.parametrize(
    "uri",
    [
        "sluicegate://",
        "sluicegate://a/b",
        "sluicegate://a?b",
        "sluicegate:/a",
        "sluicegate:a",
        " sluicegate://a",
        "\uff53luicegate://a",
    ],
)
def test_an_asset_of_ours_that_names_no_source_is_an_error(uri):
    with pytest.raises(ConfigError, match=r"not a source name|not the URI of a source"):
        protection_of(task(inlets=[asset(uri)]), SETTINGS)


@pytest.mark.parametrize("inlets", [lambda: iter([FLIGHTS]), lambda: [iter([FLIGHTS])]])
@pytest.mark.parametrize("make", [task, mapped])
def test_an_iterator_is_read_once_and_left_as_a_list(make, inlets):
    made = make(inlets=inlets())
    for _ in range(2):
        assert protection_of(made, SETTINGS).sources == ("flights",)
    assert (made.partial_kwargs["inlets"] if make is mapped else made.inlets) == [FLIGHTS]


def test_an_iterator_over_other_assets_is_left_alone_too():
    made = task(inlets=[iter([asset("s3://x")])])
    assert protection_of(made, SETTINGS) is None
    assert [item.uri for item in made.inlets] == ["s3://x"]


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

        def execute(self, context):
            """Judge."""

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


class Notifier:
    """What Airflow, a provider or we define is nobody's own code."""


class Helper:
    """An author's object, which a template may call."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_post_execute_hook", print_it := lambda *_: None),
        ("on_success_callback", [print_it]),
        ("on_failure_callback", [functools.partial(print)]),
        ("on_execute_callback", print_it),
        ("on_skipped_callback", ["text".upper]),
        ("notifiers", [Helper()]),
        ("retry_policy", Helper()),
        ("execute", print_it),
    ],
)
def test_our_operator_with_any_other_code_of_its_author_is_not(operators, name, value):
    gate = operators.Gate()
    setattr(gate, name, value)
    found = protection_of(gate, SETTINGS)
    assert found is not None
    assert name.strip("_").removesuffix("_hook") in found.reason


MACROS = ("user_defined_macros", "user_defined_filters")


@pytest.mark.parametrize("name", MACROS)
@pytest.mark.parametrize("value", [Helper(), Helper, print, subprocess.run, pytest, lambda: None])
def test_what_its_templates_may_call_counts_too(operators, monkeypatch, name, value):
    monkeypatch.setattr(operators.Gate.dag, name, {"half": 0.5, "train": value})
    assert name in protection_of(operators.Gate(), SETTINGS).reason


@pytest.mark.parametrize("name", MACROS)
def test_constants_and_the_standard_library_in_templates_do_not(operators, monkeypatch, name):
    constants = {"half": 0.5, "sys": sys, "of": datetime, "day": timedelta(1), "path": Path()}
    monkeypatch.setattr(operators.Gate.dag, name, constants)
    assert protection_of(operators.Gate(), SETTINGS) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jinja_environment_kwargs", {"finalize": lambda value: value}),
        ("jinja_environment_kwargs", {"extensions": ["jinja2.ext.do", "authors.module.Extension"]}),
        ("jinja_environment_kwargs", {"extensions": [Helper]}),
        ("template_undefined", type("Own", (StrictUndefined,), {})),
    ],
)
def test_what_its_templates_are_rendered_by_counts_too(operators, monkeypatch, name, value):
    monkeypatch.setattr(operators.Gate.dag, name, value, raising=False)
    assert name in protection_of(operators.Gate(), SETTINGS).reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (
            "jinja_environment_kwargs",
            {"keep_trailing_newline": True, "variable_start_string": "[["},
        ),
        ("jinja_environment_kwargs", {"extensions": ["jinja2.ext.do", ext.loopcontrols]}),
        ("template_undefined", StrictUndefined),
        ("template_undefined", ChainableUndefined),
    ],
)
def test_options_of_jinja_itself_do_not(operators, monkeypatch, name, value):
    monkeypatch.setattr(operators.Gate.dag, name, value, raising=False)
    assert protection_of(operators.Gate(), SETTINGS) is None


def test_a_notifier_of_an_installed_package_leaves_the_exemption(operators, monkeypatch):
    monkeypatch.setattr(Notifier, "__module__", "airflow.providers.chat")
    gate = operators.Gate()
    gate.on_failure_callback = [Notifier()]
    assert protection_of(gate, SETTINGS) is not None, "a look-alike of a module never imported"
    module = ModuleType("airflow.providers.chat")
    module.Notifier = Notifier
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert protection_of(gate, SETTINGS) is None


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (None, False),
        ({"bash_command": ["a"]}, False),
        ({"post_execute": [print]}, True),
        ([{"bash_command": "a"}], False),
        ([{"bash_command": "a", "inlets": [FLIGHTS]}], True),
        ([object()], True),
        (object(), True),
    ],
)
def test_what_an_expansion_may_bring_is_judged_when_it_is_there(value, changes):
    task = SimpleNamespace(expand_input=SimpleNamespace(value=value))
    assert may_change_when_expanded(task) is changes
