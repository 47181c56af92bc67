"""One task for each way around the guard that was tried; a task that starts writes its name.

`tests/airflow/test_guard_spelling.py` plays them all and compares docs/guard.md with what it saw.
"""

import os
import sys
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset, AssetAlias, AssetAll, TaskGroup, task
from airflow.sdk.definitions.asset import Dataset, Model

from sluicegate import load_verified
from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import TrainingGateOperator

BAD, SRC = verified_asset("bad"), verified_asset("src")
OTHER = Asset("s3://lake/other")
ALIAS, UNTIED = AssetAlias("tied"), AssetAlias("untied")
NAMED = Asset(name="plain_name", uri="sluicegate://named")

# What a DAG file may do to the settings, and the guard must not care.
os.environ["AIRFLOW__SLUICEGATE__HOME"] = os.environ["ROGUE_HOME"]
os.environ["AIRFLOW__SLUICEGATE__PROTECT_TAGS"] = "nothing"


class File:
    """A lineage entity of another system, as OpenLineage and providers use them."""

    def __init__(self, url):
        self.url = url


def ran(name):
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(f"{name}\n")


def writes(name, **options):
    return PythonOperator(task_id=name, python_callable=ran, op_args=[name], **options)


TAGS = {
    "tag_case": ["Training"],
    "tag_space": ["training "],
    "tag_wide": ["\uff54raining"],
    "tag_invisible": ["train\u200bing"],
    "tag_text": "training",
}
for name, tags in TAGS.items():
    with DAG(name, schedule=None, tags=tags):
        writes(name)

with DAG("tie", schedule=None):

    @task(outlets=[ALIAS])
    def tie(outlet_events):
        outlet_events[ALIAS].add(BAD)

    tie()
    BashOperator(task_id="known", bash_command="true", outlets=[NAMED])

INLETS = {
    "inlets_and": BAD & OTHER,
    "inlets_or": [OTHER | BAD],
    "inlets_text": ["sluicegate://bad"],
    "inlets_text_alone": "sluicegate://bad",
    "inlets_nested": [[BAD]],
    "inlets_uri_ref": [Asset.ref(uri="sluicegate://bad/")],
    "inlets_name_ref": [Asset.ref(name="plain_name")],
    "inlets_own_name": [NAMED],
    "inlets_other_uri": [Asset(name="sluicegate://named", uri="s3://lake/named")],
    "inlets_alias": [ALIAS],
    "inlets_alias_in": [AssetAll(ALIAS, OTHER)],
    "inlets_dict": [{"uri": "sluicegate://bad"}],
    "inlets_entity": [File("sluicegate://bad")],
    "inlets_case": [Asset("SluiceGate://cased")],
    "inlets_slash": [Asset("sluicegate:/bad")],
}
with DAG("inlets", schedule=None):
    for name, inlets in INLETS.items():
        writes(name, inlets=inlets)
    writes("inlets_late").inlets.append(BAD)
    with TaskGroup("group", prefix_group_id=False, default_args={"inlets": [BAD]}):
        writes("inlets_default")
    BashOperator.partial(task_id="inlets_mapped", inlets=[BAD & OTHER]).expand(
        bash_command=["echo inlets_mapped >> $RAN"]
    )

with DAG("iterator", schedule=None):
    writes("inlets_iterator", inlets=iter([BAD]))

with DAG("by_alias", schedule=[ALIAS]):
    writes("schedule_alias")

with DAG("set_up", schedule=None, tags=["TRAINING"]):
    (
        writes("setup").as_setup()
        >> writes("between", inlets=[SRC])
        >> writes("teardown").as_teardown()
    )

