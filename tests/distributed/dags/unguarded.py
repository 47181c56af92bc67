"""What a machine without Sluicegate can run: it names verified data by URI alone."""

from airflow.sdk import DAG, Asset, task

with DAG("bypassed", schedule=None):

    @task(queue="train", inlets=[Asset("sluicegate://bypassed")])
    def fit():
        """Train on what nobody judged."""
        return "trained"

    fit()

with DAG("strayed", schedule=None):

    @task(queue="elsewhere", inlets=[Asset("sluicegate://strayed")])
    def fit_elsewhere():
        """Train where nobody knows whether there is a guard."""
        return "trained"

    fit_elsewhere()
