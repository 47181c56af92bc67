"""What the command line and the operators both do, as plain functions over the adapters."""
