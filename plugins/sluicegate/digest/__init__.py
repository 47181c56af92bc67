"""What the bytes are: digests, manifests of files, canonical JSON and verified reads."""
