"""Hold what ran against what the ledger allowed."""
