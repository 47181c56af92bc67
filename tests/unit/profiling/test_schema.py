"""The schema file is strict: a misspelt key must not silently switch signals off."""

from __future__ import annotations

import pytest

from sluicegate.errors import ConfigError
from sluicegate.profiling.label_kind import LabelKind
from sluicegate.profiling.schema import BatchSchema


def test_empty_file_means_no_roles():
    assert BatchSchema.from_mapping(None) == BatchSchema()
    assert BatchSchema.from_mapping({}) == BatchSchema()


def test_schema_round_trips():
    schema = BatchSchema(id="i", label="y", contributor="w", timestamp="t", text=("a", "b"))
    assert BatchSchema.from_mapping(schema.to_json()) == schema
    more = BatchSchema(label="y", counter=("n",), ignore=("loaded", "batch"))
    assert BatchSchema.from_mapping(more.to_json()) == more


def test_label_may_list_its_classes_which_are_counted_as_text():
    label = {"column": "y", "classes": ["yes", "no", 2, True, "no"]}
    schema = BatchSchema.from_mapping({"label": label})
    assert (schema.label, schema.label_kind) == ("y", LabelKind.CLASS)
    assert schema.classes == ("2", "no", "true", "yes")
    assert BatchSchema.from_mapping(schema.to_json()) == schema


@pytest.mark.parametrize(
    ("label", "match"),
    [
        ({"column": "y", "classes": []}, "malformed"),
        ({"column": "y", "classes": None}, "malformed"),
        ({"column": "y", "classes": ["a"], "kind": "number"}, "malformed"),
        ({"classes": ["a"]}, "malformed"),
        ({"column": "y", "class": ["a"]}, "malformed"),
        ({"column": "y", "classes": [""]}, "no list of names"),
        ({"column": "y", "classes": [1.5]}, "no list of names"),
        ({"column": "y", "classes": {"a": 1}}, "no list of names"),
        ({"column": "y", "classes": "yes"}, "no list of names"),
    ],
    ids=str,
)
def test_classes_that_are_no_list_of_names_are_refused(label, match):
    with pytest.raises(ConfigError, match=match):
        BatchSchema.from_mapping({"label": label})


def test_roles_that_no_column_has_are_not_written_so_that_older_baselines_keep_their_bytes():
    assert not {"counter", "ignore"} & set(BatchSchema(label="y").to_json())


@pytest.mark.parametrize(
    ("mapping", "match"),
    [
        ({"lable": "y"}, "unknown key"),
        (["label"], "not a mapping"),
        ({"label": 3}, "not a column name"),
        ({"label": ""}, "not a column name"),
        ({"text": "body"}, "not a list"),
        ({"text": [1]}, "not a column name"),
        ({"label": "y", "contributor": "y"}, "two roles"),
        ({"text": ["a"], "embedding": ["a"]}, "two roles"),
        ({"label": "y", "ignore": ["y"]}, "two roles"),
        ({"counter": ["n"], "ignore": ["n"]}, "two roles"),
        ({"ignore": "n"}, "not a list"),
    ],
)
def test_unusable_schema_is_refused(mapping, match):
    with pytest.raises(ConfigError, match=match):
        BatchSchema.from_mapping(mapping, locator="schema.yaml")


def test_role_of_a_column_without_one_is_feature():
    schema = BatchSchema(label="y", text=("body",))
    assert [schema.role(c) for c in ("y", "body", "x")] == ["label", "text", "feature"]
