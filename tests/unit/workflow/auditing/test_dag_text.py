"""What the audit reads in a DAG file, without running it."""

import pytest

from sluicegate.workflow.auditing.dag_text import Mention, looks_like, mentions


def file(*lines):
    return "\n".join(("from airflow.sdk import DAG", "import os", *lines))


TWO = file(
    "SRC = verified_asset('src')",
    "PAIR = (SRC, Asset('s3://x'))",
    "def fit(): return load_verified('src')",
    "with DAG('gate'): TrainingGateOperator(task_id='gate', source='src')",
    "with DAG('train', schedule=PAIR): BashOperator(task_id='fit')",
    "with DAG(dag_id='calls'): PythonOperator(task_id='fit', python_callable=fit)",
    "@dag\ndef decorated(): fit()",
    "@dag(dag_id='renamed')\ndef other(): print('nothing')",
)


@pytest.mark.parametrize(
    ("dag_id", "reads"),
    [
        ("gate", False),
        ("train", True),
        ("calls", True),
        ("decorated", True),
        ("renamed", False),
        ("somewhere else", True),
    ],
)
def test_each_dag_of_a_file_answers_for_itself(dag_id, reads):
    assert (Mention.READS in mentions(TWO, dag_id)) is reads


@pytest.mark.parametrize(
    "line",
    [
        "load_verified('src')",
        "sluicegate.load_verified('src')",
        "X = ['SluiceGate://src']",
        "X = 'sluicegate:/src'",
        "@guarded_task(sources=['src'])\ndef f(): ...",
        "task(inlets=verified_asset('src') & OTHER)",
    ],
)
def test_every_spelling_of_verified_data_is_seen(line):
    assert mentions(file(line), "d") == {Mention.READS}


@pytest.mark.parametrize(
    "line",
    [
        "from sluicegate.orchestration.assets import verified_asset",
        "task(outlets=[verified_asset('src')])",
        "# load_verified('src')",
        "'a text about sluicegate://src'",
        "home = os.environ['SLUICEGATE_HOME']",
        "home = os.environ.get('SLUICEGATE_HOME', '/x')",
        "print('SLUICEGATE_HOME')",
    ],
)
def test_what_only_announces_or_talks_is_not(line):
    assert mentions(file(line), "d") == frozenset()


@pytest.mark.parametrize(
    "line",
    [
        "os.environ['AIRFLOW__SLUICEGATE__HOME'] = '/rogue'",
        "os.environ.setdefault('SLUICEGATE_LEDGER', 'x')",
        "os.putenv('SLUICEGATE_REMEMBERED', 'x')",
        "os.environ.update({'AIRFLOW__SLUICEGATE__LEDGER_CMD': 'x'})",
        "os.environ.update(SLUICEGATE_HOME='/rogue')",
        "BashOperator(env={'SLUICEGATE_HOME': '/rogue'})",
        "DockerOperator(environment={'SLUICEGATE_HOME': '/rogue'})",
        "KubernetesPodOperator(env_vars=[V1EnvVar(name='SLUICEGATE_HOME', value='/rogue')])",
    ],
)
def test_a_setting_that_gets_a_value_is_seen(line):
    assert mentions(file(line), "d") == {Mention.SETS}


def test_a_setting_in_the_block_of_another_dag_is_that_dags():
    text = file("with DAG('a'): os.environ['SLUICEGATE_HOME'] = 'x'", "with DAG('b'): pass")
    assert mentions(text, "a") == {Mention.SETS}
    assert mentions(text, "b") == frozenset()


@pytest.mark.parametrize("text", ["def (", "a\x00b", "(" * 10_000])
def test_what_is_no_python_is_said_to_be_none(text):
    assert mentions(text, "d") == {Mention.UNREADABLE}


@pytest.mark.parametrize(
    ("tag", "same"),
    [
        ("training", True),
        ("Train-ing", True),
        ("tr\u0430ining", True),
        ("tra1ning", False),
        ("trainings", False),
        ("trainer", False),
        ("", False),
    ],
)
def test_a_tag_that_a_person_may_take_for_another(tag, same):
    assert looks_like(tag, "training") is same
