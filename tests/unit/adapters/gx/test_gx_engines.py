"""The suites in a real checkpoint, on batches of pandas, PostgreSQL and Spark."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from postgres_server import throwaway_database
from tests.support.page_assets import network_assets
from tests.unit.adapters.gx.conftest import make_table

from sluicegate.adapters.gx import account, judging, load_suite, make_offline
from sluicegate.adapters.gx.batch_rows import sql_batches
from sluicegate.adapters.gx.catalog import CATALOG, CODE_OF
from sluicegate.errors import ConfigError
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.decision.record import Status
from sluicegate.signals.evaluate import evaluate

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of Great Expectations and of pyspark
    pytest.mark.slow,  # a database, Spark, and whole checkpoints
]
SUITES = Path(__file__).parents[4] / "expectations"
NAMES = sorted(path.name for path in SUITES.glob("*.json"))


@pytest.fixture(scope="module")
def gx():
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations

    import sluicegate.adapters.gx.expectations  # noqa: F401

    return great_expectations


def with_text_and_vectors(n_rows, seed, **changes):
    """Add a note of twelve words and a vector, which both follow the true label."""
    rng, table = np.random.default_rng(seed), make_table(n_rows, seed, **changes)
    label = np.array(make_table(n_rows, seed)["label"].to_pylist())
    words = rng.integers(0, 200, (table.num_rows, 12)) + 100 * label[:, None]
    notes = [" ".join(f"word{w}" for w in row) for row in words.tolist()]
    vectors = rng.normal(size=(table.num_rows, 6)) + label[:, None]
    table = table.append_column("note", pa.array(notes))
    return table.append_column("vector", pa.array(vectors.tolist(), pa.list_(pa.float64())))


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(
        with_text_and_vectors(2_000, 1).to_batches(),
        BatchSchema(
            id="id",
            label="label",
            contributor="who",
            timestamp="at",
            text=("note",),
            embedding=("vector",),
        ),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        seed=7,
    )


@pytest.fixture(scope="module")
def flipped():
    """A batch in which bob turned labels round and somebody hides characters."""
    table = with_text_and_vectors(1_500, 3, flip_contributor="bob")
    notes = [f"{n} \u200b" if i % 50 == 0 else n for i, n in enumerate(table["note"].to_pylist())]
    return table.set_column(table.schema.get_field_index("note"), "note", pa.array(notes))


@pytest.fixture
def pandas_batch(flipped):
    frame = flipped.to_pandas(types_mapper=pd.ArrowDtype)

    def add(sources):
        asset = sources.add_pandas("source").add_dataframe_asset("asset")
        return asset.add_batch_definition_whole_dataframe("whole"), {"dataframe": frame}

    return add


@pytest.fixture(scope="module")
def postgres_url():
    pytest.importorskip("adbc_driver_postgresql.dbapi")
    with throwaway_database() as server:
        url = sa.make_url(server.url()).difference_update_query(["schema"])
        yield url.set(drivername="postgresql+pg8000")


@pytest.fixture(scope="module")
def postgres_table(postgres_url, flipped):
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE batch (id text, at timestamptz, who text, colour text, "
                "size float8, count int8, label int2, note text, vector float8[])"
            )
        )
        named = ", ".join(f":{name}" for name in flipped.column_names)
        insert = f"INSERT INTO batch VALUES ({named})"
        connection.execute(sa.text(insert), flipped.to_pylist())
    engine.dispose()
    return postgres_url.render_as_string(hide_password=False)


@pytest.fixture
def table_batch(postgres_table):
    def add(sources):
        source = sources.add_sql("source", connection_string=postgres_table)
        asset = source.add_table_asset("asset", table_name="batch")
        return asset.add_batch_definition_whole_table("whole"), {}

    return add


@pytest.fixture
def query_batch(postgres_table):
    def add(sources):
        source = sources.add_sql("source", connection_string=postgres_table)
        query = "SELECT * FROM batch WHERE colour LIKE '%e%' AND who <> ':x'"  # every row
        asset = source.add_query_asset("asset", query=query)
        return asset.add_batch_definition_whole_table("whole"), {}

    return add


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("sluicegate-gx")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    patch.undo()


@pytest.fixture
def spark_batch(spark, flipped):
    frame = spark.createDataFrame(flipped).repartition(3)

    def add(sources):
        asset = sources.add_spark("source").add_dataframe_asset("asset")
        return asset.add_batch_definition_whole_dataframe("whole"), {"dataframe": frame}

    return add


@pytest.fixture
def runner(gx, tmp_path, baseline):
    """Runs a stored suite in a checkpoint that also writes Data Docs."""

    def run(suite, add):
        context = gx.get_context(mode="file", project_root_dir=tmp_path)
        context.variables.progress_bars = {"globally": False}
        definition, parameters = add(context.data_sources)
        stored = context.suites.add(
            gx.ExpectationSuite(
                name=suite["name"],
                expectations=[{k: e[k] for k in ("type", "kwargs")} for e in suite["expectations"]],
            )
        )
        validation = gx.ValidationDefinition(name="validation", data=definition, suite=stored)
        checkpoint = gx.Checkpoint(
            name="checkpoint",
            validation_definitions=[context.validation_definitions.add(validation)],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs")],
            result_format="COMPLETE",
        )
        with judging(baseline, tolerances={}, false_block_budget=0.01) as judge:
            done = context.checkpoints.add(checkpoint).run(
                batch_parameters=parameters, expectation_parameters=judge.parameters
            )
        [validated] = done.run_results.values()
        return done, validated.results, judge

    yield run
    from great_expectations.data_context.data_context.context_factory import project_manager

    project_manager.set_project(None)
    gc.collect()  # Great Expectations leaves connections open; let them warn here


@pytest.fixture
def wanted(baseline, flipped):
    return evaluate(baseline, flipped.to_batches(), tolerances={}, rows=False).records


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine", ["pandas", "table", "query", "spark"])
def test_checkpoint_records_are_those_of_the_core(runner, request, wanted, engine, name):
    suite, batch = load_suite(SUITES / name), request.getfixturevalue(f"{engine}_batch")
    codes = {CODE_OF[e["type"]] for e in suite["expectations"]}
    done, results, judge = runner(suite, batch)
    assert judge.failures == []
    assert account(suite, results).records == tuple(r for r in wanted if r.code in codes)
    assert not done.success


@pytest.mark.parametrize("engine", ["pandas", "table"])
def test_data_docs_say_the_demand_and_what_was_found(runner, request, tmp_path, suite, engine):
    runner(suite, request.getfixturevalue(f"{engine}_batch"))
    [page] = tmp_path.glob("gx/uncommitted/data_docs/local_site/validations/**/*.html")
    text = page.read_text(encoding="utf-8")
    assert CATALOG["LABEL_FLIPS"].demand in text
    assert "contributor bob" in text


def test_data_docs_made_offline_say_the_same_and_load_nothing(
    runner, pandas_batch, tmp_path, suite
):
    runner(suite, pandas_batch)
    site = tmp_path / "gx/uncommitted/data_docs/local_site"
    pages = list(site.rglob("*.html"))
    assert all("https://" in page.read_text(encoding="utf-8") for page in pages)
    assert make_offline(site) == len(pages) - 1
    assert make_offline(site) == 0
    assert {asset for page in pages for asset in network_assets(page)} == set()
    [page] = site.glob("validations/**/*.html")
    text = page.read_text(encoding="utf-8")
    assert CATALOG["LABEL_FLIPS"].demand in text
    assert "contributor bob" in text
    index = (site / "index.html").read_text(encoding="utf-8")
    assert all(
        quote(p.relative_to(site).as_posix()) in index for p in pages if p.name != "index.html"
    )


def test_batch_that_cannot_be_read_fails_every_expectation(runner, tmp_path, suite):
    def add(sources):
        source = sources.add_sqlite("source", connection_string=f"sqlite:///{tmp_path}/a.db")
        asset = source.add_query_asset("asset", query="SELECT 1 AS size")
        return asset.add_batch_definition_whole_table("whole"), {}

    done, results, judge = runner(suite, add)
    assert not done.success
    assert not any(result.success for result in results)
    assert {type(error) for error in judge.failures} == {ConfigError}
    records = account(suite, results).records
    assert {record.status for record in records} == {Status.NOT_EVALUATED}


def test_rows_of_another_database_are_refused():
    with pytest.raises(ConfigError, match="PostgreSQL only"):
        next(sql_batches(sa.make_url("sqlite://"), sa.text("a")))


_STORED = """
import json, sys, warnings
warnings.simplefilter("ignore")
import great_expectations as gx, pandas as pd
from sluicegate.adapters.gx import account, load_suite
context = gx.get_context(mode="file", project_root_dir=sys.argv[1])
suite = load_suite(sys.argv[2])
from pathlib import Path
(Path(sys.argv[1]) / "gx/expectations/stored.json").write_text(json.dumps(
    {"name": "stored", "id": "6f1e0f4e-54a6-4d2c-8d5e-111111111111",
     "expectations": suite["expectations"], "meta": {}, "notes": None}))
asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
definition = gx.ValidationDefinition(
    name="v", data=asset.add_batch_definition_whole_dataframe("b"),
    suite=context.suites.get("stored"))
definition = context.validation_definitions.add(definition)
checkpoint = context.checkpoints.add(gx.Checkpoint(name="c", validation_definitions=[definition]))
done = checkpoint.run(batch_parameters={"dataframe": pd.DataFrame({"x": [1]})})
[validated] = done.run_results.values()
records = account(suite, validated.results).records
print(json.dumps([done.success, len(validated.results), sorted({r.status for r in records}),
                  len(records)]))
"""


def test_stored_suite_whose_module_nobody_imported_does_not_pass(tmp_path):
    """Great Expectations drops all of it and reports success; the account does not."""
    script = tmp_path / "stored.py"  # a file: pyspark ends a `python -c` that imports it
    script.write_text(_STORED)
    command = [sys.executable, str(script), str(tmp_path), str(SUITES / "tabular.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    success, n_results, statuses, n_records = json.loads(done.stdout.strip().splitlines()[-1])
    assert (success, n_results) == (True, 0)
    assert (statuses, n_records) == (["NOT_EVALUATED"], len(CATALOG))


@pytest.mark.parametrize("name", NAMES)
def test_shipped_suite_says_for_what_it_is(name):
    suite = load_suite(SUITES / name)
    assert set(suite["meta"]) == {"title", "description", "parameters"}
    for listed in suite["expectations"]:
        assert listed["meta"]["signal"] == CODE_OF[listed["type"]]


def test_tabular_suite_lists_every_signal():
    suite = load_suite(SUITES / "tabular.json")
    assert {CODE_OF[e["type"]] for e in suite["expectations"]} == set(CATALOG)
