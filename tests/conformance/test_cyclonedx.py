"""The ML-BOM against CycloneDX's own JSON schema, as cyclonedx-python-lib ships it."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

from sluicegate.workflow.exporting.export import Extras, export_run, find_batch

jsonschema = pytest.importorskip("jsonschema")
referencing = pytest.importorskip("referencing")
SCHEMAS = ("bom-1.6", "spdx", "jsf-0.82", "cryptography-defs")


@pytest.fixture(scope="module")
def validator(require):
    try:
        place = files("cyclonedx.schema._res")
    except ModuleNotFoundError:
        require(False, "cyclonedx-python-lib is not installed")
    found = [
        json.loads((place / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8"))
        for name in SCHEMAS
    ]
    resources = [(schema["$id"], referencing.Resource.from_contents(schema)) for schema in found]
    registry = referencing.Registry().with_resources(resources)
    return jsonschema.Draft7Validator(
        found[0], registry=registry, format_checker=jsonschema.FormatChecker()
    )


@pytest.fixture(params=["of a model", "of data alone", "without a verdict"])
def bom(request, site):  # noqa: F811 - the fixture
    site.seal(site.clean)
    if request.param != "without a verdict":
        site.gate()
    model = None
    if request.param == "of a model":
        model = site.root / "model.joblib"
        model.write_bytes(b"weights")
    evidence = site.evidence()
    batch = find_batch(evidence, at=AT, source="src")
    export_run(evidence, batch, site.root / "out", at=AT, extras=Extras(mlbom=True, model=model))
    return json.loads((site.root / "out" / "model.cdx.json").read_text(encoding="utf-8"))


def test_ml_bom_is_valid_under_the_official_schema(validator, bom):
    assert [error.message for error in validator.iter_errors(bom)] == []


def test_schema_refuses_a_bom_with_a_field_it_does_not_know(validator, bom):
    bom["components"][0]["invented"] = True
    assert list(validator.iter_errors(bom))
