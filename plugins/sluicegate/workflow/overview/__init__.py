"""What a person sees of an installation: its sources, their batches and what was said of them."""
