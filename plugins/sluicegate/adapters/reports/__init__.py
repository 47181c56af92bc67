"""What a check leaves for people: history, page, plots and rows."""