with DAG("gates", schedule=None, tags=["training"]):
    TrainingGateOperator(
        task_id="gate_post_execute", source="bad", post_execute=lambda *_: ran("gate_post_execute")
    )
    TrainingGateOperator(
        task_id="gate_callback", source="bad", on_execute_callback=lambda _: ran("gate_callback")
    )
    TrainingGateOperator.partial(task_id="gate_mapped").expand_kwargs(
        [{"source": "bad", "post_execute": lambda *_: ran("gate_mapped")}]
    )
    patched = TrainingGateOperator(task_id="gate_execute", source="bad")
    patched.execute = lambda context: ran("gate_execute")

with DAG("macros", schedule=None, tags=["training"], user_defined_macros={"train": ran}):
    TrainingGateOperator(task_id="gate_macro", source="bad")

with DAG("good", schedule=None):

    @task(inlets=[SRC & OTHER])
    def good_python():
        ran(f"good_python {load_verified('src')['x'].sum():.3f}")

    @task.external_python(python=sys.executable, inlets=[SRC])
    def good_external():
        import os
        from pathlib import Path

        from sluicegate import load_verified

        with Path(os.environ["RAN"]).open("a") as file:
            file.write(f"good_external {load_verified('src')['x'].sum():.3f}\n")

    @task(inlets=[SRC])
    def reads_undeclared():
        load_verified("rogue")
        ran("reads_undeclared")

    @task(inlets=[SRC])
    def reads_other_home():
        os.environ["AIRFLOW__SLUICEGATE__HOME"] = os.environ["ROGUE_HOME"]
        os.environ["SLUICEGATE_HOME"] = os.environ["ROGUE_HOME"]
        ran(f"reads_other_home {load_verified('src')['x'].sum():.3f}")

    @task.external_python(python=sys.executable, inlets=[BAD])
    def bad_external():
        import os
        from pathlib import Path

        with Path(os.environ["RAN"]).open("a") as file:
            file.write("bad_external\n")

    @task.external_python(
        python=sys.executable,
        inlets=[SRC],
        inherit_env=False,
        env_vars={"RAN": os.environ["RAN"], "SLUICEGATE_HOME": os.environ["ROGUE_HOME"]},
    )
    def good_bare_external():
        import os
        from pathlib import Path

        from sluicegate import load_verified

        with Path(os.environ["RAN"]).open("a") as file:
            file.write(f"good_bare_external {load_verified('src')['x'].sum():.3f}\n")

    @task.virtualenv(
        inlets=[SRC],
        inherit_env=False,
        env_vars={"RAN": os.environ["RAN"], "SLUICEGATE_HOME": os.environ["ROGUE_HOME"]},
    )
    def good_virtualenv():
        import os
        from pathlib import Path

        homes = os.environ["SLUICEGATE_HOME"], os.environ["AIRFLOW__SLUICEGATE__HOME"]
        with Path(os.environ["RAN"]).open("a") as file:
            file.write(" ".join(("good_virtualenv", *homes)) + "\n")

    BashOperator(
        task_id="good_bash",
        bash_command="echo good_bash $SLUICEGATE_HOME $AIRFLOW__SLUICEGATE__HOME >> $RAN",
        env={"AIRFLOW__SLUICEGATE__HOME": os.environ["ROGUE_HOME"]},
        append_env=True,
        inlets=[SRC],
    )

    good_python()
    good_external()
    reads_undeclared()
    reads_other_home()
    bad_external()
    good_bare_external()
    good_virtualenv()

FREE = {
    "free_asset": [OTHER],
    "free_any": [OTHER | Asset("x://y")],
    "free_dataset": [Dataset("s3://d")],
    "free_model": [Model("m")],
    "free_entity": [File("s3://lake/file"), {"name": "table"}, object()],
    "free_text": ["s3://lake/file"],
    "free_text_alone": "s3://lake/file",
    "free_alias": [UNTIED],
    "free_iterator": (asset for asset in [OTHER]),
}
with DAG("free", schedule=None, tags=["Training-report", "trains"]):
    for name, inlets in FREE.items():
        writes(name, inlets=inlets)
