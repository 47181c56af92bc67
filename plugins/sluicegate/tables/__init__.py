"""Tables as sets of rows: canonical row encoding, table digest, and what changed between two."""
