"""Judge batches and models, and record the verdict."""
