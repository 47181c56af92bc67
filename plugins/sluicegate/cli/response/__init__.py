"""Commands for what follows a verdict."""
