"""From evidence to a verdict: policy, decision, verdict."""
