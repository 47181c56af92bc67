"""Stores of ledgers, of witnesses and of what was seen of them before."""
