"""Rows in Spark, DuckDB, PostgreSQL, pandas: read, counted, handed over."""
