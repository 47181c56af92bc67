"""Signals of labels, and the reference models that they ask."""
