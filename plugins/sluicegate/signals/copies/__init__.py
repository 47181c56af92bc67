"""Signals of rows that repeat, leak or contradict each other."""
