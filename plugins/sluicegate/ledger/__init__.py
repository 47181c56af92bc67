"""Append-only Merkle log of evidence: an edit, a removal or another order is found.

Formats: docs/formats/ledger.md. The core here does no I/O and reads no clock. A store keeps
the bytes (adapters/ledgers/sqlite.py). Signer and verifier come in as small protocols.
"""
