"""Signals of single columns: schema, missing values, drift, outliers."""
