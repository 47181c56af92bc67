"""Readers of data files, and the bounds that they keep."""
