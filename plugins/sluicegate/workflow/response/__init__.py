"""What people do about a verdict: quarantine, release, waiver, message."""
