"""Witnesses: who else has seen a checkpoint, and what they sign."""
