"""What clean batches look like: learned once, stored, read by every signal."""
