"""What people do about a blocked batch, as tasks that the page starts."""
