"""What a check leaves behind for people: history, page, plots, rows."""
