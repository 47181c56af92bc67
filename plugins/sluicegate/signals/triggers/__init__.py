"""Signals of what is both new and tied to a label."""
