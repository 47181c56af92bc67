"""One file a signal: what it asks of a batch, and what it found."""
