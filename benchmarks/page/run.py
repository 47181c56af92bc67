"""CPU and time of each route of the page, with many sources and a large ledger.

    python benchmarks/page/run.py --leaves 1000000 --sources 500 --write docs/page.md
    python benchmarks/page/run.py --postgres 'postgresql://postgres@127.0.0.1/postgres'

The application answers in this process, through its own routes: those that read are taken from it,
so a new one is measured too. Airflow's part is its tables of assets, one DAG waiting for each, and
an auth manager that allows everything. Cold is the first question after a start of the API server,
warm the next one. The guard is asked of the same ledger, as a task start asks it. A PostgreSQL
ledger gets a schema of its own, which is dropped at the end.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import statistics
import tempfile
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from installation import MODEL, fill, install, judged, names_of

from sluicegate.attest.secret import Secret
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence.home import SluiceHome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from installation import Model
    from sqlalchemy import Engine

REACH_MS = 100
VERDICTS = 20
HEADING = "## What it needs"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def asset_tables(folder: Path, sources: list[str]) -> Engine:
    """Return Airflow's tables with an asset for each source and a DAG that waits for it."""
    from airflow.models import import_all_models  # noqa: PLC0415
    from airflow.models.asset import AssetModel, DagScheduleAssetReference  # noqa: PLC0415
    from airflow.models.base import Base  # noqa: PLC0415 - after AIRFLOW_HOME is set
    from sqlalchemy import create_engine, insert  # noqa: PLC0415

    from sluicegate.workflow.admission.protected import ASSET_SCHEME  # noqa: PLC0415

    import_all_models()
    engine = create_engine(f"sqlite:///{folder / 'airflow.db'}")
    Base.metadata.create_all(engine)
    assets = [
        {"id": n, "name": name, "uri": f"{ASSET_SCHEME}{name}/", "group": "", "extra": {}}
        for n, name in enumerate(sources, 1)
    ]
    now = datetime.now(UTC)
    waiting = [
        {"asset_id": asset["id"], "dag_id": f"train_{asset['name']}", "created_at": now,
         "updated_at": now}
        for asset in assets
    ]  # fmt: skip
    Allows.dags = {str(one["dag_id"]) for one in waiting}
    with engine.begin() as connection:
        connection.execute(insert(AssetModel), assets)
        connection.execute(insert(DagScheduleAssetReference), waiting)
    return engine


class Allows:
    """An auth manager that costs nothing."""

    dags: ClassVar[set[str]] = set()

    def is_authorized_asset(self, **_asked: object) -> bool:
        """Say yes."""
        return True

    is_authorized_dag = is_authorized_asset

    def get_authorized_dag_ids(self, **_asked: object) -> set[str]:
        """Name every DAG."""
        return self.dags


class Collector:
    """Times the full runs of Python's garbage collector: a large process pays for each alone."""

    def __init__(self) -> None:
        self.runs_ms: list[float] = []
        self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2:
            if phase == "start":
                self._began = time.process_time()
            else:
                self.runs_ms.append(1000 * (time.process_time() - self._began))


class Site:
    """The application over one installation.

    Args:
        home: The installation.
        engine: Airflow's tables.
    """

    def __init__(self, home: SluiceHome, engine: Engine) -> None:
        from airflow.api_fastapi.common.db.common import _get_session  # noqa: PLC0415
        from airflow.api_fastapi.core_api import security  # noqa: PLC0415
        from fastapi.testclient import TestClient  # noqa: PLC0415
        from sqlalchemy.orm import Session  # noqa: PLC0415

        from sluicegate.orchestration.page import access, acts, api  # noqa: PLC0415

        def session() -> Iterator[Session]:
            with Session(engine) as opened:
                yield opened

        self._api, self._home = api, home
        for module in (access, acts, security):
            module.get_auth_manager = Allows  # type: ignore[attr-defined]
        self.app: FastAPI = api.build("/page")
        self.app.dependency_overrides[security.get_user] = lambda: "somebody"
        self.app.dependency_overrides[_get_session] = session
        self._client = TestClient(self.app)
        self._collector = Collector()
        self.start()

    def start(self) -> None:
        """Forget everything, as a new API server knows nothing."""
        overview = self._api.Overview
        self._api._OVERVIEW = overview(lambda: self._home, lambda: datetime.now(UTC))  # noqa: SLF001

    def ask(self, path: str) -> tuple[float, float, dict[str, Any]]:
        """Return CPU ms without full runs of the collector, wall ms and the answer."""
        cpu, wall, n_runs = time.process_time(), time.perf_counter(), len(self._collector.runs_ms)
        got = self._client.get(path)
        spent = 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)
        collected = sum(self._collector.runs_ms[n_runs:])
        spent = spent[0] - collected, spent[1]
        assert got.status_code == 200, (path, got.status_code, got.text[:300])
        return *spent, got.json() if path.startswith("/api") else {}

    @property
    def collected(self) -> str:
        """What the collector took, in words."""
        runs = self._collector.runs_ms
        mean = statistics.mean(runs) if runs else 0
        return f"{len(runs)} full runs of Python's garbage collector, {mean:.0f} ms each"

    def until_whole(self, path: str) -> tuple[list[float], float]:
        """Ask as the page does: CPU ms of each question, and wall ms of all."""
        spent, passed = [], 0.0
        while True:
            cpu, wall, body = self.ask(path)
            spent.append(cpu)
            passed += wall
            if body.get("whole", True):
                return spent, passed


