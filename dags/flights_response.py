"""What people decide about flights: set a batch aside, let it back, roll back, or waive a verdict.

The page *Sluicegate* starts it, on the view of the source; or by hand, for the newest batch:

    airflow dags trigger flights_response --conf '{"action": "quarantine", "reason": "hacked"}'
    airflow dags trigger flights_response --conf '{"action": "release", "reason": "confirmed"}'
    airflow dags trigger flights_response --conf '{"action": "rollback"}'
    airflow dags trigger flights_response --conf '{"action": "waive"}'

A quarantine keeps bytes and reasons, and stops every training task on that batch, whatever its
verdict. A release judges the same batch again, and lets it back only if it passes. A waiver asks
two people whom the policy names. What lets training start again announces the verified asset.
"""

from __future__ import annotations

from sluicegate.orchestration.responding.response import response

# A DAG of Airflow's: its tasks need the keys of gate, source and ledger, and of who may waive.
dag = response("flights", dag_id="flights_response", doc_md=__doc__)
