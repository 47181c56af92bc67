"""Verify an evidence folder offline, with public keys only."""
