"""Signals of the words and characters of texts."""
