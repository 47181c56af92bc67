"""Build, sign and promote baselines, and find those in force."""
