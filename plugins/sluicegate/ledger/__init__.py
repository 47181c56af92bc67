"""Append-only Merkle log of evidence: whoever edits, removes or reorders it is found.

Formats: docs/formats/ledger.md. The core here does no I/O and reads no clock; a store keeps
the bytes (adapters/ledgers/sqlite.py), signer and verifier come in as small protocols.
"""
