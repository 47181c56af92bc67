"""What operators and guard tell Airflow's metrics and traces."""
