"""Where keys come from, and how they are named."""
