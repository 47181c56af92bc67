"""Everything that knows Airflow: the guard, operators, plugin and settings."""
