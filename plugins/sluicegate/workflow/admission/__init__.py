"""Whether a training task may start, and the verified read that follows."""
