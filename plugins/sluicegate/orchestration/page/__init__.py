"""The page in Airflow: what the ledger says, for whoever may read assets."""
