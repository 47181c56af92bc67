"""Signals of when rows come."""
