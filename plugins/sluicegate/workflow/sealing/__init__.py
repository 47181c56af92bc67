"""Seal sources, and read the rows of what was sealed."""
