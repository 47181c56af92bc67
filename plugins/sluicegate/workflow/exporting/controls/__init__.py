"""Control mapping: versioned data in ``mapping.json``, beside the code that reads it."""
