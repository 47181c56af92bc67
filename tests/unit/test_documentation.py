"""Pages link what exists, and say of the code's shape what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "plugins" / "sluicegate"
DOCS = REPO / "docs"
ADRS = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "README.md")
PAGES = [*sorted(REPO.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
PYPROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))


def named(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(path: Path) -> list[tuple[Path, str]]:
    """Return the files that a page links, each with the anchor."""
    targets = [t for t in re.findall(r"\]\(([^)\s]+)\)", prose(path)) if "://" not in t]
    parts = (target.partition("#") for target in targets)
    return [((path.parent / file).resolve() if file else path, anchor) for file, _, anchor in parts]


def slugs(path: Path) -> set[str]:
    """Return the anchors of a page as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, up to the next of its level or above."""
    text = (REPO / page).read_text(encoding="utf-8")
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found, heading
    return found[1]


def first_cells(table: str) -> list[str]:
    """Return the first cell of each row, without head and code marks."""
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    return [cell.strip().strip("`") for cell in rows[1:]]


@pytest.mark.parametrize("path", PAGES, ids=map(named, PAGES))
def test_relative_link_leads_somewhere(path):
    for linked, anchor in links(path):
        assert linked.exists(), linked
        if anchor:
            assert anchor in slugs(linked), f"{linked}#{anchor}"


def test_index_links_every_page():
    linked = {path for path, _ in links(DOCS / "README.md")}
    left_out = set(DOCS.rglob("*.md")) - linked - set(ADRS) - {DOCS / "README.md"}
    assert not left_out


def test_index_of_decisions_lists_each_once_in_order():
    assert [path for path, _ in links(DOCS / "adr" / "README.md")] == ADRS
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))


def test_readme_is_short_and_leads_to_the_three_questions_of_a_newcomer():
    text = (REPO / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    linked = {path for path, _ in links(REPO / "README.md")}
    assert {DOCS / "architecture.md", REPO / "CONTRIBUTING.md", DOCS / "README.md"} <= linked
    architecture = slugs(DOCS / "architecture.md")
    assert {"where-a-batch-is-judged", "what-a-training-worker-imports"} <= architecture
    assert "add-a-signal" in slugs(REPO / "CONTRIBUTING.md")


@pytest.mark.parametrize("path", PAGES, ids=map(named, PAGES))
def test_code_that_a_page_names_exists(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`(\w[\w-]*/(?:[\w-]+/)*[\w-]+\.(?:py|json|yaml))`", text):
        if name.partition("/")[0] in {"dags", "tests", "benchmarks", "expectations", "docs"}:
            assert (REPO / name).exists(), name
        elif (PACKAGE / name.partition("/")[0]).is_dir():
            assert (PACKAGE / name).exists(), name
    for name in re.findall(r"`sluicegate\.((?:[a-z_]+\.)+[a-z_]+)`", text):
        place = PACKAGE.joinpath(*name.split("."))
        if (PACKAGE / name.partition(".")[0]).is_dir():
            assert place.is_dir() or place.with_suffix(".py").exists(), name


def test_page_that_code_cites_exists():
    for path in PACKAGE.rglob("*.py"):
        for name in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
            assert (REPO / name).exists(), f"{path}: {name}"


def test_architecture_draws_the_layers_that_import_linter_holds():
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    page = section("docs/architecture.md", "## Packages")
    drawn = re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [block.splitlines() for block in drawn] == [
        [layer.replace("sluicegate.", "") for layer in one] for one in layers
    ]


@pytest.mark.parametrize("package", ["workflow", "signals"])
def test_architecture_names_every_room(package):
    rooms = {path.parent.name for path in (PACKAGE / package).glob("*/__init__.py")}
    assert set(first_cells(section("docs/architecture.md", f"### Rooms of `{package}`"))) == rooms


def test_dependencies_of_adr_2_are_those_of_pyproject():
    page = "docs/adr/0002-dependencies.md"
    project = PYPROJECT["project"]
    needed = first_cells(section(page, "### Needed to gate and to train"))
    verifying = first_cells(section(page, "### Needed to verify"))
    extras = re.findall(r"^\| ([\w-]+) \| `(\w+)` \|", section(page, "### Extras"), re.MULTILINE)
    assert {*needed, *verifying} - {"cffi, pycparser"} == set(map(bare, project["dependencies"]))
    assert sorted(extras) == sorted(
        (bare(text), extra)
        for extra, texts in project["optional-dependencies"].items()
        for text in texts
    )


def bare(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement)[0]


def test_admission_has_as_many_steps_in_adr_5_as_in_the_module():
    text = (PACKAGE / "workflow" / "admission" / "admit.py").read_text(encoding="utf-8")
    steps = re.findall(r"^(\d+)\. ", text.split('"""')[1], re.MULTILINE)
    table = section("docs/adr/0005-evidence-by-provenance.md", "### Admission")
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == steps
