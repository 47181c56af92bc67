"""Stores of ledgers and of witnesses, and the memory of what was seen of them before."""
