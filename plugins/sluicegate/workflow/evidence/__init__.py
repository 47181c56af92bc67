"""The evidence of one installation: home, trust policy, ledger, memory, folders."""
