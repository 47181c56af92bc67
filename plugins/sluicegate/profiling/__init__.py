"""Mergeable integer profiles of record batches against cells fixed in a baseline."""