def paths(app: FastAPI, answers: dict[str, str]) -> list[str]:
    """Return a question for each route that reads.

    Args:
        app: The application.
        answers: A value for each parameter that a route demands.
    """
    found = []
    for route in app.routes:
        if "GET" not in getattr(route, "methods", ()):
            continue
        asked = [p.alias for p in route.dependant.query_params if p.field_info.is_required()]
        named = {p.alias: answers[p.alias] for p in route.dependant.path_params}
        query = "&".join(f"{name}={answers[name]}" for name in asked)
        found.append(route.path.format(**named) + (f"?{query}" if query else ""))
    return found


Row = tuple[str, str, list[float], float, list[float], float]


def measured(site: Site, model: Model, evidence: Any, store: str, samples: int) -> list[Row]:
    """Return what each route takes, cold and warm, then the guard."""
    newest = next(evidence.ledger.find(Kind.VERDICT, names_of(8)[7], limit=1))
    name = newest.entry.source
    answers = {"name": name, "index": str(newest.index), "dag": f"train_{name}"}
    asked = [p for p in paths(site.app, answers) if p.startswith("/api")]
    rows = []
    for path in [*asked, "/api/sources?limit=200", "/api/sources?state=blocked"]:
        site.ask("/api/source?name=" + MODEL)  # imports
        site.start()
        cold, cold_wall = site.until_whole(path)
        warm = [site.ask(path)[:2] for _ in range(samples)]
        shown = path.split("?")[0] if path in asked else path
        cpu, wall = ([one[i] for one in warm] for i in (0, 1))
        rows.append((store, f"`{shown}`", cold, cold_wall, cpu, statistics.median(wall)))
    site.until_whole("/api/sources")
    after: list[tuple[float, float]] = []
    for number in range(samples):
        evidence.ledger.append_many([*judged(model, names_of(9)[8], number)])
        after.append(site.ask("/api/sources")[:2])
    cpu, wall = ([one[i] for one in after] for i in (0, 1))
    rows.append((store, "the list, after one more verdict", [], 0, cpu, statistics.median(wall)))
    rows.append((store, "the guard's question, of one source", *guard(model, samples)))
    return rows


def guard(model: Model, samples: int) -> tuple[list[float], float, list[float], float]:
    """Return what one task start asks, in this process, where everything is imported."""
    cpu, wall = [], []
    for _ in range(samples):
        began, at = time.process_time(), time.perf_counter()
        admit_training(model.home, [names_of(4)[3]], at=datetime.now(UTC))
        cpu.append(1000 * (time.process_time() - began))
        wall.append(1000 * (time.perf_counter() - at))
    return [], 0, cpu, statistics.median(wall)


def table(rows: list[Row]) -> str:
    """Return the table, each row with how many times it fits what is to be reached."""
    cold_has = "CPU of all, most in one question, questions, time"
    lines = [f"| ledger | asked | cold: {cold_has} | warm: CPU, time | of {REACH_MS} ms |"]
    lines.append("|---|---|---|---|---|")
    for store, asked, cold, cold_wall, warm, warm_wall in rows:
        first = "-"
        if cold:
            first = f"{sum(cold):.0f} ms, {max(cold):.0f} ms, {len(cold)}, {cold_wall:.0f} ms"
        then = statistics.median(warm)
        most = max([then, *cold]) / REACH_MS
        lines.append(
            f"| {store} | {asked} | {first} | {then:.0f} ms, {warm_wall:.0f} ms | {most:.2f} |"
        )
    return "\n".join(lines) + "\n"


@contextmanager
def schema_in(postgres: str) -> Iterator[str]:
    """Yield the URL of a ledger in a schema of its own, and drop it at the end."""
    import pg8000.dbapi  # noqa: PLC0415 - an extra
    from sqlalchemy import make_url  # noqa: PLC0415

    schema, to = f"benchmark_{uuid.uuid4().hex[:8]}", make_url(postgres)
    try:
        yield f"{postgres}?schema={schema}"
    finally:
        connection = pg8000.dbapi.connect(
            to.username,
            host=to.host,
            port=to.port or 5432,
            password=to.password,
            database=to.database,
        )
        connection.cursor().execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.commit()
        connection.close()


def one_store(url: str, store: str, arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Build, fill and measure on one kind of ledger; say also what is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "home"
        root.mkdir()
        model = install(SluiceHome(root, Secret(url, "ledger URL")), arguments.rows)
        evidence = fill(model, arguments.leaves, arguments.sources, VERDICTS)
        print(f"{store}: {evidence.ledger.size():,} leaves", flush=True)
        site = Site(model.home, asset_tables(Path(folder), names_of(arguments.sources)))
        rows = measured(site, model, evidence, store, arguments.samples)
        return rows, f"{site.collected} ({store})"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--sources", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1000, help="of the one batch that is judged")
    parser.add_argument("--samples", type=int, default=9)
    parser.add_argument("--postgres", help="URL of a database to make a schema in")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace its measured part")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AIRFLOW_HOME"] = folder
        logging.disable(logging.INFO)
        rows, beside = one_store("", "SQLite", arguments)
        if arguments.postgres:
            with schema_in(arguments.postgres) as url:
                more, also = one_store(url, "PostgreSQL", arguments)
            rows, beside = [*rows, *more], f"{beside}, {also}"
    found = table(rows) + f"\nNot counted: {beside}.\n"
    print(found)
    if arguments.write is not None:
        text = arguments.write.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        assert end, f"the page has no part between {BEGIN!r} and {END!r}"
        server = " --postgres URL" if arguments.postgres else ""
        head = (
            f"`python benchmarks/page/run.py --leaves {arguments.leaves} --sources "
            f"{arguments.sources}{server}`,\n{os.cpu_count()} cores, load average "
            f"{os.getloadavg()[0]:.0f} at the end, {VERDICTS} verdicts of each source:\n\n"
        )
        arguments.write.write_text(before + begin + head + found + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
