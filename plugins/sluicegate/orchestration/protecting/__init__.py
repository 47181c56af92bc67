"""Which tasks the guard protects, what they read, and how a stopped one ends."""
