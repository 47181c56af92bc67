"""Who says so: keys, DSSE envelopes, in-toto statements, Sigstore bundles, trust policy."""
