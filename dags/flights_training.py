"""Train a model of late arrivals on the batch that the gate let through.

The DAG says nothing about verdicts. It is scheduled on the verified asset, so the guard checks each
of its tasks before it starts, and ``load_verified`` hands over only bytes that match the sealed
manifest.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.sdk import DAG, task

from sluicegate.orchestration.assets import verified_asset

FEATURES = ["distance", "sched_dep_minute", "sched_arr_minute", "day_of_week", "dep_delay"]

with DAG(
    "flights_training",
    schedule=[verified_asset("flights")],
    catchup=False,
    max_active_runs=1,
    tags=["training"],
    default_args={"retries": 0},
    doc_md=__doc__,
):

    @task
    def train() -> dict[str, float | str]:
        """Fit on four fifths of the batch, score on the rest, and save model and card."""
        import joblib
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import train_test_split

        from sluicegate import load_verified

        flights = load_verified("flights")
        fit, held_out = train_test_split(flights, test_size=0.2, random_state=0)
        model = HistGradientBoostingClassifier(max_iter=50, random_state=0)
        model.fit(fit[FEATURES], fit["late"])
        auc = roc_auc_score(held_out["late"], model.predict_proba(held_out[FEATURES])[:, 1])

        verdict = json.loads(os.environ["SLUICEGATE_ADMITTED"])["sources"]["flights"]
        out = Path(os.environ["FLIGHTS_MODELS"]) / verdict.removeprefix("sha256:")[:12]
        out.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, out / "model.joblib")
        card = {"verdict": verdict, "rows": len(flights), "auc": round(float(auc), 4)}
        (out / "card.json").write_text(json.dumps(card), encoding="utf-8")
        return card

    train()
