"""A process that only loads the plugin pays nothing for the page."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sluicegate.orchestration.page.mounted import TABS, fastapi_apps, react_apps

HEAVY = ("fastapi", "starlette", "airflow", "sqlalchemy", "numpy", "sluicegate.workflow")


def test_declaring_the_page_imports_none_of_what_serves_it():
    code = (
        "import sys; import sluicegate.orchestration.page.mounted as m; m.fastapi_apps();"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("declare", [fastapi_apps, react_apps])
def test_each_plugin_gets_lists_of_its_own(declare):
    assert declare() is not declare()


def test_the_program_lies_where_the_application_is_mounted():
    (app,) = fastapi_apps()
    for page in react_apps():
        assert f"/{page['bundle_url']}".startswith(app["url_prefix"] + "/")
        assert not page["bundle_url"].startswith("/"), "a proxy may serve Airflow below a path"


def test_each_part_of_the_page_has_a_route_of_its_own():
    places = react_apps()
    assert len({page["url_route"] for page in places}) == len(places)
    assert [page["destination"] for page in places] == ["nav", *TABS]
