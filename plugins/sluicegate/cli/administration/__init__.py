"""Commands for those who run an installation: keys, trust, policy, ledger, witnesses."""
