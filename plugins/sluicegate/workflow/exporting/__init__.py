"""Take evidence out of an installation."""
