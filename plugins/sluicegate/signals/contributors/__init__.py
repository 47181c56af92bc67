"""Signals of who delivers rows, how much, and with which labels."""
