"""From what the signals measured to records: tails, tolerances, one budget of false alarms."""
