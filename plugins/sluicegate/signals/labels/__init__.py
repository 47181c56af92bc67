"""Signals of labels."""
